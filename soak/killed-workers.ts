/**
 * Kills a worker of a Weir, and knows which connections may end with it: those that it or the supervisor had in hand at that moment.
 * Linux only (/proc). Used by faults.ts and by whoever has lost a connection.
 */
import { portsOf } from './processes.ts';

/** After a kill, connections that have not logged in may end. */
const graceMs = 2_000;

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

export class KilledWorkers {
  /** By the client's port, until when a loss is explained. */
  private readonly doomed = new Map<number, number>();
  private lastKillMs = -Infinity;

  /** @param supervisor stands still meanwhile, so that no connection changes hands */
  kill(supervisor: number, worker: number): void {
    signal(supervisor, 'SIGSTOP');
    signal(worker, 'SIGSTOP');
    const now = performance.now();
    for (const port of portsOf([supervisor, worker], 'other')) this.doomed.set(port, now);
    this.lastKillMs = now;
    signal(worker, 'SIGKILL');
    signal(supervisor, 'SIGCONT');
  }

  /** A connection that was opened at that time has ended without its client's doing: because a worker was killed? */
  explains(port: number, openedAtMs: number, isLoggedIn: boolean): boolean {
    // One that came just then may have been given to the worker that was dead already.
    if (!isLoggedIn && performance.now() - this.lastKillMs < graceMs) return true;
    const killedAtMs = this.doomed.get(port);
    return killedAtMs !== undefined && killedAtMs >= openedAtMs;
  }

  /** How many connections of a process, by its own ports, may have ended since then. */
  countOf(ports: ReadonlySet<number>, sinceMs: number): number {
    return [...ports].filter((port) => (this.doomed.get(port) ?? -Infinity) >= sinceMs).length;
  }
}
