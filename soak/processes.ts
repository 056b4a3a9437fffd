/**
 * What the soak test sees of processes in /proc: workers, open files, memory, ports. Linux only.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { allProcesses, processTree, type ProcessEntry } from '../scripts/lib/processes.mjs';

/** Of a Weir that has several. After a restart they are children of a supervisor that is a child itself. */
export function workersOf(weirPid: number): number[] {
  const tree = new Set(processTree(weirPid));
  const isWorker = ({ pid, command }: ProcessEntry): boolean => tree.has(pid) && command.includes(' worker ');
  return allProcesses()
    .filter(isWorker)
    .map(({ pid }) => pid);
}

export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** In MB. */
export function residentMb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? 0) / 1024;
}

/** The sockets of a process, by the numbers that the kernel gives them. */
function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1];
      return inode === undefined ? [] : [inode];
    });
  } catch {
    // It has ended, or closed a file meanwhile.
    return [];
  }
}

/** Ports of the processes' TCP connections (proc(5), /proc/net/tcp: hexadecimal address and port). */
export function portsOf(pids: readonly number[], side: 'own' | 'other'): Set<number> {
  const inodes = new Set(pids.flatMap(socketsOf));
  const ports = new Set<number>();
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const address = fields[side === 'own' ? 1 : 2];
    if (inodes.has(fields[9] ?? '')) ports.add(parseInt(address?.split(':')[1] ?? '', 16));
  }
  return ports;
}
