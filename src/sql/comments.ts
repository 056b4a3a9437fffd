/**
 * Removes comments from the bytes of a text (for cache keys), and finds the first keyword of a text that is not parsed.
 * Follows the rules of lexical.ts; if the end of a token is not certain, the input is returned unchanged. Called by
 * cache/key.ts, the scanner and the classifier.
 */
import * as lex from './lexical.ts';

const KEYWORD_WINDOW = 64 * 1024;
const KEYWORD_MAX = 32;

/**
 * Replaces each comment by one space, and removes blanks at both ends. Strings and quoted names stay as they are. Returns
 * `sql` itself if it has no comment, or if a string, name or comment is not closed.
 */
export function stripComments(sql: Buffer): Buffer {
  return mayHaveComment(sql) ? (strip(sql) ?? sql) : sql;
}

/** The first keyword in upper case; '' if the first 64 KiB have none. Opening parentheses before it are skipped. */
export function firstKeyword(sql: Buffer): string {
  const head = sql.subarray(0, KEYWORD_WINDOW);
  let i = 0;
  for (;;) {
    i = lex.skipBlank(head, i);
    if (i < 0) return '';
    if (head[i] !== 0x28 && head[i] !== 0x3b) break;
    i++;
  }
  let end = i;
  while (end < head.length && lex.CLASS_OF[head[end]!] === lex.IDENT && head[end]! < 0x80) end++;
  return end - i > KEYWORD_MAX ? '' : head.toString('latin1', i, end).toUpperCase();
}

function mayHaveComment(sql: Buffer): boolean {
  for (let i = sql.length - 2; i >= 0; i--) {
    const c = sql[i];
    if ((c === lex.DASH && sql[i + 1] === lex.DASH) || (c === lex.SLASH && sql[i + 1] === lex.STAR)) return true;
  }
  return false;
}

function strip(sql: Buffer): Buffer | undefined {
  const out = Buffer.allocUnsafe(sql.length);
  let i = 0;
  let o = 0;
  let isAfterString = false;
  while (i < sql.length) {
    const c = sql[i]!;
    const kind = lex.CLASS_OF[c]!;
    const isLine = c === lex.DASH && sql[i + 1] === lex.DASH;
    if (isLine || (c === lex.SLASH && sql[i + 1] === lex.STAR)) {
      const end = isLine ? lex.endOfLineComment(sql, i) : lex.endOfBlockComment(sql, i);
      if (end < 0) return undefined;
      // A space in place of a block comment would join two string constants into one.
      if (!isLine && isAfterString && sql[lex.skipBlank(sql, end)] === lex.QUOTE) return undefined;
      out[o++] = 0x20;
      i = end;
      continue;
    }
    const end = kind === lex.SPACE ? i + 1 : endOfToken(sql, i, kind);
    if (end < 0) return undefined;
    if (kind !== lex.SPACE) isAfterString = sql[end - 1] === lex.QUOTE;
    while (i < end) out[o++] = sql[i++]!;
  }
  let start = 0;
  while (start < o && lex.CLASS_OF[out[start]!] === lex.SPACE) start++;
  while (o > start && lex.CLASS_OF[out[o - 1]!] === lex.SPACE) o--;
  return out.subarray(start, o);
}

/** Index after the token at `i` (after one byte for other characters); -1: not closed, or its end is not certain. */
function endOfToken(sql: Buffer, i: number, kind: number): number {
  switch (kind) {
    case lex.STRING:
      return endOfConstant(sql, i + 1, false);
    case lex.NAME:
      return lex.endOfName(sql, i + 1);
    case lex.PARAM: {
      if (lex.CLASS_OF[sql[i + 1] ?? 0] === lex.DIGIT) return i + 1;
      const body = lex.endOfDollarTag(sql, i);
      return body < 0 ? -1 : lex.endOfDollarString(sql, i, body);
    }
    case lex.DIGIT:
    case lex.IDENT: {
      let end = i + 1;
      while (end < sql.length && lex.IS_IDENT_PART[sql[end]!] === 1) end++;
      if (sql[end] !== lex.QUOTE) return end;
      // 1E'...' was a number and an escape string to some servers.
      if (kind === lex.DIGIT) return -1;
      return end === i + 1 && (sql[i]! | 0x20) === 0x65 ? endOfConstant(sql, end + 1, true) : end;
    }
    default:
      return i + 1;
  }
}

function endOfConstant(sql: Buffer, i: number, escapes: boolean): number {
  for (;;) {
    const end = lex.endOfString(sql, i, escapes);
    if (end < 0) return -1;
    const next = lex.continuationOf(sql, end);
    if (next < 0) return end;
    i = next;
  }
}
