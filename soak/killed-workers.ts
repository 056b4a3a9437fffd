/**
 * Kills a worker of a Weir, and knows which connections may end with it: those that it had, and those that a supervisor or the
 * parent had in hand at that moment, on their way to a worker. Counts who has lost a connection for which reason. Linux only
 * (/proc). Used by faults.ts and by whoever has lost a connection.
 */
import { connectionsOf, partsOf } from './processes.ts';

/** After a kill, connections that have not logged in may end. */
const graceMs = 2_000;
/** So long a client of this process may take to notice that its connection has ended: the machine is busy. */
const noticeMs = 30_000;

/** Why a connection may have ended. */
export type Cause =
  'its worker was killed' | 'on its way when a worker was killed' | 'a worker was killed during its log-in';

interface Doom {
  readonly atMs: number;
  readonly cause: Cause;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

export class KilledWorkers {
  /** Their processes. */
  readonly pids = new Set<number>();
  /** How often which, and how the client has noticed. */
  readonly lost = new Map<string, number>();
  /** By the client's port. */
  private readonly doomed = new Map<number, Doom>();
  private readonly atMs: number[] = [];
  /** By a watched process, how many of its connections may have ended. */
  private readonly watched = new Map<number, number>();

  /** All processes of that Weir that move clients stand still meanwhile, so that no connection changes hands. */
  kill(weirPid: number, worker: number): void {
    const others = partsOf(weirPid).filter(({ role }) => role !== 'worker');
    for (const { pid } of others) signal(pid, 'SIGSTOP');
    signal(worker, 'SIGSTOP');
    const atMs = performance.now();
    const found = connectionsOf([...others.map(({ pid }) => pid), worker, ...this.watched.keys()]);
    const doomed = new Set<number>();
    for (const pid of [...others.map((other) => other.pid), worker]) {
      const cause = pid === worker ? 'its worker was killed' : 'on its way when a worker was killed';
      for (const { otherPort } of found.get(pid) ?? []) {
        this.doomed.set(otherPort, { atMs, cause });
        doomed.add(otherPort);
      }
    }
    for (const [pid, before] of this.watched) {
      const ended = (found.get(pid) ?? []).filter(({ port }) => doomed.has(port)).length;
      this.watched.set(pid, before + ended);
    }
    this.atMs.push(atMs);
    this.pids.add(worker);
    signal(worker, 'SIGKILL');
    for (const { pid } of others.reverse()) signal(pid, 'SIGCONT');
  }

  /**
   * A connection that was opened at that time has ended now without its client's doing. False: it must not have.
   * @param how it has ended
   */
  explains(port: number, openedAtMs: number, isLoggedIn: boolean, how: string): boolean {
    const cause = this.causeOf(port, openedAtMs, isLoggedIn);
    if (cause !== undefined) this.note(cause, how);
    return cause !== undefined;
  }

  private causeOf(port: number, openedAtMs: number, isLoggedIn: boolean): Cause | undefined {
    const now = performance.now();
    const doom = this.doomed.get(port);
    if (doom !== undefined && doom.atMs >= openedAtMs && now - doom.atMs < noticeMs) return doom.cause;
    // One that came just then may have been given to the worker that was dead already.
    const isByLogin = !isLoggedIn && this.wasOneKilled(openedAtMs);
    return isByLogin ? 'a worker was killed during its log-in' : undefined;
  }

  /** Since then, or just before, and not long ago? */
  wasOneKilled(sinceMs: number): boolean {
    const earliestMs = Math.max(sinceMs - graceMs, performance.now() - noticeMs);
    return this.atMs.some((atMs) => atMs > earliestMs);
  }

  /** From now on the connections of another process count, too. */
  watch(pid: number): void {
    this.watched.set(pid, 0);
  }

  /** It has ended. @returns how many of its connections may have been lost */
  unwatch(pid: number): number {
    const ended = this.watched.get(pid) ?? 0;
    this.watched.delete(pid);
    return ended;
  }

  private note(cause: Cause, how: string): void {
    const key = `${cause}: ${how}`;
    this.lost.set(key, (this.lost.get(key) ?? 0) + 1);
  }
}
