/**
 * Facts about the machine that a benchmark ran on (no names, no paths), and the CPU and memory of a process. Linux's
 * /proc where it exists; elsewhere those columns stay empty.
 */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { spawnSync } from 'node:child_process';

/** Clock ticks per second of /proc/PID/stat: 100 on every Linux that Node runs on (man 5 proc, USER_HZ). */
const TICKS_PER_SECOND = 100;

/** Fields of /proc/PID/stat, counted from the state: utime and stime; the same of children that have ended (cutime, cstime). */
const own = [11, 12] as const;
const ofEndedChildren = [13, 14] as const;

function secondsIn(pid: number | 'self', [user, system]: readonly [number, number]): number | undefined {
  if (!existsSync(`/proc/${pid}/stat`)) return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[user]) + Number(fields[system])) / TICKS_PER_SECOND;
}

/** User and system time of processes so far, in seconds; undefined for none, and without /proc. */
export function cpuSeconds(pids: readonly number[]): number | undefined {
  const all = pids.map((pid) => secondsIn(pid, own)).filter((seconds) => seconds !== undefined);
  return all.length === 0 ? undefined : all.reduce((sum, seconds) => sum + seconds, 0);
}

/** The same of all programs that this process has run to their end. */
export function cpuSecondsOfEnded(): number | undefined {
  return secondsIn('self', ofEndedChildren);
}

/** Resident memory of a process in bytes; undefined without /proc. */
export function residentBytes(pid: number): number | undefined {
  if (!existsSync(`/proc/${pid}/status`)) return undefined;
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return match === null ? undefined : Number(match[1]) * 1024;
}

/**
 * The part of a process's memory that is its own: what several processes share is divided by their number. Undefined where the
 * kernel does not tell.
 */
export function proportionalBytes(pid: number): number | undefined {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    return match === null ? undefined : Number(match[1]) * 1024;
  } catch {
    return undefined;
  }
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
