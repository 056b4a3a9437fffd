/**
 * The type of the setting `limits`: a list of rules, each of which becomes a limit for each rate in it. Used by
 * settings-limits.ts.
 */
import type { Limit, LimitKind, RateUnit } from '../limits/types.ts';
import { networkKey, parseNetwork } from '../limits/whom.ts';
import { formatSize } from '../util/format-size.ts';
import { meantHint } from './suggest.ts';
import type { Parsed, ValueType } from './values.ts';
import { size } from './values.ts';
import { entriesOf, readYaml } from './yaml.ts';

const kinds: readonly LimitKind[] = ['statements', 'connections', 'bytes'];
const whoKeys = ['user', 'database', 'address'] as const;
const keys = ['name', ...whoKeys, ...kinds, 'burst'];
/** Each client is compared with each rule. */
const mostRules = 100;
/** More wrong rules are not told at once. */
const mostTold = 10;
const longestName = 63;
const largest = 1e9;
const secondsPer: Readonly<Record<RateUnit, number>> = { s: 1, m: 60, h: 3600 };
const bytes = size(1);

type Rule = Readonly<Record<string, unknown>>;

/** What is wrong with a rule; caught by unlessRefused(). */
class Refused extends Error {}

export function limitRules(): ValueType<readonly Limit[]> {
  const allowed = `a list of rules such as { user: "*", statements: 500/s, burst: 1000 } (at most ${mostRules})`;
  const parse = (raw: unknown): Parsed<readonly Limit[]> => {
    if (raw === null || raw === undefined) return { value: [] };
    if (!Array.isArray(raw) || raw.length > mostRules) return { refused: `is not ${allowed}` };
    const wrong: string[] = [];
    const rules = (raw as readonly unknown[]).map((rule, at) =>
      unlessRefused(() => limitsOf(rule, `rule ${at + 1}`), wrong),
    );
    if (wrong.length === 0) unlessRefused(() => checkTogether(rules.map((limits) => limits ?? [])), wrong);
    if (wrong.length > 0) return { refused: `is wrong: ${wrong.slice(0, mostTold).join('; ')}` };
    return { value: rules.flatMap((limits) => limits ?? []) };
  };
  const parseText = (text: string): Parsed<readonly Limit[]> => {
    if (/^\s*(null|none|off)?\s*$/i.test(text)) return { value: [] };
    const { root, problems } = readYaml(text);
    return problems.length > 0 ? { refused: `is not ${allowed}` } : parse(root);
  };
  return { name: 'rules', allowed, parse, parseText, format: (limits) => `[${limits.map(formatLimit).join(', ')}]` };
}

/** What is refused is noted in `wrong`. */
function unlessRefused<T>(make: () => T, wrong: string[]): T | undefined {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    wrong.push(error.message);
    return undefined;
  }
}

/** @throws Refused */
function limitsOf(raw: unknown, label: string): readonly Limit[] {
  const entries = raw === null ? undefined : entriesOf(raw);
  if (entries === undefined) throw new Refused(`${label} is not a map such as { user: "*", statements: 500/s }`);
  const rule: Rule = Object.fromEntries(entries);
  for (const [key] of entries) {
    if (keys.includes(key)) continue;
    const hint = meantHint(key, keys) || `: known are ${keys.join(', ')}`;
    throw new Refused(`${label} has the unknown key ${key.slice(0, longestName)}${hint}`);
  }
  const given = kinds.filter((kind) => rule[kind] !== undefined);
  if (given.length === 0) throw new Refused(`${label} limits nothing: give it statements, connections or bytes`);
  if (given.length > 1 && rule['burst'] !== undefined)
    throw new Refused(`${label} has a burst for ${given.join(' and ')}: write a rule for each`);
  const who = {
    user: nameOf(rule, 'user', label),
    database: nameOf(rule, 'database', label),
    address: networkOf(rule, label),
  };
  const name = rule['name'] === undefined ? whomText(who) : (nameOf(rule, 'name', label) as string);
  return given.map((kind) => {
    const { amount, unit } = rateOf(kind, rule[kind], label);
    const usual = Math.max(1, Math.ceil(amount / secondsPer[unit]));
    const burst = rule['burst'] === undefined ? usual : burstOf(kind, rule['burst'], label);
    return { name, kind, ...who, amount, unit, burst };
  });
}

