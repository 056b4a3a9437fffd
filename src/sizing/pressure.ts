/**
 * Decides how many connections one pool needs and wants, from its figures of half a second, and gives the reason as
 * text. A pool grows by Little's law with square-root staffing (Halfin and Whitt, 1981), and shrinks to its peak of
 * the last `shrink_after`. The caller keeps the PoolMemory. Sees one pool only; called by controller.ts.
 */
import type { ResizeReason } from '../pool/types.ts';
import { remaining } from '../util/ewma.ts';
import { serversForLoad } from '../util/staffing.ts';
import { PeakWindow } from './peak-window.ts';
import type { Demand, PoolSample, ResizeSettings } from './types.ts';
import { newReserveMemory, reserveDemand, type ReserveMemory } from './reserve.ts';

/**
 * Set after the server refused a connection (SQLSTATE 53300): the limit, until when it holds, and the length of the
 * backoff.
 */
interface Ceiling {
  limit: number;
  untilMs: number;
  backoffMs: number;
  lastFullMs: number;
}

export interface PoolMemory {
  atMs: number;
  checkouts: number;
  heldTotalMs: number;
  /** Averages over a few seconds: checkouts per ms, and ms from checkout to checkin. */
  arrivals: number;
  holdMs: number;
  /** Connections in use: over the last `shrink_after`, and over the last ten seconds. */
  peaks: PeakWindow;
  peaksWindowMs: number;
  readonly recent: PeakWindow;
  lastShrinkMs: number;
  limit: number;
  ceiling: Ceiling | undefined;
  readonly reserve: ReserveMemory;
}

const averageOverMs = 2_000;
const recentMs = 10_000;
const firstBackoffMs = 250;
const longestBackoffMs = 10_000;
/** After this time without another 53300, the pool may grow freely again. */
const forgetFullMs = 60_000;
const shrinkEveryMs = 10_000;

export function newPoolMemory(
  { stats }: Pick<PoolSample, 'stats'>,
  settings: ResizeSettings,
  nowMs: number,
): PoolMemory {
  return {
    atMs: nowMs,
    checkouts: stats.checkouts,
    heldTotalMs: stats.heldTotalMs,
    arrivals: 0,
    holdMs: 0,
    peaks: new PeakWindow(settings.shrinkAfterMs, nowMs),
    peaksWindowMs: settings.shrinkAfterMs,
    recent: new PeakWindow(recentMs, nowMs),
    lastShrinkMs: nowMs,
    limit: stats.limit,
    ceiling: undefined,
    reserve: newReserveMemory(),
  };
}

/**
 * Adds the sample to the memory and decides what the pool wants now.
 * @param nowMs monotonic time
 */
export function assess(sample: PoolSample, memory: PoolMemory, settings: ResizeSettings, nowMs: number): Demand {
  const { stats } = sample;
  updateMemory(sample, memory, settings, nowMs);
  const floor = Math.max(1, Math.min(stats.min, stats.max));
  const busy = stats.active + stats.resetting + stats.login;
  const makeDemand = (want: number, need: number, reason: ResizeReason | undefined, why: string): Demand => {
    const bounded = Math.max(floor, Math.min(want, stats.max));
    return { floor, need: Math.max(floor, Math.min(need, bounded)), want: bounded, busy, reason, why };
  };
  // Clients of a paused pool wait for RESUME, so their waits do not show that the pool is too small.
  if (stats.isPaused) return makeDemand(stats.limit, floor, undefined, '');

  const full = serverFull(sample, memory, floor, nowMs);
  if (full !== undefined) return makeDemand(full.want, full.want, 'server-full', full.why);

  const reserve = reserveDemand(sample, memory.reserve, settings.enabled ? stats.max : 0, nowMs);
  if (reserve !== undefined)
    return { floor, need: Math.max(floor, Math.min(stats.limit, stats.max)), busy, ...reserve };
  if (!settings.enabled) return makeDemand(stats.limit, stats.limit, undefined, '');

  const isStarved = stats.waiting > 0 && stats.active + stats.resetting >= stats.limit;
  const isSaturated = sample.peakInUse >= stats.limit || isStarved;
  const raiseWhy = settings.raiseWhy?.(stats.database);
  const targetWaitMs = raiseWhy === undefined ? settings.targetWaitMs : 0;
  if (sample.maxWaitMs > targetWaitMs && isSaturated) {
    const wanted = wantedUnderPressure(sample, memory, targetWaitMs);
    const want = Math.min(wanted, memory.ceiling?.limit ?? Infinity);
    if (want > stats.limit) {
      const target = `clients waited ${Math.round(sample.maxWaitMs)} ms (target ${targetWaitMs} ms${raiseWhy === undefined ? '' : `, as ${raiseWhy}`})`;
      return makeDemand(want, want, 'pressure', `${target}; ${wanted} wanted instead of ${stats.limit}`);
    }
    return makeDemand(stats.limit, stats.limit, undefined, '');
  }
  const need = Math.min(stats.limit, memory.recent.max(nowMs) + 1);
  const shrunk = surplus(sample, memory, settings, nowMs);
  if (shrunk === undefined) return makeDemand(stats.limit, need, undefined, '');
  return makeDemand(shrunk.want, Math.min(need, shrunk.want), 'surplus', shrunk.why);
}

