/**
 * Removes secrets from log lines: fields by their names, and inside texts by patterns (passwords in URLs and connection
 * strings, SCRAM verifiers, md5 hashes). Bounds depth and size. Called by logger.ts, among others.
 */
import type { LogFields } from './types.ts';

export const hidden = '***';

const secretName =
  /pass(word|wd|phrase)?$|secret|authorization|token|credential|private_?key|^pwd?$|client_?key|verifier/i;

const inText: readonly (readonly [RegExp, string])[] = [
  // scheme://user:password@host. Up to the last @ before a slash, because a password may contain @.
  [/([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@"']*:)[^\s/?#"']*(?=@)/gi, `$1${hidden}`],
  // password=..., "password": "...", PASSWORD '...'
  [
    /\b((?:password|passwd|pwd|secret|token)["']?\s*(?:[=:]\s*|\s+(?=')))(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.|'')*'|[^\s,;&}"']+)/gi,
    `$1${hidden}`,
  ],
  [/\b(authorization["']?\s*[=:]\s*)(?:"[^"]*"|(?:basic|bearer)\s+\S+|\S+)/gi, `$1${hidden}`],
  [/SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+/g, hidden],
  [/\bmd5[0-9a-f]{32}\b/g, hidden],
];

const longestText = 8_192;
const deepest = 6;
const mostItems = 100;

export function redactText(text: string): string {
  let clean = text.length > longestText ? `${text.slice(0, longestText)}... (${text.length} characters)` : text;
  for (const [pattern, replacement] of inText) clean = clean.replace(pattern, replacement);
  return clean;
}

/** @returns a copy without secrets, cycles and functions, bounded in depth and size */
export function redactFields(fields: LogFields): Record<string, unknown> {
  return redactObject(fields, 0);
}

function redactObject(fields: object, depth: number): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields).slice(0, mostItems)) {
    if (value === undefined || typeof value === 'function') continue;
    clean[key] = secretName.test(key) && value !== null ? hidden : redactValue(value, depth + 1);
  }
  return clean;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= deepest) return '...';
  if (value instanceof Error) return redactError(value, depth);
  if (Buffer.isBuffer(value)) return `${value.length} bytes`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? String(value) : value.toISOString();
  if (Array.isArray(value)) return value.slice(0, mostItems).map((item) => redactValue(item, depth + 1));
  if (value instanceof Set) return redactValue([...value].slice(0, mostItems), depth);
  if (value instanceof Map) return redactObject(Object.fromEntries([...value].slice(0, mostItems)), depth);
  return redactObject(value, depth);
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const cause = error.cause === undefined ? {} : { cause: redactValue(error.cause, depth + 1) };
  return {
    name: error.name,
    message: redactText(error.message),
    ...code,
    ...cause,
    stack: redactText(error.stack ?? ''),
  };
}
