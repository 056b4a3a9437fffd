/**
 * The figures of the pools of this worker, for the worker that resizes those of all. Notes many times a second how many
 * connections are in use, so that the peaks of several workers can be compared. Made by worker-resizing.ts.
 */
import type { PoolControl } from '../pool/types.ts';
import type { WorkerSample } from '../sizing/merged-samples.ts';
import { notePeakEveryMs, PeakSlots } from '../sizing/peak-slots.ts';
import { findNodes, type FindNode, type PoolSources } from '../sizing/resize-loop.ts';
import { serverKey } from '../util/server-key.ts';

export class PoolSamples {
  private readonly sources: PoolSources;
  private readonly sharedNowMs: () => number;
  private readonly peaks = new WeakMap<PoolControl, PeakSlots>();
  private timer: NodeJS.Timeout | undefined;

  /** @param sharedNowMs the time of all workers (shared-time.ts) */
  constructor(sources: PoolSources, sharedNowMs: () => number) {
    this.sources = sources;
    this.sharedNowMs = sharedNowMs;
  }

  start(): void {
    this.timer ??= setInterval(() => this.note(), notePeakEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private note(): void {
    const nowMs = this.sharedNowMs();
    for (const pool of this.sources.pools()) this.peaksOf(pool).note(nowMs, pool.takePeakInUse());
  }

  private peaksOf(pool: PoolControl): PeakSlots {
    let peaks = this.peaks.get(pool);
    if (peaks === undefined) this.peaks.set(pool, (peaks = new PeakSlots()));
    return peaks;
  }

  /** Those since the last call. A pool whose server is not known is left out: it is about to be closed. */
  take(): readonly WorkerSample[] {
    this.note();
    const nodeOf = findNodes(this.sources);
    return Array.from(this.sources.pools(), (pool) => this.sample(pool, nodeOf)).flatMap((sample) => sample ?? []);
  }

  private sample(pool: PoolControl, nodeOf: FindNode): WorkerSample | undefined {
    const stats = pool.stats();
    const found = nodeOf(stats);
    if (found === undefined) return undefined;
    const { database, user, node } = stats;
    const { defaultPoolSize, maxDbConnections, reservePoolSize, reservePoolTimeoutMs } = this.sources.poolSettings(
      database,
      user,
    );
    return {
      pool: { database, user, node, server: serverKey(found.config) },
      stats,
      maxWaitMs: pool.takeMaxWaitMs(),
      peaks: this.peaksOf(pool).take(),
      serverFull: pool.takeServerFull(),
      defaultSize: defaultPoolSize,
      reserveSize: reservePoolSize,
      reserveTimeoutMs: reservePoolTimeoutMs,
      maxDbConnections,
      connectionLimit: found.connectionLimit,
    };
  }
}
