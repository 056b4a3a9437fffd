/**
 * The clients of one user and one priority in the queue of a pool, in the order in which they came. One that leaves holds up
 * nobody. Used by wait-queue.ts.
 */
import { Ring } from '../util/ring.ts';
import type { Priority, Waiter } from './waiter.ts';

/** A client in the queue. */
export class QueueEntry {
  readonly waiter: Waiter;
  readonly line: WaitLine;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  isDone = false;
  /** Its client was told that it waits (query_wait_notify). */
  isTold = false;

  constructor(waiter: Waiter, line: WaitLine, sinceMs: number, deadlineMs: number) {
    this.waiter = waiter;
    this.line = line;
    this.sinceMs = sinceMs;
    this.deadlineMs = deadlineMs;
  }

  /** The client does not wait any more. */
  cancel(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.line.left();
  }
}

/** What became of the clients of a line in one interval. */
export interface LineFigures {
  /** Infinity: nobody was served. */
  smallestMs: number;
  served: number;
  gaveUp: number;
}

export class WaitLine {
  readonly user: string;
  readonly priority: Priority;
  private readonly entries = new Ring<QueueEntry>();
  private count = 0;
  private readonly onLeft: () => void;
  private figures: LineFigures = newFigures();
  private interval = 0;

  /** @param onLeft is called when a client leaves by itself */
  constructor(user: string, priority: Priority, onLeft: () => void) {
    this.user = user;
    this.priority = priority;
    this.onLeft = onLeft;
  }

  get length(): number {
    return this.count;
  }

  /** Including the entries of clients that have left. */
  get places(): number {
    return this.entries.length;
  }

  join(waiter: Waiter, sinceMs: number, deadlineMs: number): QueueEntry {
    const entry = new QueueEntry(waiter, this, sinceMs, deadlineMs);
    this.entries.push(entry);
    this.count++;
    return entry;
  }

  /** @param interval another number than the last time: they begin anew */
  figuresIn(interval: number): LineFigures {
    if (interval !== this.interval) this.figures = newFigures();
    this.interval = interval;
    return this.figures;
  }

  oldest(): QueueEntry | undefined {
    for (let entry = this.entries.peek(); entry !== undefined; entry = this.entries.peek()) {
      if (!entry.isDone) return entry;
      this.entries.shift();
    }
    return undefined;
  }

  newest(): QueueEntry | undefined {
    for (let entry = this.entries.last(); entry !== undefined; entry = this.entries.last()) {
      if (!entry.isDone) return entry;
      this.entries.pop();
    }
    return undefined;
  }

  /** Takes out the one that oldest() or newest() has returned. */
  take(entry: QueueEntry): void {
    if (this.entries.peek() === entry) this.entries.shift();
    else this.entries.pop();
    entry.isDone = true;
    this.count--;
  }

  /** Moves the entries for which `leaves` is true to `taken`, in order. */
  takeWhere(leaves: (entry: QueueEntry) => boolean, taken: QueueEntry[]): void {
    this.entries.filter((entry) => {
      if (entry.isDone) return false;
      if (!leaves(entry)) return true;
      entry.isDone = true;
      this.count--;
      taken.push(entry);
      return false;
    });
  }

  /** Called by QueueEntry.cancel only. */
  left(): void {
    this.count--;
    this.onLeft();
    // Entries of clients that have left must not pile up behind one that waits for long.
    if (this.entries.length > 64 && this.entries.length > 4 * this.count) this.entries.filter((entry) => !entry.isDone);
  }
}

const newFigures = (): LineFigures => ({ smallestMs: Infinity, served: 0, gaveUp: 0 });
