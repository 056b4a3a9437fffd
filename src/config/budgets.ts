/**
 * The type of the setting `budgets`: a map of objectives, each of which has a budget. A database changes the map for all
 * databases key by key. Used by settings-budgets.ts.
 */
import { errorShare, lag, latency, ofTag, percentiles, utilisation } from '../budgets/objectives.ts';
import {
  budgetActions,
  budgetKeys,
  type BudgetAction,
  type BudgetKey,
  type BudgetSettings,
  type Objective,
} from '../budgets/types.ts';
import { meantHint } from './suggest.ts';
import { duration, formatDuration, longestDurationMs, type Parsed, type ValueType } from './values.ts';
import { entriesOf, readYaml } from './yaml.ts';

const example = '{ reads: { p95: 50ms }, errors: 0.1% }';
/** Each takes memory in every process, and a line for each of its budgets. */
const mostTags = 20;
/** Those that are about statements, which have tags. */
const tagKeys = ['reads', 'writes', 'errors'] as const;
const allKeys = [...budgetKeys, 'tags', 'actions'] as const;
/** Durations of statements are counted up to 10 s; what takes longer is one number. */
const statementTime = duration(1, 10_000);
const lagTime = duration(1, longestDurationMs);

/** What is wrong with the map; caught by parse(). */
class Refused extends Error {}

export function budgetMap(): ValueType<BudgetSettings> {
  const allowed = `a map such as ${example} with the keys ${allKeys.join(', ')}`;
  const parse = (raw: unknown): Parsed<BudgetSettings> => {
    const entries = entriesOf(raw);
    if (entries === undefined) return { refused: `is not ${allowed}` };
    try {
      return { value: settingsIn(entries) };
    } catch (error) {
      if (error instanceof Refused) return { refused: `is wrong: ${error.message}` };
      throw error;
    }
  };
  const parseText = (text: string): Parsed<BudgetSettings> => {
    if (/^\s*(null|none|off)?\s*$/i.test(text)) return { value: {} };
    const { root, problems } = readYaml(text);
    return problems.length > 0 ? { refused: `is not ${allowed}` } : parse(root);
  };
  const over = (global: BudgetSettings, own: BudgetSettings): BudgetSettings => ({ ...global, ...own });
  return { name: 'budgets', allowed, parse, parseText, format, over };
}

function unknown(what: string, key: string, keys: readonly string[]): Refused {
  const hint = meantHint(key, keys) || `: known are ${keys.join(', ')}`;
  return new Refused(`unknown ${what} ${key.slice(0, 63)}${hint}`);
}

/** @throws Refused */
function settingsIn(entries: readonly (readonly [string, unknown])[]): BudgetSettings {
  const found: { -readonly [Key in keyof BudgetSettings]: BudgetSettings[Key] } = {};
  for (const [name, raw] of entries) {
    const key = known('budget', name, allKeys);
    if (key === 'tags') found.tags = tagged(raw);
    else if (key === 'actions') found.actions = actions(raw);
    else found[key] = objectives(key, raw);
  }
  return found;
}

function known<Key extends string>(what: string, key: string, keys: readonly Key[]): Key {
  const found = keys.find((each) => each === key);
  if (found === undefined) throw unknown(what, key, keys);
  return found;
}

/** @throws Refused */
function actions(raw: unknown): readonly BudgetAction[] {
  if (raw === null || raw === undefined) return [];
  if (!Array.isArray(raw)) throw new Refused(`actions is not a list such as [${budgetActions.join(', ')}]`);
  const wanted = new Set(raw.map((each) => known('action', String(each), budgetActions)));
  return budgetActions.filter((action) => wanted.has(action));
}

/** @throws Refused */
function tagged(raw: unknown): NonNullable<BudgetSettings['tags']> {
  if (raw === null || raw === undefined) return {};
  const entries = entriesOf(raw);
  if (entries === undefined) throw new Refused('tags is not a map such as { checkout: { reads: { p95: 20ms } } }');
  if (entries.length > mostTags) throw new Refused(`tags has ${entries.length} tags: at most ${mostTags} are counted`);
  return Object.fromEntries(entries.map(([tag, own]) => [tag, ofOneTag(tag, own)]));
}

function ofOneTag(tag: string, raw: unknown): readonly Objective[] {
  const label = `tag ${tag.slice(0, 63)}`;
  // In a hint, a tag ends at a comma or a space.
  if (!/^[^\s,]{1,200}$/.test(tag)) throw new Refused(`${label}: no hint can name it`);
  const entries = entriesOf(raw) ?? [];
  if (entries.length === 0) throw new Refused(`${label} is not a map such as { reads: { p95: 20ms } }`);
  return entries.flatMap(([name, value]) => {
    const key = known(`budget of ${label}`, name, tagKeys);
    return objectives(key, value).map((objective) => ofTag(tag, objective));
  });
}

