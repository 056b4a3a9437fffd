/**
 * The types that a setting can have: how a YAML value or a text from the environment becomes a checked value, how it
 * is printed back, and what is allowed in words. Pure; the table of settings (settings.ts) is made of these.
 */
import { formatSize } from '../util/format-size.ts';
import { didYouMean } from './suggest.ts';
import { redactUrl } from './redact.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A value, or why it was refused: the words that follow `key: value` in a message. */
export type Parsed<T> = { readonly value: T } | { readonly refused: string };

export interface ValueType<T> {
  /** One word for the table in the documentation. */
  readonly name: string;
  /** What is allowed, in words: "an integer from 1 to 100". */
  readonly allowed: string;
  /** What is part of the interface but comes in a later version, in words. */
  readonly later?: string;
  /** From YAML. */
  parse(raw: unknown): Parsed<T>;
  /** From the environment, the command line or `SET key = value`. */
  parseText(text: string): Parsed<T>;
  /** The value as it would be written in the file, secrets redacted. */
  format(value: T): string;
  /** What a database says for itself, put over what is set for all; absent: it replaces that. */
  over?(global: T, own: T): T;
}

const millisecondsPer: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const bytesPer: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };
/** Timers of Node hold less than 2^31 ms; a longer one would fire at once. */
export const longestDurationMs = 576 * 3_600_000;
const largestSize = 1024 ** 4;

