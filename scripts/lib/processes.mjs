// What runs on this machine, without depending on `ps` where /proc exists (slim images have none): the descendants of a
// process, and the processes that belong to a directory. Used by the watchdog, the harness and scripts/test.mjs.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** @returns {{ pid: number, ppid: number, command: string, cwd: string }[]} */
export function allProcesses() {
  return existsSync('/proc/self/stat') ? fromProc() : fromPs();
}

function fromProc() {
  const found = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      // "pid (comm) state ppid ...": comm may hold spaces and parentheses, so count from the last one.
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z') continue;
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      found.push({ pid: Number(name), ppid: Number(ppid), command, cwd: cwdOf(name) });
    } catch {
      // Ended while we looked.
    }
  }
  return found;
}

function cwdOf(pid) {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

function fromPs() {
  const text = execFileSync('ps', ['-axo', 'pid=,ppid=,stat=,command='], { encoding: 'utf8' });
  return text
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null && !match[3].startsWith('Z'))
    .map((match) => ({ pid: Number(match[1]), ppid: Number(match[2]), command: match[4], cwd: '' }));
}

/** The process and everything below it, parents first. @param {number} root @returns {number[]} */
export function processTree(root) {
  const children = new Map();
  for (const { pid, ppid } of allProcesses()) children.set(ppid, [...(children.get(ppid) ?? []), pid]);
  const tree = [root];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i]) ?? []));
  return tree;
}

/** Processes that work in a directory or name it on their command line or in their environment. @param {string} dir */
export function processesOf(dir) {
  return allProcesses().filter(
    ({ pid, command, cwd }) =>
      pid !== process.pid &&
      (command.includes(dir) || cwd === dir || cwd.startsWith(`${dir}/`) || environmentOf(pid).includes(dir)),
  );
}

/** As it was when the process started; empty where that cannot be read. */
function environmentOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}
