/** Simulated time: things that happen at a moment, in order. The production code gets its clock from here. */
import type { Clock } from '../../src/util/clock.ts';

interface Event {
  readonly atMs: number;
  /** Events of one moment happen in the order in which they were planned. */
  readonly number: number;
  readonly happens: () => void;
  isCancelled: boolean;
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number);

export class Events implements Clock {
  private readonly heap: Event[] = [];
  private now = 0;
  private planned = 0;
  private isTurnOver = false;

  nowMs(): number {
    return this.now;
  }

  /** @returns cancels it */
  after(ms: number, happens: () => void): () => void {
    const event: Event = { atMs: this.now + Math.max(0, ms), number: this.planned++, happens, isCancelled: false };
    this.heap.push(event);
    this.up(this.heap.length - 1);
    return () => void (event.isCancelled = true);
  }

  /** What happens now goes on in the next turn of the event loop (sockets that close). */
  needsTurn(): void {
    this.isTurnOver = true;
  }

  /** Lets time pass. What the production code does in promises is done before the next event. */
  async run(untilMs: number): Promise<void> {
    for (let next = this.heap[0]; next !== undefined && next.atMs <= untilMs; next = this.heap[0]) {
      this.pop();
      if (next.isCancelled) continue;
      this.now = next.atMs;
      next.happens();
      for (let i = 0; i < 4; i++) await Promise.resolve();
      if (!this.isTurnOver) continue;
      this.isTurnOver = false;
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    }
    this.now = untilMs;
  }

  private pop(): void {
    const last = this.heap.pop() as Event;
    if (this.heap.length === 0) return;
    this.heap[0] = last;
    let at = 0;
    for (;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let first = at;
      for (const child of [left, right]) {
        const [one, other] = [this.heap[child], this.heap[first] as Event];
        if (one !== undefined && isBefore(one, other)) first = child;
      }
      if (first === at) return;
      this.swap(at, first);
      at = first;
    }
  }

  private up(at: number): void {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(this.heap[at] as Event, this.heap[parent] as Event)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private swap(a: number, b: number): void {
    const kept = this.heap[a] as Event;
    this.heap[a] = this.heap[b] as Event;
    this.heap[b] = kept;
  }
}

/** Numbers from 0 to 1 that are the same in each run. Mulberry32 (Tommy Ettinger, public domain). */
export function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
