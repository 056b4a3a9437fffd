/**
 * Looking past comments in the bytes of a text: the text without them (for cache keys) and its first keyword (for
 * texts that are not parsed). Lexes as lexical.ts says; in doubt the input comes back as it is.
 * Called by cache, session and the classifier.
 */
import * as lex from './lexical.ts';

const KEYWORD_WINDOW = 64 * 1024;
const KEYWORD_MAX = 32;

/**
 * The same statement without comments: each becomes one space, and blanks at the edges go with them. Strings and names
 * stay as they are. Returns `sql` itself when there is nothing to take out, or when something in it does not end.
 */
export function stripComments(sql: Buffer): Buffer {
  return mayHaveComment(sql) ? (strip(sql) ?? sql) : sql;
}

/** Upper case, '' if there is none (or only behind the first 64 KiB); brackets before it are skipped. */
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
      // Two constants that a block comment keeps apart must not become one.
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

/** Behind the token at `i`; a single byte for what has no end of its own. -1: does not end, or not certain where. */
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