export function formatDuration(ms: number): string {
  if (ms === 0) return '0';
  for (const unit of ['h', 'm', 's']) {
    const size = millisecondsPer[unit] ?? 1;
    if (ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

function isBetween(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

export function integer(min: number, max: number): ValueType<number> {
  const allowed = `an integer from ${min} to ${max}`;
  const parse = (raw: unknown): Parsed<number> =>
    typeof raw === 'number' && Number.isSafeInteger(raw) && isBetween(raw, min, max)
      ? { value: raw }
      : { refused: `is not ${allowed}` };
  return {
    name: 'integer',
    allowed,
    parse,
    parseText: (text) => parse(/^[+-]?\d+$/.test(text.trim()) ? Number(text) : text),
    format: String,
  };
}

/** A part of something. */
export function fraction(): ValueType<number> {
  const allowed = 'a number from 0 to 1';
  const parse = (raw: unknown): Parsed<number> =>
    typeof raw === 'number' && isBetween(raw, 0, 1) ? { value: raw } : { refused: `is not ${allowed}` };
  const parseText = (text: string): Parsed<number> => parse(/^\d*\.?\d+$/.test(text.trim()) ? Number(text) : text);
  return { name: 'number', allowed, parse, parseText, format: String };
}

/** In milliseconds. `zero` says in words what 0 means; without it 0 is refused like any other value below `min`. */
export function duration(min: number, max: number, zero?: string): ValueType<number> {
  const range = `from ${formatDuration(min)} to ${formatDuration(max)}`;
  const allowed = `a duration ${range} (units ms s m h)${zero === undefined ? '' : `; 0 = ${zero}`}`;
  const refused = { refused: `is not ${allowed}` };
  const parse = (raw: unknown): Parsed<number> => {
    if (raw === 0 || raw === '0') return zero === undefined ? refused : { value: 0 };
    if (typeof raw === 'number') return { refused: `has no unit: write ${raw}s or ${raw}ms; ${allowed}` };
    if (typeof raw !== 'string') return refused;
    const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*([a-zA-Z]*)$/.exec(raw.trim());
    if (match === null) return refused;
    const amount = Number(match[1]);
    const unit = match[2] ?? '';
    if (unit === '') return { refused: `has no unit: write ${raw.trim()}s or ${raw.trim()}ms; ${allowed}` };
    const ms = Math.round(amount * (millisecondsPer[unit] ?? NaN));
    if (ms === 0 && zero !== undefined && amount === 0) return { value: 0 };
    return isBetween(ms, min, max) ? { value: ms } : refused;
  };
  return { name: 'duration', allowed, parse, parseText: parse, format: formatDuration };
}

/** In bytes; 1 KB = 1024 bytes, as in PostgreSQL. @param zero what 0 means, in words; undefined: it is not allowed without a unit */
export function size(min: number, max: number = largestSize, zero?: string): ValueType<number> {
  const range = `a size from ${formatSize(min)} to ${formatSize(max)} (units KB MB GB)`;
  const allowed = `${range}${zero === undefined ? '' : `; 0 = ${zero}`}`;
  const refused = { refused: `is not ${allowed}` };
  const parse = (raw: unknown): Parsed<number> => {
    if (zero !== undefined && (raw === 0 || raw === '0')) return { value: 0 };
    if (typeof raw === 'number') return { refused: `has no unit: write ${raw}KB or ${raw}MB; ${allowed}` };
    if (typeof raw !== 'string') return refused;
    const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([a-zA-Z]+)$/.exec(raw.trim());
    if (match === null) return refused;
    const bytes = Math.round(Number(match[1]) * (bytesPer[(match[2] ?? '').toUpperCase()] ?? NaN));
    return isBetween(bytes, min, max) ? { value: bytes } : refused;
  };
  return { name: 'size', allowed, parse, parseText: parse, format: formatSize };
}

export function boolean(): ValueType<boolean> {
  const words: Readonly<Record<string, boolean>> = {
    true: true,
    on: true,
    yes: true,
    false: false,
    off: false,
    no: false,
  };
  const allowed = 'true or false';
  const parse = (raw: unknown): Parsed<boolean> => {
    if (typeof raw === 'boolean') return { value: raw };
    const word = typeof raw === 'string' ? raw.trim().toLowerCase() : '';
    const value = Object.hasOwn(words, word) ? words[word] : undefined;
    return value === undefined ? { refused: `is not ${allowed}` } : { value };
  };
  return { name: 'boolean', allowed, parse, parseText: parse, format: String };
}

/** `later`: words that are part of the interface and come in a later version. They are refused, and say so. */
export function oneOf<const T extends string>(words: readonly T[], later: readonly string[] = []): ValueType<T> {
  const allowed = words.length === 1 ? `${words[0]}` : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`;
  const parse = (raw: unknown): Parsed<T> => {
    // YAML 1.1 tools turn an unquoted off into false; it can only have meant the word.
    const text = raw === false ? 'off' : raw;
    const value = words.find((word) => word === text);
    if (value !== undefined) return { value };
    if (typeof text !== 'string') return { refused: `is not allowed: use ${allowed}` };
    if (later.includes(text)) return { refused: `comes in a later version of Weir; until then use ${allowed}` };
    const meant = didYouMean(text, words);
    return { refused: `is not allowed: use ${allowed}${meant === undefined ? '' : ` (did you mean "${meant}"?)`}` };
  };
  return {
    name: 'enum',
    allowed,
    ...(later.length === 0 ? {} : { later: later.join(', ') }),
    parse,
    parseText: (text) => parse(text.trim()),
    format: (value) => value,
  };
}

export function string(what: string): ValueType<string> {
  const allowed = what;
  const parse = (raw: unknown): Parsed<string> =>
    typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? { value: raw } : { refused: `is not ${allowed}` };
  return { name: 'string', allowed, parse, parseText: parse, format: (value) => value };
}

/** Adds null: nothing, switched off. In the environment it is written `null`, `none` or `off`. */
export function optional<T>(type: ValueType<T>): ValueType<T | undefined> {
  const refuse = (parsed: Parsed<T>): Parsed<T | undefined> =>
    'refused' in parsed ? { refused: `${parsed.refused}; null = none` } : parsed;
  return {
    name: type.name,
    allowed: `${type.allowed}; null = none`,
    parse: (raw) => (raw === null || raw === undefined ? { value: undefined } : refuse(type.parse(raw))),
    parseText: (text) => (/^(null|none|off)$/i.test(text.trim()) ? { value: undefined } : refuse(type.parseText(text))),
    format: (value) => (value === undefined ? 'null' : type.format(value)),
  };
}

/** A list of texts: in YAML a list, in the environment separated by commas. */
export function list(what: string): ValueType<readonly string[]> {
  const allowed = `a list of ${what}`;
  const parse = (raw: unknown): Parsed<readonly string[]> => {
    if (!Array.isArray(raw)) return { refused: `is not ${allowed}: write [a, b]` };
    const items: string[] = [];
    for (const item of raw as readonly unknown[]) {
      if (typeof item !== 'string' || item.trim() === '') return { refused: `holds something else than ${what}` };
      items.push(item.trim());
    }
    return { value: items };
  };
  const parseText = (text: string): Parsed<readonly string[]> => {
    const bare = text.trim().replace(/^\[([^]*)\]$/, '$1');
    return parse(bare.trim() === '' ? [] : bare.split(','));
  };
  return { name: 'list', allowed, parse, parseText, format: (value) => `[${value.join(', ')}]` };
}

export function formatHostPort(address: HostPort): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** `host:port`, `[v6]:port`, `*:port` for every address, of IPv6 too where the machine has it. Port 0 = any free one. */
export function hostPort(): ValueType<HostPort> {
  const allowed = 'HOST:PORT, such as 127.0.0.1:6432, [::1]:6432 or *:6432 for every address (port 0 to 65535)';
  const refused = { refused: `is not ${allowed}` };
  const parse = (raw: unknown): Parsed<HostPort> => {
    if (typeof raw !== 'string') return refused;
    const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/.exec(raw.trim());
    const port = Number(match?.[3]);
    const host = match?.[1] ?? match?.[2];
    if (host === undefined || !isBetween(port, 0, 65535)) return refused;
    return { value: { host, port } };
  };
  return { name: 'host:port', allowed, parse, parseText: parse, format: formatHostPort };
}

/** Permissions in octal digits. A YAML octal number (0o700) arrives as the decimal 448, and is refused. */
export function fileMode(): ValueType<number> {
  const allowed = 'permissions such as 0777 or 0770 (digits 0, 2, 6 and 7)';
  const parse = (raw: unknown): Parsed<number> => {
    const text = typeof raw === 'number' || typeof raw === 'string' ? String(raw).trim() : '';
    return /^0?[0267]{3}$/.test(text) ? { value: Number.parseInt(text, 8) } : { refused: `is not ${allowed}` };
  };
  const format = (value: number): string => value.toString(8).padStart(4, '0');
  return { name: 'mode', allowed, parse, parseText: parse, format };
}

/** redis:// or rediss:// (TLS): user, password, host, port and the number of the database, nothing else. */
export function redisUrl(): ValueType<string> {
  const allowed = 'a URL such as redis://host:6379/0 (rediss:// for TLS)';
  const refused = { refused: `is not ${allowed}` };
  const parse = (raw: unknown): Parsed<string> => {
    if (typeof raw !== 'string') return refused;
    try {
      const url = new URL(raw.trim());
      const isRedis = url.protocol === 'redis:' || url.protocol === 'rediss:';
      const isPlain = /^\/?\d{0,5}$/.test(url.pathname) && url.search === '' && url.hash === '' && url.hostname !== '';
      decodeURIComponent(url.username + url.password);
      return isRedis && isPlain ? { value: raw.trim() } : refused;
    } catch {
      return refused;
    }
  };
  return { name: 'url', allowed, parse, parseText: parse, format: redactUrl };
}