function updateMemory(sample: PoolSample, memory: PoolMemory, settings: ResizeSettings, nowMs: number): void {
  const { stats } = sample;
  const elapsedMs = nowMs - memory.atMs;
  if (elapsedMs > 0) {
    const left = remaining(elapsedMs, averageOverMs);
    const checkouts = Math.max(0, stats.checkouts - memory.checkouts);
    const rate = checkouts / elapsedMs;
    memory.arrivals = memory.arrivals === 0 ? rate : memory.arrivals * left + rate * (1 - left);
    if (checkouts > 0) {
      const hold = Math.max(0, stats.heldTotalMs - memory.heldTotalMs) / checkouts;
      memory.holdMs = memory.holdMs === 0 ? hold : memory.holdMs * left + hold * (1 - left);
    }
  }
  memory.atMs = nowMs;
  memory.checkouts = stats.checkouts;
  memory.heldTotalMs = stats.heldTotalMs;
  if (memory.peaksWindowMs !== settings.shrinkAfterMs) {
    memory.peaks = new PeakWindow(settings.shrinkAfterMs, nowMs);
    memory.peaksWindowMs = settings.shrinkAfterMs;
  }
  const inUse = Math.max(sample.peakInUse, stats.active + stats.resetting);
  memory.peaks.add(nowMs, inUse);
  memory.recent.add(nowMs, inUse);
  // After every growth, also by an operator, a whole window must pass before the pool may shrink.
  if (stats.limit > memory.limit) memory.peaks.restart(nowMs);
  memory.limit = stats.limit;
}

/** Enough for the load and for the clients that wait now; at least one more than the limit, at most twice as many. */
function wantedUnderPressure({ stats, defaultSize }: PoolSample, memory: PoolMemory, targetWaitMs: number): number {
  const inUse = stats.active + stats.resetting;
  const load = memory.arrivals * memory.holdMs;
  const forLoad = serversForLoad(load) + stats.pinned;
  // Servers per waiting client: within the target, one server can serve targetWaitMs / holdMs clients in turn.
  const each = memory.holdMs === 0 ? 1 : Math.min(1, memory.holdMs / Math.max(1, targetWaitMs));
  const forWaiters = stats.waiting === 0 ? 0 : Math.max(inUse, stats.limit) + Math.ceil(stats.waiting * each);
  const most = Math.max(stats.limit * 2, defaultSize);
  return Math.min(Math.max(stats.limit + 1, forLoad, forWaiters), most);
}

/** After 53300 the pool keeps its open connections and does not grow during a backoff, then by one at a time. */
function serverFull(
  sample: PoolSample,
  memory: PoolMemory,
  floor: number,
  nowMs: number,
): { want: number; why: string } | undefined {
  const { stats } = sample;
  const { ceiling } = memory;
  if (sample.serverFull > 0) {
    const isRepeated = ceiling !== undefined && nowMs - ceiling.lastFullMs < forgetFullMs;
    const backoffMs = isRepeated ? Math.min(longestBackoffMs, ceiling.backoffMs * 2) : firstBackoffMs;
    const open = stats.active + stats.idle + stats.resetting;
    const limit = Math.max(floor, open);
    memory.ceiling = { limit, untilMs: nowMs + backoffMs, backoffMs, lastFullMs: nowMs };
    const why = `node ${stats.node} has no connection left for us (53300): ${open} are open, next try in ${backoffMs} ms`;
    return { want: Math.min(stats.limit, limit), why };
  }
  if (ceiling === undefined) return undefined;
  if (nowMs - ceiling.lastFullMs >= forgetFullMs) memory.ceiling = undefined;
  else if (nowMs >= ceiling.untilMs) ceiling.limit = Math.max(ceiling.limit, stats.limit + 1);
  return undefined;
}

/** One connection fewer, if over a whole window the peak was below the limit by more than a tenth of the peak. */
function surplus(
  sample: PoolSample,
  memory: PoolMemory,
  settings: ResizeSettings,
  nowMs: number,
): { want: number; why: string } | undefined {
  const { stats, defaultSize } = sample;
  if (stats.waiting > 0 || !memory.peaks.isWhole(nowMs)) return undefined;
  const peak = memory.peaks.max(nowMs);
  const margin = Math.max(1, Math.ceil(peak / 10));
  const least = Math.max(stats.min, 1, Math.min(defaultSize, stats.max), peak + margin);
  // With a short shrink_after, the steps follow each other more quickly too.
  const everyMs = Math.min(shrinkEveryMs, settings.shrinkAfterMs / 5);
  if (stats.limit <= least || nowMs - memory.lastShrinkMs < everyMs) return undefined;
  memory.lastShrinkMs = nowMs;
  const seconds = Math.round(settings.shrinkAfterMs / 1000);
  return { want: stats.limit - 1, why: `at most ${peak} of ${stats.limit} were in use for ${seconds} s` };
}
