/**
 * What the cache's tests share: settings, a clock by hand, a tick source, keys and answers in a few letters.
 */
import { createCache } from '../../src/cache/cache.ts';
import type { CacheParts } from '../../src/cache/parts.ts';
import type { Flight, KeyParts, Lookup, ResultCache, TickSource } from '../../src/cache/types.ts';
import type { CacheSettings } from '../../src/config/config.ts';
import { createManualClock } from '../../src/util/clock.ts';
import type { ManualClock } from '../../src/util/clock.ts';
import { defaults } from '../config/defaults.ts';
import { answerOf, textIn } from './answers.ts';

export const prefix = '7001.5.';
export const users = `${prefix}r16384`;
export const orders = `${prefix}r16390`;
export const catalogTag = `${prefix}cat`;

export function settings(changes: Partial<CacheSettings> = {}): CacheSettings {
  return {
    ...defaults.cache,
    enabled: true,
    mode: 'session',
    ttlMs: 60_000,
    maxMemoryBytes: 1_000_000,
    maxEntrySizeBytes: 10_000,
    redis: undefined,
    leaseMs: 1_000,
    memberTimeoutMs: 60_000,
    tables: [],
    ...changes,
  };
}

/** Probes are answered when the test says so; `lsn` is what the next answer says. */
export class FakeTicks implements TickSource {
  tick = 1;
  lsn = 0;
  private readonly answers = new Map<number, number>();

  next(): number {
    return this.tick;
  }

  probe(lsn: number): void {
    this.answers.set(this.tick++, lsn);
  }

  lsnOf(tick: number): number | undefined {
    for (let t = tick; t < this.tick; t++) {
      const lsn = this.answers.get(t);
      if (lsn !== undefined) return lsn;
    }
    return undefined;
  }
}

export function key(sql: string, changes: Partial<KeyParts> = {}): KeyParts {
  return {
    database: 'shop',
    user: 'app',
    settings: 'TimeZone=UTC',
    shape: 'Q',
    sql: Buffer.from(sql),
    types: undefined,
    bind: undefined,
    ...changes,
  };
}

export interface Bench {
  readonly cache: ResultCache;
  readonly clock: ManualClock;
  readonly ticks: FakeTicks;
  readonly log: string[];
}

export function bench(changes: Partial<CacheSettings> = {}, parts: Partial<CacheParts> = {}): Bench {
  const clock = createManualClock(1_000);
  const ticks = new FakeTicks();
  const log: string[] = [];
  const cache = createCache(
    { settings: settings(changes), log: (_level, event, text) => log.push(`${event}: ${text}`), now: clock.nowMs },
    { random: () => 0, ...parts },
  );
  cache.attach(prefix, ticks);
  return { cache, clock, ticks, log };
}

/** The flight of a miss; throws if there is none. */
export function flightOf(lookup: Lookup): Flight {
  if (lookup.kind !== 'miss' || lookup.flight === undefined) throw new Error(`no flight: ${JSON.stringify(lookup)}`);
  return lookup.flight;
}

export function storeText(flight: Flight, text: string, isFromPrimary = true): void {
  const answer = answerOf(text);
  flight.store([answer], answer.length, isFromPrimary);
}

/** What a hit says, or "miss: why" and so on. */
export function said(lookup: Lookup): string {
  if (lookup.kind === 'hit') return textIn(lookup.parts);
  return lookup.kind === 'miss' ? `miss: ${lookup.why}` : 'wait';
}
