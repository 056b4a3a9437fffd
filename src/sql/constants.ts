/**
 * Finds where a constant, or a list of only constants, ends, and whether it may mean the present moment (time-words.ts).
 * Methods return the index after it and set the field isNow, so that the hot path allocates nothing. A result below 0 is
 * MALFORMED or NOT_TEMPLATED. Called by the scanner.
 */
import * as lex from './lexical.ts';
import { hasTimeWord } from './time-words.ts';

/** The text has no template; it may still be valid for the parser. */
export const NOT_TEMPLATED = -1;
/** The text is not a valid statement. */
export const MALFORMED = -2;

const COMMA = 0x2c;
const OPEN_PAREN = 0x28;
const CLOSE_PAREN = 0x29;

export class ConstantReader {
  /** Whether the constant or list read last may mean the present moment. */
  isNow = false;

  /** Behind the string constant whose opening quote is just before `i`; `escapes`: it is an E'...' one. */
  string(sql: Buffer, i: number, escapes: boolean): number {
    this.isNow = false;
    for (;;) {
      const start = i;
      i = lex.endOfString(sql, i, escapes);
      if (i < 0) return MALFORMED;
      // An escape can spell any letter, and a continuation can split a word: such constants count as "now".
      if (hasTimeWord(sql, start, i - 1) || (escapes && sql.subarray(start, i - 1).includes(lex.BACKSLASH))) {
        this.isNow = true;
      }
      const next = lex.continuationOf(sql, i);
      if (next < 0) return i;
      this.isNow = true;
      i = next;
    }
  }

  /** Behind a plain bit string, whose opening quote is just before `i`. It knows no doubled quotes. */
  bits(sql: Buffer, i: number): number {
    while (i < sql.length && lex.IS_IDENT_PART[sql[i]!] === 1) i++;
    if (sql[i] !== lex.QUOTE || sql[i + 1] === lex.QUOTE) return NOT_TEMPLATED;
    return lex.continuationOf(sql, i + 1) < 0 ? i + 1 : NOT_TEMPLATED;
  }

  /** Behind the dollar-quoted string at `i`. */
  dollarString(sql: Buffer, i: number): number {
    const body = lex.endOfDollarTag(sql, i);
    if (body < 0) return MALFORMED;
    const end = lex.endOfDollarString(sql, i, body);
    if (end < 0) return MALFORMED;
    this.isNow = hasTimeWord(sql, body, end - (body - i));
    return end;
  }

  /** Behind a plain decimal number; what else starts with a digit (0x1F, 1_000, 12abc) is left to the parser. */
  number(sql: Buffer, i: number): number {
    i = skipDigits(sql, i);
    if (sql[i] === lex.DOT) i = skipDigits(sql, i + 1);
    if (i < sql.length && (sql[i]! | 0x20) === 0x65) {
      i++;
      if (sql[i] === 0x2b || sql[i] === lex.DASH) i++;
      if (lex.CLASS_OF[sql[i] ?? 0] !== lex.DIGIT) return NOT_TEMPLATED;
      i = skipDigits(sql, i);
    }
    if (i < sql.length && (lex.IS_IDENT_PART[sql[i]!] === 1 || sql[i] === lex.DOT)) return NOT_TEMPLATED;
    return i;
  }

  /**
   * Behind the list that opens at `i`, if it holds nothing but constants and parameters and the word `wordStart..wordEnd`
   * before it is IN, VALUES (then: behind all such rows) or ARRAY; else below 0. How long such a list is and what is in
   * it changes no fact, and all three words are reserved against being functions.
   */
  listAfter(sql: Buffer, wordStart: number, wordEnd: number, i: number): number {
    const isRound = sql[i] === OPEN_PAREN;
    const isValues = isRound && lex.isWord(sql, wordStart, wordEnd, 'values');
    if (!isValues && !lex.isWord(sql, wordStart, wordEnd, isRound ? 'in' : 'array')) return NOT_TEMPLATED;
    let isNow = false;
    let end = NOT_TEMPLATED;
    for (;;) {
      const close = this.#list(sql, i + 1, isRound ? CLOSE_PAREN : 0x5d);
      if (close < 0) break;
      isNow ||= this.isNow;
      end = close;
      if (!isValues) break;
      i = skipSpace(sql, end);
      if (sql[i] !== COMMA) break;
      i = skipSpace(sql, i + 1);
      if (sql[i] !== OPEN_PAREN) break;
    }
    this.isNow = isNow;
    return end;
  }

  #list(sql: Buffer, i: number, close: number): number {
    let isNow = false;
    for (;;) {
      this.isNow = false;
      i = this.#element(sql, skipSpace(sql, i));
      if (i < 0) return NOT_TEMPLATED;
      isNow ||= this.isNow;
      i = skipSpace(sql, i);
      const c = sql[i++];
      if (c === close) {
        this.isNow = isNow;
        return i;
      }
      if (c !== COMMA) return NOT_TEMPLATED;
    }
  }

  #element(sql: Buffer, i: number): number {
    switch (lex.CLASS_OF[sql[i] ?? 0]) {
      case lex.MINUS:
        return lex.CLASS_OF[sql[i + 1] ?? 0] === lex.DIGIT ? this.number(sql, i + 1) : NOT_TEMPLATED;
      case lex.DIGIT:
        return this.number(sql, i);
      case lex.STRING:
        return this.string(sql, i + 1, false);
      case lex.PARAM: {
        const end = skipDigits(sql, i + 1);
        return end === i + 1 ? NOT_TEMPLATED : end;
      }
      case lex.IDENT:
        return endOfConstantWord(sql, i);
      default:
        return NOT_TEMPLATED;
    }
  }
}

export function skipDigits(sql: Buffer, i: number): number {
  while (i < sql.length && lex.CLASS_OF[sql[i]!] === lex.DIGIT) i++;
  return i;
}

function skipSpace(sql: Buffer, i: number): number {
  while (i < sql.length && lex.CLASS_OF[sql[i]!] === lex.SPACE) i++;
  return i;
}

/** Behind NULL, TRUE, FALSE or DEFAULT; below 0 for any other word. */
function endOfConstantWord(sql: Buffer, start: number): number {
  let i = start;
  while (i < sql.length && lex.IS_IDENT_PART[sql[i]!] === 1) i++;
  const isConstant =
    lex.isWord(sql, start, i, 'null') ||
    lex.isWord(sql, start, i, 'true') ||
    lex.isWord(sql, start, i, 'false') ||
    lex.isWord(sql, start, i, 'default');
  return isConstant ? i : NOT_TEMPLATED;
}

/** Is the word a function whose first argument decides which object it uses? The argument then stays in the key. */
export function isTellingCall(sql: Buffer, start: number, end: number): boolean {
  switch (end - start) {
    case 6:
      return lex.isWord(sql, start, end, 'setval');
    case 7:
      return lex.isWord(sql, start, end, 'nextval') || lex.isWord(sql, start, end, 'currval');
    case 9:
      return lex.isWord(sql, start, end, 'pg_notify');
    case 10:
      return lex.isWord(sql, start, end, 'set_config');
    case 15:
      return lex.isWord(sql, start, end, 'current_setting');
    default:
      return false;
  }
}
