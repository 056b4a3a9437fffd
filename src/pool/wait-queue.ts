/**
 * The queue of clients that wait for a server of a pool. Served are those of the highest priority, of them the user who has had
 * least of the servers' time, and of that user's clients the one that has waited longest; in an overload (overload.ts) the one
 * that came last. Used by pool.ts and returns.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import { Overload } from './overload.ts';
import { StatementsAtOnce } from './statements-at-once.ts';
import { ServiceShares } from './service-shares.ts';
import { WaitLine, type QueueEntry } from './wait-line.ts';
import { priorities, type Waiter } from './waiter.ts';

/** One of so many clients is one of a lower priority than the highest: they wait for longer, but not for ever. */
const lowerEvery = 10;

export class WaitQueue {
  readonly shares = new ServiceShares();
  readonly overload = new Overload();
  /** How many of those who leave it may be served at once. */
  readonly atOnce = new StatementsAtOnce();
  private readonly lines: WaitLine[] = [];
  private count = 0;
  private taken = 0;

  get length(): number {
    return this.count;
  }

  /** Including the entries of clients that have left. */
  get places(): number {
    return this.lines.reduce((sum, line) => sum + line.places, 0);
  }

  /** For users and priorities; not more than the most that were needed at once. */
  get lineCount(): number {
    return this.lines.length;
  }

  join(waiter: Waiter, sinceMs: number, deadlineMs: number): QueueEntry {
    this.count++;
    return this.lineOf(waiter).join(waiter, sinceMs, deadlineMs);
  }

  private lineOf({ user, priority }: Waiter): WaitLine {
    const same = this.lines.find((line) => line.user === user && line.priority === priority);
    if (same === undefined || same.length === 0) this.shares.joined(user);
    if (same !== undefined) return same;
    const line = new WaitLine(user, priority, () => {
      this.count--;
      line.figuresIn(this.overload.interval).gaveUp++;
    });
    const empty = this.lines.findIndex(({ length }) => length === 0);
    if (empty === -1) this.lines.push(line);
    else this.lines[empty] = line;
    return line;
  }

  /** The entry that has been in the queue for longest. */
  oldest(): QueueEntry | undefined {
    let oldest: QueueEntry | undefined;
    for (const line of this.lines) {
      const first = line.oldest();
      if (first !== undefined && (oldest === undefined || first.sinceMs < oldest.sinceMs)) oldest = first;
    }
    return oldest;
  }

  private get isNewestFirst(): boolean {
    return this.overload.state === 'overloaded';
  }

  /** The entry that is served next. */
  next(): QueueEntry | undefined {
    const line = this.lines.length === 1 ? this.lines[0] : this.nextLine();
    return this.isNewestFirst ? line?.newest() : line?.oldest();
  }

  private nextLine(): WaitLine | undefined {
    const isForLower = !this.isNewestFirst && this.taken % lowerEvery === lowerEvery - 1;
    const lower = isForLower ? this.oldestLower() : undefined;
    if (lower !== undefined) return lower;
    for (const priority of priorities) {
      let best: WaitLine | undefined;
      for (const line of this.lines) {
        if (line.priority !== priority || line.length === 0) continue;
        if (best === undefined || this.shares.hadMs(line.user) < this.shares.hadMs(best.user)) best = line;
      }
      if (best !== undefined) return best;
    }
    return undefined;
  }

  /** Of the lines below the highest priority there is, the one whose oldest client has waited for longest. */
  private oldestLower(): WaitLine | undefined {
    const highest = priorities.find((priority) =>
      this.lines.some((line) => line.priority === priority && line.length > 0),
    );
    let found: QueueEntry | undefined;
    for (const line of this.lines) {
      const oldest = line.priority === highest ? undefined : line.oldest();
      if (oldest !== undefined && (found === undefined || oldest.sinceMs < found.sinceMs)) found = oldest;
    }
    return found?.line;
  }

  /** A client that was taken out gets a server. */
  granted({ line }: QueueEntry, waitedMs: number): void {
    const figures = line.figuresIn(this.overload.interval);
    figures.served++;
    figures.smallestMs = Math.min(figures.smallestMs, waitedMs);
    this.overload.served++;
  }

  /**
   * Takes out the one that is served next. There must be one.
   * @param meanHoldMs how long a client has a server
   * @param server the one that it gets for itself; undefined: it shares one
   */
  take(meanHoldMs: number, server?: ServerConnection): QueueEntry {
    const entry = this.next() as QueueEntry;
    entry.line.take(entry);
    this.count--;
    this.taken++;
    if (this.lines.length > 1) this.shares.granted(entry.waiter.user, meanHoldMs, server);
    return entry;
  }

  /** Tells the clients that have waited since then, or longer, and have not been told yet. */
  tellQueued(sinceMs: number): void {
    const told: QueueEntry[] = [];
    const isDue = (entry: QueueEntry): boolean => !entry.isTold && !entry.isDone && entry.sinceMs <= sinceMs;
    this.takeWhere((entry) => {
      if (isDue(entry)) told.push(entry);
      return false;
    });
    for (const entry of told) {
      entry.isTold = true;
      entry.waiter.queued?.();
    }
  }

  /** Takes out the entries for which `leaves` is true; those of one user in order. */
  takeWhere(leaves: (entry: QueueEntry) => boolean): QueueEntry[] {
    const taken: QueueEntry[] = [];
    for (const line of this.lines) line.takeWhere(leaves, taken);
    this.count -= taken.length;
    return taken;
  }
}
