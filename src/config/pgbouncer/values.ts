/**
 * Values of a pgbouncer.ini as YAML has them: seconds become durations with a unit, 0 and 1 become false and true, lists with
 * commas become lists. Pure. Called by translate.ts.
 */
import { resolve } from 'node:path';
import { settingOf, type SettingKey } from '../settings.ts';
import { formatDuration, longestDurationMs } from '../values.ts';
import type { Kind } from './key.ts';

/** `note`: what is different here. */
export type Converted = { readonly value: unknown; readonly note?: string } | { readonly refused: string };

/** As PgBouncer reads integers: with 0x they are hexadecimal, with 0 octal. */
export function integerOf(text: string): number | undefined {
  const match = /^([+-]?)(?:0x([\da-f]{1,13})|0([0-7]{1,17})|(0|[1-9]\d{0,14}))$/i.exec(text);
  if (match === null) return undefined;
  const [, sign, hex, octal, decimal] = match;
  const number = hex !== undefined ? parseInt(hex, 16) : octal !== undefined ? parseInt(octal, 8) : Number(decimal);
  return sign === '-' ? -number : number;
}

function millisecondsOf(text: string): number | undefined {
  if (!/^\+?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?:e[+-]?\d)?$/i.test(text)) return undefined;
  const ms = Number(text) * 1000;
  // Shorter times than Weir can measure are not none.
  return ms > 0 ? Math.max(1, Math.round(ms)) : 0;
}

/** Whether PgBouncer accepts the value; undefined: yes. */
export function refusalOf(kind: Kind, text: string): string | undefined {
  if (kind === 'int') return integerOf(text) === undefined ? 'is not a number' : undefined;
  if (kind === 'seconds') return millisecondsOf(text) === undefined ? 'is not a number of seconds' : undefined;
  if (typeof kind === 'string') return undefined;
  return kind.includes(text.toLowerCase()) ? undefined : `is not one of ${kind.join(', ')}`;
}

/** @param setting whose type the value gets */
export function convert(kind: Kind, text: string, setting: SettingKey): Converted {
  const refused = refusalOf(kind, text);
  if (refused !== undefined) return { refused };
  const { type } = settingOf(setting);
  if (kind === 'file') return { value: text === '' ? null : resolve(text) };
  if (kind === 'protocols') return protocolsOf(text);
  if (kind === 'list' || type.name === 'list') return { value: listOf(text) };
  if (kind === 'seconds' || type.name === 'duration') return durationOf(text, setting);
  if (typeof kind !== 'string') return { value: text.toLowerCase() };
  if (kind === 'text') return { value: text === '' ? null : text };
  const number = integerOf(text) ?? 0;
  if (type.name === 'boolean') return { value: number !== 0 };
  if (type.name === 'mode') return { value: number.toString(8).padStart(4, '0') };
  return { value: number };
}

const tlsVersions = ['tlsv1.0', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3'];
const protocolWords: Readonly<Record<string, readonly string[]>> = {
  all: tlsVersions,
  legacy: tlsVersions,
  default: tlsVersions.slice(2),
  secure: tlsVersions.slice(2),
  tlsv1: tlsVersions,
  ...Object.fromEntries(tlsVersions.map((version) => [version, [version]])),
};

/** As PgBouncer reads them, with commas or colons in between: a word adds its versions, and takes them away after `!`. */
function protocolsOf(text: string): Converted {
  if (text === '') return { value: protocolWords['secure'] };
  const named = new Set<string>();
  for (const item of text.toLowerCase().split(/[,:]/)) {
    const word = item.trim();
    const versions = protocolWords[word.replace(/^!/, '')];
    if (versions === undefined) return { refused: 'is not a list of secure, all, tlsv1.2 and tlsv1.3' };
    // What begins by taking away takes it from all.
    if (word.startsWith('!') && named.size === 0) for (const version of tlsVersions) named.add(version);
    for (const version of versions)
      if (word.startsWith('!')) named.delete(version);
      else named.add(version);
  }
  const value = ['tlsv1.2', 'tlsv1.3'].filter((version) => named.has(version));
  if (value.length === 0) return { refused: 'has no version that there is: TLS 1.0 and 1.1 are not there' };
  return named.size === value.length
    ? { value }
    : { value, note: 'is without TLS 1.0 and 1.1 here, which are not secure' };
}

export function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function durationOf(text: string, setting: SettingKey): Converted {
  const ms = millisecondsOf(text) ?? 0;
  const { type } = settingOf(setting);
  const isForever = ms > longestDurationMs || (ms === 0 && 'refused' in type.parse(0));
  if (!isForever) return { value: ms === 0 ? 0 : formatDuration(ms) };
  const longest = formatDuration(longestDurationMs);
  return { value: longest, note: `is the longest time that Weir has, ${longest}` };
}
