/**
 * The share of the time in which the event loop of this process was busy: 1 means that it has no CPU left. One per app;
 * close() stops it. Used by process-counters.ts.
 */
import { performance } from 'node:perf_hooks';
import { RecentLoad } from '../util/recent-load.ts';
import type { BusyShare } from './types.ts';

const everyMs = 1_000;

export interface BusyShareMeter {
  read(): BusyShare;
  close(): void;
}

export function createBusyShare(): BusyShareMeter {
  const load = new RecentLoad(performance.now());
  let before = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    load.note(performance.now(), performance.eventLoopUtilization(now, before).utilization);
    before = now;
  }, everyMs).unref();
  return {
    read() {
      const nowMs = performance.now();
      return { average: load.average, peak: load.peak(nowMs), observedMs: load.observedMs(nowMs) };
    },
    close: () => clearInterval(timer),
  };
}
