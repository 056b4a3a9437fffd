/**
 * Facts about the machine that a benchmark ran on (no names, no paths), and the CPU and memory of a process. Linux's
 * /proc where it exists; elsewhere those columns stay empty.
 */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { spawnSync } from 'node:child_process';

/** Clock ticks per second of /proc/PID/stat: 100 on every Linux that Node runs on (man 5 proc, USER_HZ). */
const TICKS_PER_SECOND = 100;

/** User and system time of a process so far, in seconds; undefined without /proc. */
export function cpuSeconds(pid: number | undefined): number | undefined {
  if (pid === undefined || !existsSync(`/proc/${pid}/stat`)) return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory of a process in bytes; undefined without /proc. */
export function residentBytes(pid: number): number | undefined {
  if (!existsSync(`/proc/${pid}/status`)) return undefined;
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return match === null ? undefined : Number(match[1]) * 1024;
}

/** How many files this process and its children may hold open. */
export function openFilesLimit(): number {
  if (!existsSync('/proc/self/limits')) return 256;
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return match?.[1] === 'unlimited' ? Infinity : Number(match?.[1] ?? 256);
}

/** The first version number that a program names; undefined when there is no such program. */
export function versionOf(program: string | undefined): string | undefined {
  if (program === undefined) return undefined;
  const said = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return /\d+(\.\d+)+/.exec(said.stdout)?.[0];
}

export function machineFacts(): Record<string, string> {
  return {
    cores: String(availableParallelism()),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    platform: `${process.platform} ${process.arch}`,
    'Node.js': process.versions.node,
  };
}
