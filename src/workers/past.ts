/**
 * What workers that are gone have counted, so that no total of the Weir falls when a worker ends; also what a worker has
 * counted in a pool or database that it does not have any more while others do. Kept by figures-of-all.ts. No I/O.
 */
import { figureTable, poolKey } from './figure-rules.ts';
import type { Figures } from './figures.ts';
import type { Rule } from './merge-rules.ts';

/** Figures with counters in them. */
const countedKeys = [
  'pools',
  'databaseStats',
  'cacheStats',
  'stuck',
  'limits',
  'process',
  'memory',
  'console',
] as const;
type CountedKey = (typeof countedKeys)[number];

export type PastFigures = { readonly [Key in CountedKey]?: Figures[Key] };

function combined<Key extends CountedKey>(
  key: Key,
  a: Figures[Key],
  b: Figures[Key],
  by: 'join' | 'after',
): Figures[Key] {
  const rule = figureTable[key] as Rule<Figures[Key]>;
  return rule[by](a, b);
}

function joined<Key extends CountedKey>(key: Key, a: PastFigures, b: PastFigures): PastFigures {
  const [first, second] = [a[key], b[key]] as [Figures[Key] | undefined, Figures[Key] | undefined];
  if (first === undefined || second === undefined) return { [key]: first ?? second };
  return { [key]: combined(key, first, second, 'join') };
}

export function joinPast(a: PastFigures, b: PastFigures): PastFigures {
  let past: PastFigures = {};
  for (const key of countedKeys) if (key in a || key in b) past = { ...past, ...joined(key, a, b) };
  return past;
}

export function addPast(now: Figures, past: PastFigures): Figures {
  const added = <Key extends CountedKey>(key: Key): Figures[Key] => {
    const before = past[key] as Figures[Key] | undefined;
    return before === undefined ? now[key] : combined(key, now[key], before, 'after');
  };
  return {
    ...now,
    pools: added('pools'),
    databaseStats: added('databaseStats'),
    cacheStats: added('cacheStats'),
    stuck: added('stuck'),
    limits: added('limits'),
    process: added('process'),
    memory: added('memory'),
    console: added('console'),
  };
}

export function countedIn(figures: Figures): PastFigures {
  const { pools, databaseStats, cacheStats, stuck, limits, process, memory, console } = figures;
  const counted = { pools, databaseStats, cacheStats, stuck, limits, process, memory };
  return console === undefined ? counted : { ...counted, console: { ...console, clients: [] } };
}

/** Pools and databases that a worker had and has no more. */
export function vanished(before: PastFigures, now: Figures): PastFigures {
  const pools = new Set(now.pools.map(poolKey));
  const databases = new Set(now.databaseStats.map(({ database }) => database));
  return {
    pools: (before.pools ?? []).filter((pool) => !pools.has(poolKey(pool))),
    databaseStats: (before.databaseStats ?? []).filter(({ database }) => !databases.has(database)),
  };
}

/** Without the pools and databases that no worker has: their counts begin anew, as those of a single process do. */
export function withoutForgotten(past: PastFigures, living: readonly Figures[]): PastFigures {
  const pools = new Set(living.flatMap((figures) => figures.pools.map(poolKey)));
  const databases = new Set(living.flatMap((figures) => figures.databaseStats.map(({ database }) => database)));
  return {
    ...past,
    pools: (past.pools ?? []).filter((pool) => pools.has(poolKey(pool))),
    databaseStats: (past.databaseStats ?? []).filter(({ database }) => databases.has(database)),
  };
}