/** @throws Refused */
function objectives(key: BudgetKey, raw: unknown): readonly Objective[] {
  if (raw === null || raw === undefined) return [];
  switch (key) {
    case 'reads':
    case 'writes':
      return latencies(key, raw);
    case 'errors':
      return [errorShare(shareOf(key, raw, 0.001, 50, 'then each failure is beyond it, and there is nothing to burn'))];
    case 'pool_utilisation':
      return [utilisation(shareOf(key, raw, 1, 99, 'then each statement is beyond it'))];
    case 'replica_lag':
      return [lag(secondsOf(key, lagTime, raw, 'a replica always lags by something'))];
  }
}

function latencies(key: 'reads' | 'writes', raw: unknown): readonly Objective[] {
  const entries = typeof raw === 'object' ? entriesOf(raw) : undefined;
  if (entries === undefined) throw new Refused(`${key} is not a map such as { p95: 50ms }`);
  const names = Object.keys(percentiles);
  for (const [name] of entries) if (!names.includes(name)) throw unknown(`percentile of ${key}`, name, names);
  if (entries.length === 0) throw new Refused(`${key} has no objective: write { p95: 50ms }, or leave it out`);
  const given = new Map(entries);
  const found = names.flatMap((name) => {
    if (!given.has(name)) return [];
    const seconds = secondsOf(`${key} ${name}`, statementTime, given.get(name), 'no statement takes no time');
    return [latency(key, name, seconds)];
  });
  found.reduce((lower, higher) => {
    if (higher.limit < lower.limit) throw contradiction(key, lower, higher);
    return higher;
  });
  return found;
}

const text = (seconds: number): string => formatDuration(Math.round(seconds * 1000));

function contradiction(key: string, lower: Objective, higher: Objective): Refused {
  const [low, high] = [lower, higher].map(({ percentile, limit }) => `${percentile}: ${text(limit)}`);
  const follows = `${lower.percentile} is within ${text(higher.limit)}, too`;
  return new Refused(`${key} ${low} and ${high} contradict each other: if ${higher.percentile} is kept, ${follows}`);
}

const isZero = (raw: unknown): boolean =>
  raw === 0 || (typeof raw === 'string' && /^0+(\.0+)?\s*(ms|s|m|h|%)?$/.test(raw.trim()));

function secondsOf(label: string, type: ValueType<number>, raw: unknown, whyNotZero: string): number {
  if (isZero(raw))
    throw new Refused(`${label} is 0, and ${whyNotZero}: give a limit that can be kept, or leave it out`);
  const parsed = type.parse(raw);
  if ('refused' in parsed) throw new Refused(`${label} ${parsed.refused}`);
  return parsed.value / 1000;
}

/** @param least and most: in percent */
function shareOf(label: string, raw: unknown, least: number, most: number, whyNotZero: string): number {
  if (isZero(raw))
    throw new Refused(`${label} is 0, and ${whyNotZero}: give a limit that can be kept, or leave it out`);
  if (typeof raw === 'number') throw new Refused(`${label} is ${raw} without a unit: write ${raw}%`);
  const match = typeof raw === 'string' ? /^\s*(\d{1,3}(?:\.\d{1,6})?)\s*%\s*$/.exec(raw) : null;
  const percent = match === null ? NaN : Number(match[1]);
  if (percent >= least && percent <= most) return percent / 100;
  throw new Refused(`${label} is not a percentage from ${least}% to ${most}%`);
}

function format(settings: BudgetSettings): string {
  const parts = budgetKeys.flatMap((key) => {
    const list = settings[key];
    return list === undefined ? [] : [`${key}: ${formatList(list)}`];
  });
  if (settings.tags !== undefined) parts.push(`tags: ${formatTags(settings.tags)}`);
  if (settings.actions !== undefined) parts.push(`actions: [${settings.actions.join(', ')}]`);
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
}

function formatTags(tags: NonNullable<BudgetSettings['tags']>): string {
  const parts = Object.entries(tags).map(([tag, list]) => {
    const own = tagKeys.flatMap((key) => {
      const ofKey = list.filter((each) => each.key === key);
      return ofKey.length === 0 ? [] : [`${key}: ${formatList(ofKey)}`];
    });
    return `${/^[A-Za-z_]\w*$/.test(tag) ? tag : JSON.stringify(tag)}: { ${own.join(', ')} }`;
  });
  return parts.length === 0 ? 'null' : `{ ${parts.join(', ')} }`;
}

function formatList(list: readonly Objective[]): string {
  const [head] = list;
  if (head === undefined) return 'null';
  const value = ({ unit, limit }: Objective): string =>
    unit === 'seconds' ? text(limit) : `${Number((limit * 100).toFixed(6))}%`;
  if (head.percentile === undefined) return value(head);
  return `{ ${list.map((each) => `${each.percentile}: ${value(each)}`).join(', ')} }`;
}
