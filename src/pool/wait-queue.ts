/**
 * The queue of clients that wait for a server of a pool: first come, first served. One that leaves holds up nobody. Used by
 * pool.ts and returns.ts.
 */
import { Ring } from '../util/ring.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors/errors.ts';

/** A client that wants a server. Either granted() or refused() is called, once, unless its queue entry was cancelled. */
export interface Waiter {
  /** It is a read that another node could run as well. */
  readonly mayGoElsewhere: boolean;
  /** May it share this server with other clients (lanes.ts)? */
  mayShare(server: ServerConnection): boolean;
  granted(server: ServerConnection): void;
  /** `isElsewhere`: nothing is wrong with the request, which should be routed again. */
  refused(error: WeirError, isElsewhere: boolean): void;
}

export class QueueEntry {
  readonly waiter: Waiter;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  isDone = false;
  private readonly queue: WaitQueue;

  constructor(queue: WaitQueue, waiter: Waiter, sinceMs: number, deadlineMs: number) {
    this.queue = queue;
    this.waiter = waiter;
    this.sinceMs = sinceMs;
    this.deadlineMs = deadlineMs;
  }

  /** The client does not wait any more. */
  cancel(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.queue.left();
  }
}

export class WaitQueue {
  private readonly entries = new Ring<QueueEntry>();
  private count = 0;

  get length(): number {
    return this.count;
  }

  /** Including the entries of clients that have left. */
  get places(): number {
    return this.entries.length;
  }

  join(waiter: Waiter, nowMs: number, deadlineMs: number): QueueEntry {
    const entry = new QueueEntry(this, waiter, nowMs, deadlineMs);
    this.entries.push(entry);
    this.count++;
    return entry;
  }

  /** The entry that has been in the queue for longest. */
  oldest(): QueueEntry | undefined {
    for (let entry = this.entries.peek(); entry !== undefined; entry = this.entries.peek()) {
      if (!entry.isDone) return entry;
      this.entries.shift();
    }
    return undefined;
  }

  /** Takes the oldest out of the queue. */
  take(): QueueEntry | undefined {
    const entry = this.oldest();
    if (entry === undefined) return undefined;
    this.entries.shift();
    entry.isDone = true;
    this.count--;
    return entry;
  }

  /** Takes out the entries for which `leaves` is true, in order. */
  takeWhere(leaves: (entry: QueueEntry) => boolean): QueueEntry[] {
    const taken: QueueEntry[] = [];
    this.entries.filter((entry) => {
      if (entry.isDone) return false;
      if (!leaves(entry)) return true;
      entry.isDone = true;
      this.count--;
      taken.push(entry);
      return false;
    });
    return taken;
  }

  /** Called by QueueEntry.cancel only. */
  left(): void {
    this.count--;
    // Entries of clients that have left must not pile up behind one that waits for long.
    if (this.entries.length > 64 && this.entries.length > 4 * this.count) this.entries.filter((entry) => !entry.isDone);
  }
}
