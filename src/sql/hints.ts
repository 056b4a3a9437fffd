/**
 * Reads hints: a block or line comment at the beginning or end of a text that starts with `weir:`, as in
 * `weir: route=replica cache=30s tags=user:42,users`. An invalid word is ignored and named in `problem`; nothing here
 * throws. Called by the classifier for texts with a comment at the beginning or end.
 */
import type { Hints } from './facts.ts';
import * as lex from './lexical.ts';

const PREFIX = 'weir:';
const COMMENT_MAX = 16 * 1024;
/** Of one statement, of one session, of one call of weir_invalidate(). */
export const maxTags = 64;
export const maxTagChars = 200;
const KEY_CHARS_MAX = 200;
const CACHE_MS_MAX = 30 * 24 * 3_600_000;
const PROBLEM_MAX = 200;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

type Draft = { -readonly [K in keyof Hints]: Hints[K] };

/**
 * @param leadEnd bytes 0..leadEnd are blank or comments
 * @param tailStart bytes from there on are blank, comments or semicolons
 */
export function readHints(sql: Buffer, leadEnd: number, tailStart: number): Hints | undefined {
  const head = readEdge(sql, 0, leadEnd, undefined);
  return readEdge(sql, Math.max(tailStart, leadEnd), sql.length, head);
}

function readEdge(sql: Buffer, start: number, end: number, found: Draft | undefined): Draft | undefined {
  let i = start;
  while (i < end) {
    const isLine = sql[i] === lex.DASH && sql[i + 1] === lex.DASH;
    const isBlock = sql[i] === lex.SLASH && sql[i + 1] === lex.STAR;
    if (!isLine && !isBlock) {
      i++;
      continue;
    }
    const stop = isLine ? lex.endOfLineComment(sql, i) : lex.endOfBlockComment(sql, i);
    if (stop < 0) return found;
    const text = commentText(sql, i + 2, isLine ? stop : stop - 2);
    if (text !== undefined) found = readWords(text, found ?? emptyHints());
    i = stop;
  }
  return found;
}

/** The text after `weir:`; undefined: the comment is no hint. */
function commentText(sql: Buffer, start: number, end: number): string | undefined {
  let i = start;
  while (i < end && lex.CLASS_OF[sql[i]!] === lex.SPACE) i++;
  if (!lex.isWord(sql, i, Math.min(i + PREFIX.length, end), PREFIX)) return undefined;
  return sql.toString('utf8', i + PREFIX.length, Math.min(end, i + COMMENT_MAX));
}

function emptyHints(): Draft {
  return {
    route: undefined,
    consistency: undefined,
    cache: undefined,
    priority: undefined,
    key: undefined,
    tags: [],
    problem: undefined,
  };
}

function readWords(text: string, hints: Draft): Draft {
  for (const word of text.split(/\s+/)) {
    if (word === '') continue;
    const [, name = word, value = ''] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    const problem = readWord(name.toLowerCase(), value, hints);
    if (problem !== undefined) hints.problem ??= `weir hint ${problem}`.slice(0, PROBLEM_MAX);
  }
  return hints;
}

/** Notes one word in `hints`. @returns what is wrong with it, in words */
function readWord(name: string, value: string, hints: Draft): string | undefined {
  const lower = value.toLowerCase();
  switch (name) {
    case 'route':
      if (lower !== 'auto' && lower !== 'primary' && lower !== 'replica')
        return `route=${value}: auto, primary or replica`;
      if (hints.route !== undefined && hints.route !== lower) return `route is given twice`;
      hints.route = lower;
      return undefined;
    case 'consistency':
      if (lower !== 'eventual' && lower !== 'session' && lower !== 'strict')
        return `consistency=${value}: eventual, session or strict`;
      if (hints.consistency !== undefined && hints.consistency !== lower) return 'consistency is given twice';
      hints.consistency = lower;
      return undefined;
    case 'cache': {
      const cache = parseCacheHint(lower);
      if (cache === undefined) return `cache=${value}: on, off, or a time such as 500ms, 30s, 5m, 1h (at most 720h)`;
      if (hints.cache !== undefined && hints.cache !== cache) return 'cache is given twice';
      hints.cache = cache;
      return undefined;
    }
    case 'priority':
      if (lower !== 'high' && lower !== 'normal' && lower !== 'low') return `priority=${value}: high, normal or low`;
      if (hints.priority !== undefined && hints.priority !== lower) return 'priority is given twice';
      hints.priority = lower;
      return undefined;
    case 'key':
      if (value === '' || value.length > KEY_CHARS_MAX) return `key=${value}: 1 to ${KEY_CHARS_MAX} characters`;
      if (hints.key !== undefined && hints.key !== value) return 'key is given twice';
      hints.key = value;
      return undefined;
    case 'tags':
      return readTags(value, hints);
    default:
      return `${name}: known are route, consistency, cache, priority, key and tags`;
  }
}

/** 'on', 'off', or a time to live in milliseconds (0 counts as off); undefined: none of them. Also for SET weir.cache. */
export function parseCacheHint(text: string): 'on' | 'off' | number | undefined {
  if (text === 'on' || text === 'off') return text;
  const parts = /^(\d{1,10})(ms|s|m|h)$/.exec(text);
  if (parts === null) return text === '0' ? 'off' : undefined;
  const ms = Number(parts[1]) * (UNIT_MS[parts[2] ?? ''] ?? NaN);
  if (!(ms <= CACHE_MS_MAX)) return undefined;
  return ms === 0 ? 'off' : ms;
}

function readTags(value: string, hints: Draft): string | undefined {
  const tags = new Set(hints.tags);
  let problem: string | undefined;
  for (const tag of value.split(',')) {
    if (tag === '') continue;
    if (tag.length > maxTagChars) problem ??= `tags: one is longer than ${maxTagChars} characters`;
    else if (tags.size >= maxTags && !tags.has(tag)) problem ??= `tags: more than ${maxTags}`;
    else tags.add(tag);
  }
  if (tags.size === 0) problem ??= 'tags: none is named';
  hints.tags = [...tags];
  return problem;
}
