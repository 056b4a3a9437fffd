/**
 * What the soak test sees of processes in /proc: workers and supervisors, open files, memory, ports. Linux only.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { allProcesses } from '../scripts/lib/processes.mjs';

/** `first`: the process that was started, which is the supervisor until the first restart and the parent of others then. */
export type Role = 'first' | 'supervisor' | 'worker';

export interface WeirPart {
  readonly pid: number;
  readonly role: Role;
}

const roleWords: readonly (readonly [string, Role])[] = [
  [' worker ', 'worker'],
  [' successor ', 'supervisor'],
];

/** All processes of a Weir, the first one first. After a restart, workers are children of a supervisor that is a child itself. */
export function partsOf(weirPid: number): WeirPart[] {
  const all = allProcesses();
  const parts: WeirPart[] = [{ pid: weirPid, role: 'first' }];
  for (const { pid: parent } of parts) {
    for (const { pid, ppid, command } of all) {
      const role = ppid === parent ? roleWords.find(([word]) => command.includes(word))?.[1] : undefined;
      if (role !== undefined) parts.push({ pid, role });
    }
  }
  return parts;
}

export function workersOf(weirPid: number): number[] {
  return partsOf(weirPid)
    .filter(({ role }) => role === 'worker')
    .map(({ pid }) => pid);
}

/** undefined: it has ended. */
export function openFiles(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return undefined;
  }
}

/** In MB; undefined: it has ended. */
export function residentMb(pid: number): number | undefined {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match === null ? undefined : Number(match[1]) / 1024;
  } catch {
    return undefined;
  }
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

export interface Connection {
  /** Of the process itself. */
  readonly port: number;
  readonly otherPort: number;
}

/**
 * TCP connections of each process (proc(5), /proc/net/tcp: hexadecimal address and port). The kernel takes many milliseconds to
 * write that table: not for every day.
 */
export function connectionsOf(pids: readonly number[]): ReadonlyMap<number, readonly Connection[]> {
  const bySocket = new Map<string, Connection>();
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [port = 0, otherPort = 0] = [fields[1], fields[2]].map((address) =>
      parseInt(address?.split(':')[1] ?? '0', 16),
    );
    bySocket.set(fields[9] ?? '', { port, otherPort });
  }
  const known = (socket: string): Connection[] => {
    const connection = bySocket.get(socket);
    return connection === undefined ? [] : [connection];
  };
  return new Map(pids.map((pid) => [pid, socketsOf(pid).flatMap(known)]));
}