function nameOf(rule: Rule, key: string, label: string): string | undefined {
  const value = rule[key];
  if (value === undefined) return undefined;
  if (typeof value === 'number') throw new Refused(`${label}: ${key}: ${value} is a number: write it in quotes`);
  if (typeof value !== 'string' || value === '' || value.length > longestName || /[\0-\x1f"]/.test(value))
    throw new Refused(`${label}: ${key} is not a name of 1 to ${longestName} characters, or "*"`);
  return value;
}

function networkOf(rule: Rule, label: string): string | undefined {
  const value = rule['address'];
  if (value === undefined || value === '*') return value;
  if (typeof value === 'string' && parseNetwork(value) !== undefined) return value;
  throw new Refused(`${label}: address is not a network such as "10.0.0.0/8" or "fd00::/8", one address, or "*"`);
}

function rateOf(kind: LimitKind, raw: unknown, label: string): { amount: number; unit: RateUnit } {
  const example = kind === 'bytes' ? '10MB/s' : '500/s';
  const wrong = (why: string): Refused => new Refused(`${label}: ${kind} ${why}: write ${example}, or /m or /h`);
  if (typeof raw === 'number') throw wrong(`is ${raw} per nothing`);
  const match = typeof raw === 'string' ? /^\s*([\d.]+\s*[a-zA-Z]*)\s*\/\s*([smh])\s*$/.exec(raw) : null;
  if (match === null) throw wrong('is not a rate');
  return { amount: amountOf(kind, match[1] ?? '', wrong), unit: match[2] as RateUnit };
}

function amountOf(kind: LimitKind, text: string, wrong: (why: string) => Refused): number {
  if (kind !== 'bytes') {
    const amount = /^\d{1,10}$/.test(text.trim()) ? Number(text) : NaN;
    if (amount >= 1 && amount <= largest) return amount;
    throw wrong(`is not a whole number from 1 to ${largest}`);
  }
  if (!/[a-z]/i.test(text)) throw wrong('has no unit (B, KB, MB or GB)');
  const parsed = bytes.parse(text);
  if ('refused' in parsed) throw wrong(parsed.refused);
  return parsed.value;
}

function burstOf(kind: LimitKind, raw: unknown, label: string): number {
  const wrong = (why: string): Refused =>
    new Refused(`${label}: burst ${why}: write ${kind === 'bytes' ? '20MB' : '1000'}`);
  if (kind !== 'bytes' && typeof raw !== 'number') throw wrong('is not a number');
  return amountOf(kind, String(raw), wrong);
}

function whomText(who: Pick<Limit, 'user' | 'database' | 'address'>): string {
  const parts = whoKeys.flatMap((key) => (who[key] === undefined ? [] : [`${key}=${who[key]}`]));
  return parts.length === 0 ? 'all' : parts.join(' ');
}

/** @throws Refused if two rules say different things about the same, or cannot be told apart */
function checkTogether(rules: readonly (readonly Limit[])[]): void {
  const seen = new Map<string, number>();
  const note = (key: string, at: number, what: string): void => {
    const before = seen.get(key);
    if (before !== undefined) throw new Refused(`rules ${before + 1} and ${at + 1} both ${what}`);
    seen.set(key, at);
  };
  rules.forEach((limits, at) => {
    for (const limit of limits) {
      const { name, kind, user, database, address } = limit;
      const network = address === undefined || address === '*' ? address : networkKey(address);
      note(JSON.stringify(['whom', kind, user, database, network]), at, `limit the ${kind} of ${whomText(limit)}`);
      note(JSON.stringify(['name', kind, name]), at, `have the name "${name}" and limit ${kind}`);
    }
  });
}

function formatLimit(limit: Limit): string {
  const { name, kind, amount, unit, burst } = limit;
  const parts = name === whomText(limit) ? [] : [`name: ${JSON.stringify(name)}`];
  for (const key of whoKeys) if (limit[key] !== undefined) parts.push(`${key}: ${JSON.stringify(limit[key])}`);
  const shown = (count: number): string => (kind === 'bytes' ? formatSize(count) : String(count));
  parts.push(`${kind}: ${shown(amount)}/${unit}`, `burst: ${shown(burst)}`);
  return `{ ${parts.join(', ')} }`;
}
