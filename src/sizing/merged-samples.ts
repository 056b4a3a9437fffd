/**
 * The figures of the pools of all workers as if they were those of one process, for controller.ts. Keeps what was counted
 * while a worker did not answer, and what each worker had counted before, so that no worker that starts, ends or is silent
 * for a while looks like a change of the load. Called by workers/worker-resizing.ts.
 */
import type { PoolStats } from '../pool/types.ts';
import type { SampledPool } from './controller.ts';
import { leaseKey, type LeasedPool } from './lease-types.ts';
import type { PeakSlot } from './peak-slots.ts';

/** A pool in one worker. The maxima and serverFull are since the last sample. */
export interface WorkerSample {
  readonly pool: LeasedPool;
  readonly stats: PoolStats;
  readonly maxWaitMs: number;
  readonly peaks: readonly PeakSlot[];
  readonly serverFull: number;
  readonly defaultSize: number;
  readonly reserveSize: number;
  readonly reserveTimeoutMs: number;
  /** 0: no bound. */
  readonly maxDbConnections: number;
  /** Of the server, 0: this worker does not know it. */
  readonly connectionLimit: number;
}

export interface SamplesOfWorker {
  /** No other process has the same number, before or later. */
  readonly worker: number;
  readonly samples: readonly WorkerSample[];
}

type Counted = Pick<PoolStats, 'checkouts' | 'heldTotalMs'>;

/** What is known of a pool of the whole Weir. */
class MergedPool {
  readonly pool: LeasedPool;
  /** The last sample of each worker, and what it had counted when totals were made up last. */
  readonly samples = new Map<number, WorkerSample>();
  private readonly before = new Map<number, Counted>();
  private readonly total = { checkouts: 0, heldTotalMs: 0 };
  private maxWaitMs = 0;
  private serverFull = 0;
  private readonly peaks = new Map<number, Map<number, number>>();

  constructor(pool: LeasedPool) {
    this.pool = pool;
  }

  add(worker: number, sample: WorkerSample): void {
    this.samples.set(worker, sample);
    this.maxWaitMs = Math.max(this.maxWaitMs, sample.maxWaitMs);
    this.serverFull += sample.serverFull;
    for (const [slot, inUse] of sample.peaks) {
      let ofSlot = this.peaks.get(slot);
      if (ofSlot === undefined) this.peaks.set(slot, (ofSlot = new Map<number, number>()));
      // Two samples may share a slot.
      ofSlot.set(worker, Math.max(ofSlot.get(worker) ?? 0, inUse));
    }
  }

  take(): SampledPool<LeasedPool> {
    this.count();
    const samples = [...this.samples.values()];
    const sampled = {
      key: this.pool,
      sample: {
        stats: mergeStats(samples, this.total),
        maxWaitMs: this.maxWaitMs,
        peakInUse: this.peakInUse(),
        serverFull: this.serverFull,
        defaultSize: Math.min(...samples.map(({ defaultSize }) => defaultSize)),
        reserveSize: Math.min(...samples.map(({ reserveSize }) => reserveSize)),
        reserveTimeoutMs: Math.max(...samples.map(({ reserveTimeoutMs }) => reserveTimeoutMs)),
      },
      server: this.pool.server,
      connectionLimit: leastKnown(samples.map(({ connectionLimit }) => connectionLimit)),
      maxDbConnections: leastKnown(samples.map(({ maxDbConnections }) => maxDbConnections)),
    };
    this.maxWaitMs = 0;
    this.serverFull = 0;
    this.peaks.clear();
    this.samples.clear();
    return sampled;
  }

  /** Of a worker that is seen for the first time, what it has counted before is not of this time. */
  private count(): void {
    for (const worker of this.before.keys()) if (!this.samples.has(worker)) this.before.delete(worker);
    for (const [worker, { stats }] of this.samples) {
      const { checkouts, heldTotalMs } = stats;
      const before = this.before.get(worker) ?? stats;
      this.total.checkouts += Math.max(0, checkouts - before.checkouts);
      this.total.heldTotalMs += Math.max(0, heldTotalMs - before.heldTotalMs);
      this.before.set(worker, { checkouts, heldTotalMs });
    }
  }

  private peakInUse(): number {
    let peak = 0;
    for (const ofSlot of this.peaks.values()) {
      let sum = 0;
      for (const inUse of ofSlot.values()) sum += inUse;
      peak = Math.max(peak, sum);
    }
    return peak;
  }
}

export class MergedSamples {
  private readonly pools = new Map<string, MergedPool>();

  /** @param isComplete false: not every worker has answered, and take() must wait for a time when all do */
  add(workers: readonly SamplesOfWorker[], isComplete: boolean): void {
    for (const { worker, samples } of workers) for (const sample of samples) this.poolOf(sample).add(worker, sample);
    if (!isComplete) return;
    // Forgets what earlier rounds have added of workers that have ended, and of pools that all workers have closed.
    const present = new Map(workers.map(({ worker, samples }) => [worker, new Set(samples)]));
    for (const [key, merged] of this.pools) {
      for (const [worker, sample] of merged.samples)
        if (present.get(worker)?.has(sample) !== true) merged.samples.delete(worker);
      if (merged.samples.size === 0) this.pools.delete(key);
    }
  }

  /** What has happened since the last call. */
  take(): SampledPool<LeasedPool>[] {
    return Array.from(this.pools.values(), (merged) => merged.take());
  }

  private poolOf({ pool }: WorkerSample): MergedPool {
    const key = leaseKey(pool);
    let merged = this.pools.get(key);
    if (merged === undefined) this.pools.set(key, (merged = new MergedPool(pool)));
    return merged;
  }
}

/** The limits are those of the whole Weir: where a worker does not know the last change yet, the supervisor tells. */
function mergeStats(samples: readonly WorkerSample[], counted: Counted): PoolStats {
  const all = samples.map(({ stats }) => stats);
  const [first] = all;
  if (first === undefined) throw new Error('a pool without a sample');
  const sum = (figure: 'active' | 'idle' | 'login' | 'resetting' | 'pinned' | 'waiting'): number =>
    all.reduce((total, stats) => total + stats[figure], 0);
  return {
    ...first,
    ...counted,
    limit: Math.max(...all.map(({ limit }) => limit)),
    min: Math.max(...all.map(({ min }) => min)),
    max: Math.min(...all.map(({ max }) => max)),
    active: sum('active'),
    idle: sum('idle'),
    login: sum('login'),
    resetting: sum('resetting'),
    pinned: sum('pinned'),
    waiting: sum('waiting'),
    maxWaitMs: Math.max(...all.map(({ maxWaitMs }) => maxWaitMs)),
    isPaused: all.some(({ isPaused }) => isPaused),
  };
}

/** The smallest that is not 0. */
function leastKnown(values: readonly number[]): number {
  const known = values.filter((value) => value > 0);
  return known.length === 0 ? 0 : Math.min(...known);
}
