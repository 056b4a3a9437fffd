/** The counters of one pool and its wait histogram. Plain fields, read at scrape; see pool/types.ts for meanings. */
import type { ConnectProblem } from './options.ts';
import { resizeKey } from './resize-words.ts';
import { waitBoundsSeconds, type PoolStats, type ResizeRecord, type WaitHistogram } from './types.ts';

type Counters = Pick<
  PoolStats,
  | 'checkouts'
  | 'waitedTotalMs'
  | 'waits'
  | 'waitTimeouts'
  | 'heldTotalMs'
  | 'connects'
  | 'connectFailures'
  | 'connectProblem'
  | 'lastResize'
  | 'resizes'
>;

export class PoolFigures {
  checkouts = 0;
  waits = 0;
  waitedTotalMs = 0;
  waitTimeouts = 0;
  heldTotalMs = 0;
  connects = 0;
  connectFailures = 0;
  connectProblem: string | undefined;
  lastResize: ResizeRecord | undefined;
  readonly resizes: Record<string, number> = {};
  /** These three since the resize controller last took them. */
  maxWaitMs = 0;
  peakInUse = 0;
  serverFull = 0;
  /** As peakInUse, since the budget last took it. */
  peakForBudget = 0;
  private readonly buckets = new Float64Array(waitBoundsSeconds.length + 1);

  waited(ms: number): void {
    this.waits++;
    this.waitedTotalMs += ms;
    if (ms > this.maxWaitMs) this.maxWaitMs = ms;
    const seconds = ms / 1000;
    let i = 0;
    while (i < waitBoundsSeconds.length && seconds > (waitBoundsSeconds[i] as number)) i++;
    this.buckets[i] = (this.buckets[i] as number) + 1;
  }

  /** The largest since the last call; `now` counts, too. */
  takePeak(which: 'maxWaitMs' | 'peakInUse' | 'peakForBudget' | 'serverFull', now: number): number {
    const peak = Math.max(this[which], now);
    this[which] = 0;
    return peak;
  }

  connectFailed({ message, isServerFull }: ConnectProblem): void {
    this.connectFailures++;
    this.connectProblem = message;
    if (isServerFull) this.serverFull++;
  }

  resized(record: ResizeRecord): void {
    this.lastResize = record;
    const key = resizeKey(record);
    this.resizes[key] = (this.resizes[key] ?? 0) + 1;
  }

  /** How long a client has a server on average. */
  get meanHoldMs(): number {
    return this.checkouts === 0 ? 0 : this.heldTotalMs / this.checkouts;
  }

  counters(): Counters {
    const { checkouts, waitedTotalMs, waits, waitTimeouts, heldTotalMs } = this;
    const { connects, connectFailures, connectProblem, lastResize, resizes } = this;
    return {
      checkouts,
      waitedTotalMs,
      waits,
      waitTimeouts,
      heldTotalMs,
      connects,
      connectFailures,
      connectProblem,
      lastResize,
      resizes,
    };
  }

  histogram(): WaitHistogram {
    let sum = 0;
    const counts = waitBoundsSeconds.map((_, i) => (sum += this.buckets[i] as number));
    return { boundsSeconds: waitBoundsSeconds, counts, sumSeconds: this.waitedTotalMs / 1000, count: this.waits };
  }
}
