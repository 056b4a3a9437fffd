/**
 * Notes every two seconds what this process does, from its start on: who opens the page in an incident sees what was before. Costs
 * a look at the counters of databases and pools. Made by app/parts.ts, started and stopped by app/lifecycle.ts.
 */
import { byRoute } from '../../util/by-route.ts';
import { History, slotAt } from './history.ts';
import { countedLength, indexOf, latencyOf, rowLength, slotMs, waitsOf } from './noted.ts';
import type { Slot } from './slot-types.ts';
import type { StatsSources } from '../types.ts';

type Sources = Pick<StatsSources, 'databaseStats' | 'pools' | 'topologies' | 'cacheStats'>;

export interface RecorderOptions {
  readonly sources: Sources;
  clientCount(): number;
  /** How late timers fire, p99 of the last seconds. */
  loopDelayMs(): number;
  epochMs(): number;
  residentBytes(): number;
  onError(error: unknown): void;
}

/** After a pause of this many slots (a machine that slept) what was counted meanwhile is not spread over them. */
const mostMissed = 15;
/** A timer may fire early by a little. */
const leewayMs = 20;

export class Recorder {
  private readonly options: RecorderOptions;
  private readonly history = new History();
  private before: Float64Array | undefined;
  private lastSlot = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: RecorderOptions) {
    this.options = options;
  }

  start(): void {
    if (this.timer !== undefined) return;
    this.before = this.read();
    this.lastSlot = slotAt(this.options.epochMs()) - 1;
    this.schedule();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** The last ones, at most. */
  last(count: number): Slot[] {
    const now = slotAt(this.options.epochMs());
    return this.history.between(now - count, now);
  }

  private schedule(): void {
    const delayMs = slotMs - (this.options.epochMs() % slotMs) + leewayMs;
    this.timer = setTimeout(() => this.tick(), delayMs).unref();
  }

  private tick(): void {
    this.schedule();
    try {
      this.note();
    } catch (error) {
      this.options.onError(error);
    }
  }

  /** Notes the slot that has ended, and those before it that this process was too busy for. */
  note(): void {
    const slot = slotAt(this.options.epochMs()) - 1;
    const isClockBack = slot < this.lastSlot - 1;
    if (slot <= this.lastSlot && !isClockBack) return;
    const now = this.read();
    const row = changed(this.before ?? now, now);
    const missed = isClockBack ? 1 : slot - this.lastSlot;
    const shares = missed > mostMissed ? 1 : missed;
    for (let i = 0; i < countedLength; i++) row[i] = (row[i] as number) / shares;
    for (let each = slot - shares + 1; each <= slot; each++) this.history.add({ slot: each, row });
    this.before = now;
    this.lastSlot = slot;
  }

  private read(): Float64Array {
    const row = new Float64Array(rowLength);
    const { sources } = this.options;
    const set = (name: Parameters<typeof indexOf>[0], value: number): void => void (row[indexOf(name)] = value);
    readDatabases(row, sources);
    readPools(row, sources);
    const { hits, misses } = sources.cacheStats();
    set('hits', hits);
    set('misses', misses);
    set('clients', this.options.clientCount());
    set('lagMs', largestLagMs(sources));
    set('loopDelayMs', this.options.loopDelayMs());
    set('memoryBytes', this.options.residentBytes());
    return row;
  }
}

/** Counters less what they were. Where one has fallen, because a pool or a database is gone, nothing is known of these two seconds. */
function changed(before: Float64Array, now: Float64Array): Float64Array {
  const row = now.slice();
  for (let i = 0; i < countedLength; i++) row[i] = (now[i] as number) - (before[i] as number);
  const waits = waitsOf(row);
  if (waits.some((value) => value < 0)) waits.fill(0);
  if (row.subarray(0, countedLength).some((value) => value < 0)) row.fill(0, 0, countedLength);
  return row;
}

function readDatabases(row: Float64Array, sources: Sources): void {
  const latency = latencyOf(row);
  const [primary, errors, unserved] = [indexOf('primary'), indexOf('errors'), indexOf('unserved')];
  for (const stats of sources.databaseStats()) {
    for (const counts of stats.durations)
      for (let i = 0; i < latency.length; i++) latency[i] = (latency[i] as number) + (counts[i] ?? 0);
    const answered = byRoute(stats.byLabel);
    row[primary] = (row[primary] as number) + answered.primary;
    row[primary + 1] = (row[primary + 1] as number) + answered.replica;
    row[primary + 2] = (row[primary + 2] as number) + answered.cache;
    row[errors] = (row[errors] as number) + answered.errors;
    row[unserved] = (row[unserved] as number) + stats.unserved;
  }
}

function readPools(row: Float64Array, sources: Sources): void {
  const waits = waitsOf(row);
  const add = (name: Parameters<typeof indexOf>[0], value: number): void => {
    row[indexOf(name)] = (row[indexOf(name)] as number) + value;
  };
  for (const pool of sources.pools()) {
    const stats = pool.stats();
    const { counts, count } = pool.waitHistogram();
    let below = 0;
    for (let i = 0; i < waits.length; i++) {
      const upTo = counts[i] ?? count;
      waits[i] = (waits[i] as number) + upTo - below;
      below = upTo;
    }
    add('active', stats.active + stats.resetting);
    add('open', stats.active + stats.resetting + stats.idle);
    add('waiting', stats.waiting);
    add('limit', stats.limit);
    const longest = indexOf('longestWaitMs');
    row[longest] = Math.max(row[longest] as number, stats.maxWaitMs);
  }
}

function largestLagMs({ topologies }: Sources): number {
  let largest = -1;
  for (const topology of topologies())
    for (const { lagMs, isUp } of topology.snapshot().replicas)
      if (isUp && Number.isFinite(lagMs)) largest = Math.max(largest, lagMs);
  return largest;
}
