/**
 * Looks at memory from time to time and decides: at 0.8 of what the process may have, caches shrink and new clients wait; at 0.9,
 * the largest holders are shed. Before it does anything, garbage is collected, since what nobody uses any more must not cost a
 * client its connection. Made by app/memory.ts, which has the timer. No I/O.
 */
import { Caches } from './caches.ts';
import { Gate } from './gate.ts';
import { InUse } from './in-use.ts';
import { pickLargest } from './largest.ts';
import { calmShare, nextMemoryState, tightShare } from './state.ts';
import type { Cache, Holder, Limit, MemoryFigures, MemoryState, Reading, ShedReason } from './types.ts';

/** Between two looks: while all is well, and while it is not. */
const calmMs = 250;
const busyMs = 100;
/** Garbage is collected at most once in this time, and for at most this share of the time. */
const collectEveryMs = 500;
const collectShare = 0.05;
/** And less often when only caches have to know whether they may grow. */
const collectForCachesMs = 10_000;
/**
 * Clients in a transaction are shed too when the others were not enough so many times in a row and for so long, or this share is in
 * use. It takes a second until it is known of a client that it does not read.
 */
const transactionsAfterTimes = 3;
const transactionsAfterMs = 2_000;
const transactionsShare = 0.96;

export interface MemoryOptions {
  /** What this process may have at present. */
  limit(): Limit;
  read(): Reading;
  /** Collects garbage. @returns the CPU time that it took, in ms */
  collect(): number;
  nowMs(): number;
  readonly caches: readonly Cache[];
  /** The clients that hold much. */
  holders(): Iterable<Holder>;
  onState(now: MemoryState, before: MemoryState, figures: MemoryFigures): void;
  onShed(holder: Holder, figures: MemoryFigures): void;
}

export class MemoryMonitor {
  readonly gate = new Gate();
  private readonly options: MemoryOptions;
  private readonly caches: Caches;
  private readonly inUse = new InUse();
  private readonly shedClients: Record<ShedReason, number> = { unread: 0, statement: 0, prepared: 0 };
  private state: MemoryState = 'normal';
  private reading: Reading;
  private limit: Limit;
  private usedBytes = 0;
  private nextCollectionMs = -Infinity;
  /** Garbage was collected, and nothing was decided since. */
  private isCollected = false;
  /** How often in a row, and since when, the clients outside of transactions held too little. */
  private shortTimes = 0;
  private shortSinceMs = 0;

  constructor(options: MemoryOptions) {
    this.options = options;
    this.caches = new Caches(options.caches);
    this.reading = options.read();
    this.limit = options.limit();
    this.look(options.nowMs());
  }

  /** One look. @returns ms until the next */
  pass(): number {
    const { options } = this;
    const nowMs = options.nowMs();
    this.look(nowMs);
    if (this.state === 'normal' && this.share < tightShare) {
      this.isCollected = false;
      this.gate.set(true);
      // Some of what is in use may be garbage.
      const isIdle = nowMs >= this.nextCollectionMs + collectForCachesMs;
      if (!this.caches.grow(this.share, nowMs) && isIdle) this.collect(nowMs);
      return calmMs;
    }
    // Buffers are freed a moment after their collection: the next look sees it.
    if (this.isCollected) this.decide(nowMs);
    else if (nowMs >= this.nextCollectionMs) this.collect(nowMs);
    return busyMs;
  }

  private look(nowMs: number): void {
    this.reading = this.options.read();
    this.limit = this.options.limit();
    this.usedBytes = this.inUse.note(this.reading, this.limit, nowMs);
  }

  private get share(): number {
    const { heapUsedBytes, heapLimitBytes } = this.reading;
    return Math.max(this.usedBytes / this.limit.bytes, heapUsedBytes / heapLimitBytes);
  }

  private collect(nowMs: number): void {
    const tookMs = this.options.collect();
    this.nextCollectionMs = nowMs + Math.max(collectEveryMs, tookMs / collectShare);
    this.isCollected = true;
  }

  private decide(nowMs: number): void {
    this.isCollected = false;
    this.enter(nextMemoryState(this.state, this.share));
    this.gate.set(this.state === 'normal');
    if (this.state === 'normal') return;
    const neededBytes = this.excessBytes;
    const freedBytes = this.caches.shrink(neededBytes, nowMs);
    if (this.state === 'critical') this.shed(neededBytes - freedBytes, nowMs);
    else this.shortTimes = 0;
  }

  /** What must be given back so that memory is no longer critical. */
  private get excessBytes(): number {
    const { heapUsedBytes, heapLimitBytes } = this.reading;
    return Math.max(this.usedBytes - calmShare * this.limit.bytes, heapUsedBytes - calmShare * heapLimitBytes);
  }

  private shed(neededBytes: number, nowMs: number): void {
    const { options, shedClients } = this;
    const holders = [...options.holders()];
    let picked = pickLargest(holders, neededBytes, false);
    if (sumOf(picked) >= neededBytes) this.shortTimes = 0;
    else if (this.mustTakeAll(nowMs)) picked = pickLargest(holders, neededBytes, true);
    for (const holder of picked) {
      shedClients[holder.reason]++;
      options.onShed(holder, this.figures());
      holder.shed();
    }
  }

  /** The clients outside of transactions hold too little. */
  private mustTakeAll(nowMs: number): boolean {
    if (this.shortTimes++ === 0) this.shortSinceMs = nowMs;
    if (this.share >= transactionsShare) return true;
    return this.shortTimes >= transactionsAfterTimes && nowMs - this.shortSinceMs >= transactionsAfterMs;
  }

  private enter(next: MemoryState): void {
    const before = this.state;
    if (next === before) return;
    this.state = next;
    this.options.onState(next, before, this.figures());
  }

  figures(): MemoryFigures {
    const { state, share, usedBytes, limit, reading, gate } = this;
    return {
      state,
      share,
      usedBytes,
      limitBytes: limit.bytes,
      limitFrom: limit.from,
      residentBytes: reading.residentBytes,
      heapUsedBytes: reading.heapUsedBytes,
      heapLimitBytes: reading.heapLimitBytes,
      cacheShare: this.caches.share,
      waitingClients: gate.waitingClients,
      shedClients: { ...this.shedClients },
      refusedClients: gate.refusedClients,
    };
  }
}

function sumOf(holders: readonly Holder[]): number {
  return holders.reduce((sum, { bytes }) => sum + bytes, 0);
}
