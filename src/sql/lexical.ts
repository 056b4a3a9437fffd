/**
 * The lexical rules of PostgreSQL (manual, "Lexical Structure") over bytes: where strings, comments and quoted names
 * end. Assumes standard_conforming_strings = on. Pure functions that return an index, or -1 for "unterminated".
 * Used by the scanner, by comment stripping and by hints; knows nothing of grammar.
 */

export const QUOTE = 0x27;
export const DOUBLE_QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const DASH = 0x2d;
export const SLASH = 0x2f;
export const STAR = 0x2a;
export const DOLLAR = 0x24;
export const DOT = 0x2e;
export const NEWLINE = 0x0a;

/** Classes of the first byte of a token. */
export const OTHER = 0;
export const SPACE = 1;
export const IDENT = 2;
export const DIGIT = 3;
export const STRING = 4;
export const NAME = 5;
export const PARAM = 6;
export const MINUS = 7;
export const DIVIDE = 8;
export const PERIOD = 9;
export const OPEN = 10;
export const CLOSE = 11;
export const SEMICOLON = 12;
export const OPEN_BRACKET = 13;
export const CLOSE_BRACKET = 14;
export const BAD = 15;

/** Class of each byte as the first of a token. Bytes from 0x80 are letters to PostgreSQL. */
export const CLASS_OF: Readonly<Uint8Array> = buildClasses();
/** 1 where a byte may continue an identifier. */
export const IS_IDENT_PART: Readonly<Uint8Array> = buildIdentParts();

function buildClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  classes.fill(BAD, 0, 0x20);
  classes[0x7f] = BAD;
  for (const space of [0x20, 0x09, 0x0a, 0x0b, 0x0c, 0x0d]) classes[space] = SPACE;
  for (let c = 0x41; c <= 0x5a; c++) classes[c] = classes[c | 0x20] = IDENT;
  classes[0x5f] = IDENT;
  classes.fill(IDENT, 0x80);
  classes.fill(DIGIT, 0x30, 0x3a);
  classes[QUOTE] = STRING;
  classes[DOUBLE_QUOTE] = NAME;
  classes[DOLLAR] = PARAM;
  classes[DASH] = MINUS;
  classes[SLASH] = DIVIDE;
  classes[DOT] = PERIOD;
  classes[0x28] = OPEN;
  classes[0x29] = CLOSE;
  classes[0x3b] = SEMICOLON;
  classes[0x5b] = OPEN_BRACKET;
  classes[0x5d] = CLOSE_BRACKET;
  return classes;
}

function buildIdentParts(): Uint8Array {
  const parts = new Uint8Array(256);
  for (let c = 0; c < 256; c++) if (CLASS_OF[c] === IDENT || CLASS_OF[c] === DIGIT) parts[c] = 1;
  parts[DOLLAR] = 1;
  return parts;
}

/** `i` is just behind the opening quote. `''` is a quote; with `escapes` (E'...') a backslash takes the next byte. */
export function endOfString(sql: Buffer, i: number, escapes: boolean): number {
  const length = sql.length;
  while (i < length) {
    const c = sql[i++];
    if (c === QUOTE) {
      if (sql[i] !== QUOTE) return i;
      i++;
    } else if (escapes && c === BACKSLASH) {
      i++;
    }
  }
  return -1;
}

/**
 * Two string constants with only white space and -- comments and at least one newline between them are one constant,
 * and the second goes on by the rules of the first (manual 4.1.2.1). `i` is behind a closing quote; returns the index
 * behind the next opening quote, or -1 when the constant ends here.
 */
export function continuationOf(sql: Buffer, i: number): number {
  let sawNewline = false;
  for (;;) {
    const c = sql[i];
    if (c === QUOTE) return sawNewline ? i + 1 : -1;
    if (c === 0x0a || c === 0x0d) sawNewline = true;
    else if (c === DASH && sql[i + 1] === DASH) {
      i = endOfLineComment(sql, i);
      continue;
    } else if (c === undefined || CLASS_OF[c] !== SPACE) return -1;
    i++;
  }
}

/** `i` is just behind the opening double quote. */
export function endOfName(sql: Buffer, i: number): number {
  const length = sql.length;
  while (i < length) {
    if (sql[i++] !== DOUBLE_QUOTE) continue;
    if (sql[i] !== DOUBLE_QUOTE) return i;
    i++;
  }
  return -1;
}

/** `i` is at `--`; the newline itself is not part of the comment. */
export function endOfLineComment(sql: Buffer, i: number): number {
  while (i < sql.length && sql[i] !== 0x0a && sql[i] !== 0x0d) i++;
  return i;
}

/** `i` is at the opening of a block comment; they nest. */
export function endOfBlockComment(sql: Buffer, i: number): number {
  const last = sql.length - 1;
  let depth = 1;
  i += 2;
  while (i < last) {
    const c = sql[i];
    if (c === STAR && sql[i + 1] === SLASH) {
      i += 2;
      if (--depth === 0) return i;
    } else if (c === SLASH && sql[i + 1] === STAR) {
      depth++;
      i += 2;
    } else {
      i++;
    }
  }
  return -1;
}

/** `i` is at a `$` that no digit follows. Returns the index behind `$$` or `$tag$`, or -1 when it opens no string. */
export function endOfDollarTag(sql: Buffer, i: number): number {
  const start = i + 1;
  for (i = start; ; i++) {
    const c = sql[i];
    if (c === DOLLAR) return i + 1;
    if (c === undefined || IS_IDENT_PART[c] === 0 || (i === start && CLASS_OF[c] === DIGIT)) return -1;
  }
}

/** `start..bodyStart` is the opening tag. Returns the index behind the same tag further on. */
export function endOfDollarString(sql: Buffer, start: number, bodyStart: number): number {
  const close = sql.indexOf(sql.subarray(start, bodyStart), bodyStart);
  return close < 0 ? -1 : close + (bodyStart - start);
}

/** Index of the first byte from `i` on that is neither white space nor comment (sql.length if none); -1: unterminated. */
export function skipBlank(sql: Buffer, i: number): number {
  const length = sql.length;
  while (i < length) {
    const c = sql[i]!;
    if (CLASS_OF[c] === SPACE) i++;
    else if (c === DASH && sql[i + 1] === DASH) i = endOfLineComment(sql, i);
    else if (c === SLASH && sql[i + 1] === STAR) {
      i = endOfBlockComment(sql, i);
      if (i < 0) return -1;
    } else break;
  }
  return i;
}

/** Whether the bytes `start..end` are the ASCII word `word` (given in lower case), in any case. */
export function isWord(sql: Buffer, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let k = 0; k < word.length; k++) {
    const c = sql[start + k]!;
    if ((c >= 0x41 && c <= 0x5a ? c | 0x20 : c) !== word.charCodeAt(k)) return false;
  }
  return true;
}
