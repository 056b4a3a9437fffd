/**
 * What one process counts of rare events (refused log-ins, ejections, unexpected errors), and measures of itself: memory,
 * CPU, event loop, open files. Read by metrics.ts at each scrape; in a Weir with several workers, also for the others.
 */
import { readdirSync } from 'node:fs';
import { createBusyShare } from './busy-share.ts';
import { createEventLoopDelay } from './event-loop.ts';
import type { ProcessFigures, StatsSources } from './types.ts';

/** Counts by reason. Further distinct reasons count as 'other'. */
const mostReasons = 30;

class ReasonCounter {
  private readonly counts = new Map<string, number>();

  add(reason: string, count = 1): void {
    const key = this.counts.has(reason) || this.counts.size < mostReasons ? reason : 'other';
    this.counts.set(key, (this.counts.get(key) ?? 0) + count);
  }

  read(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }
}

/** Totals over all pools, including those that were removed. Keys of PoolStats.resizes are `direction:reason`. */
class ResizeTotals {
  private readonly totals = new Map<string, number>();
  private readonly seen = new WeakMap<object, Readonly<Record<string, number>>>();

  read(pools: ReturnType<StatsSources['pools']>): Record<string, number> {
    for (const pool of pools) {
      const { resizes } = pool.stats();
      const before = this.seen.get(pool) ?? {};
      for (const [key, count] of Object.entries(resizes)) {
        this.totals.set(key, (this.totals.get(key) ?? 0) + Math.max(0, count - (before[key] ?? 0)));
      }
      this.seen.set(pool, { ...resizes });
    }
    return Object.fromEntries(this.totals);
  }
}

export class ProcessCounters {
  readonly authFailures = new ReasonCounter();
  readonly ejections = new ReasonCounter();
  readonly peerCancels = new ReasonCounter();
  readonly droppedSpans = new ReasonCounter();
  unexpectedErrors = 0;
  readonly eventLoop = createEventLoopDelay();
  readonly busy = createBusyShare();
  private readonly resizes = new ResizeTotals();
  private readonly startedAtSeconds = Date.now() / 1000 - process.uptime();

  read(sources: Pick<StatsSources, 'pools'>): ProcessFigures {
    const { user, system } = process.cpuUsage();
    const { heapUsed, external, rss } = process.memoryUsage();
    return {
      authFailures: this.authFailures.read(),
      ejections: this.ejections.read(),
      peerCancels: this.peerCancels.read(),
      droppedSpans: this.droppedSpans.read(),
      resizes: this.resizes.read(sources.pools()),
      unexpectedErrors: this.unexpectedErrors,
      eventLoop: this.eventLoop.summary(),
      busy: this.busy.read(),
      cpuSeconds: (user + system) / 1e6,
      startedAtSeconds: this.startedAtSeconds,
      residentBytes: rss,
      heapUsedBytes: heapUsed,
      externalBytes: external,
      openFiles: openFiles(),
    };
  }
}

/** @returns undefined on systems other than Linux */
function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}
