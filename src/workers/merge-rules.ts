/**
 * How a figure of several workers becomes one: a rule for each field of a row. Pure. The tables that use these rules are in
 * figure-rules.ts; a field without a rule does not compile.
 */

export interface Rule<V> {
  /** The figure of two workers that run. */
  join(a: V, b: V): V;
  /** Adds what a worker that is gone has counted: a counter never falls because a worker has died. */
  after(now: V, past: V): V;
}

export type Rules<T> = { readonly [Key in keyof T]-?: Rule<T[Key]> };

const keep = <V>(now: V): V => now;

const first: Rule<never> = { join: keep, after: keep };
const firstKnown: Rule<unknown> = { join: (a, b) => a ?? b, after: keep };
/** Where all workers have the same: that of the first. */
export const same = <V>(): Rule<V> => first as Rule<unknown> as Rule<V>;
/** What only some of them may know: that of the first who does. */
export const known = <V>(): Rule<V> => firstKnown as Rule<V>;
/** The parts of a key as one text. */
export const joined = (...parts: readonly string[]): string => parts.join('\0');
/** How many there are now. */
export const sum: Rule<number> = { join: (a, b) => a + b, after: keep };
/** How many there were since the start. */
export const count: Rule<number> = { join: (a, b) => a + b, after: (a, b) => a + b };
export const largest: Rule<number> = { join: Math.max, after: keep };
export const smallest: Rule<number> = { join: Math.min, after: keep };
export const earliest: Rule<number> = { join: Math.min, after: Math.min };
export const ifAny: Rule<boolean> = { join: (a, b) => a || b, after: keep };
/** Undefined: no. */
export const ifAnySays: Rule<boolean | undefined> = { join: (a, b) => a === true || b === true, after: keep };
export const ifAll: Rule<boolean> = { join: (a, b) => a && b, after: keep };
/** Not known on every system. */
export const sumIfKnown: Rule<number | undefined> = {
  join: (a, b) => (a === undefined || b === undefined ? undefined : a + b),
  after: keep,
};

function joinCounts<Key extends string>(
  a: Readonly<Record<Key, number>>,
  b: Readonly<Record<Key, number>>,
  join: (a: number, b: number) => number,
): Readonly<Record<Key, number>> {
  const joined: Record<Key, number> = { ...a };
  for (const [key, value] of Object.entries(b) as [Key, number][]) {
    joined[key] = key in joined ? join(joined[key], value) : value;
  }
  return joined;
}

const plus = (a: number, b: number): number => a + b;

/** Counts since the start, by a word. */
export function counts<Key extends string>(): Rule<Readonly<Record<Key, number>>> {
  return { join: (a, b) => joinCounts(a, b, plus), after: (a, b) => joinCounts(a, b, plus) };
}

/** Counts of something that happens to all workers at once. */
export function sharedCounts<Key extends string>(): Rule<Readonly<Record<Key, number>>> {
  return { join: (a, b) => joinCounts(a, b, Math.max), after: (a, b) => joinCounts(a, b, Math.max) };
}

const addLists = (a: readonly number[], b: readonly number[]): readonly number[] =>
  a.map((value, index) => value + (b[index] ?? 0));
export const countList: Rule<readonly number[]> = { join: addLists, after: addLists };

/** One may be shorter: a worker of an older version has it, which a restart is about to replace. */
const addArrays = (a: Float64Array, b: Float64Array): Float64Array =>
  a.length < b.length ? addArrays(b, a) : a.map((value, index) => value + (b[index] ?? 0));
export const countArray: Rule<Float64Array> = { join: addArrays, after: addArrays };

const addArrayLists = (a: readonly Float64Array[], b: readonly Float64Array[]): readonly Float64Array[] =>
  a.length < b.length ? addArrayLists(b, a) : a.map((list, index) => addArrays(list, b[index] ?? new Float64Array(0)));
export const countArrays: Rule<readonly Float64Array[]> = { join: addArrayLists, after: addArrayLists };

/** Rows of which each worker has its own. */
export function each<V>(): Rule<readonly V[]> {
  return { join: (a, b) => [...a, ...b], after: keep };
}

/** Names that several workers may have. */
export const union: Rule<readonly string[]> = { join: (a, b) => [...new Set([...a, ...b])], after: keep };

function combine<T extends object>(rules: Rules<T>, a: T, b: T, by: 'join' | 'after'): T {
  const joined: Partial<T> = {};
  for (const key of Object.keys(rules) as (keyof T)[]) {
    if (key in a || key in b) joined[key] = rules[key][by](a[key], b[key]);
  }
  return joined as T;
}

/** A row, each field of which has a rule. */
export function row<T extends object>(rules: Rules<T>): Rule<T> {
  return { join: (a, b) => combine(rules, a, b, 'join'), after: (a, b) => combine(rules, a, b, 'after') };
}

/** A figure that a worker of an older version, which a restart is about to replace, does not have. */
export function ifBoth<V>(rule: Rule<V>): Rule<V> {
  const known = (a: V, b: V, by: 'join' | 'after'): V => (a === undefined ? b : b === undefined ? a : rule[by](a, b));
  return { join: (a, b) => known(a, b, 'join'), after: (a, b) => known(a, b, 'after') };
}

/**
 * Rows that several workers may have, joined by their key. What a worker that is gone has counted is added to rows that
 * still exist.
 */
export function byKey<T>(keyOf: (row: T) => string, rule: Rule<T>): Rule<readonly T[]> {
  const joined = (a: readonly T[], b: readonly T[], by: 'join' | 'after'): readonly T[] => {
    const rows = new Map(a.map((one) => [keyOf(one), one]));
    for (const other of b) {
      const key = keyOf(other);
      const found = rows.get(key);
      if (found !== undefined) rows.set(key, rule[by](found, other));
      else if (by === 'join') rows.set(key, other);
    }
    return [...rows.values()];
  };
  return { join: (a, b) => joined(a, b, 'join'), after: (a, b) => joined(a, b, 'after') };
}
