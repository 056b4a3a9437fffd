/**
 * Makes the key of a text's template in one pass over its bytes: leaves out comments, white space and the values of
 * constants. The parser gets a text made from the key (template.ts), so texts with equal keys have equal facts. A text that
 * the scanner cannot follow has no template. Called for every statement, so it allocates nothing for texts of usual length.
 */
import { ConstantReader, isTellingCall, MALFORMED, NOT_TEMPLATED, skipDigits } from './constants.ts';
import { EdgeComments } from './edge-comments.ts';
import * as lex from './lexical.ts';
import * as marks from './template.ts';

export { MALFORMED, NOT_TEMPLATED };

/** Texts with deeper nesting of brackets are not parsed, because the parser's stack could overflow. */
const MAX_DEPTH = 1000;
const KEPT_CONSTANT_MAX = 64;
const AMPERSAND = 0x26;
const BLANK = 0x20;

/** Kind of the last token, as far as the meaning of the next one depends on it. */
const AFTER_OTHER = 0;
const AFTER_WORD = 1;
const AFTER_DOT = 2;
/** An opening bracket behind a word. */
const AFTER_CALL = 3;

export class Scanner {
  /** The key of the last scan: bytes 0..(the number returned). Valid until the next scan. */
  key: Buffer;
  /** With MALFORMED: what is wrong, in words. */
  problem = '';
  /** Whether the value of a constant was left out, so that the facts may depend on more than the key. */
  hasConstants = false;
  readonly comments = new EdgeComments();

  readonly #buffer: Buffer;
  readonly #constants = new ConstantReader();
  #length = 0;
  #depth = 0;
  #maxDepth = 0;
  #after = AFTER_OTHER;
  /** The last word: where it is in the text, and whether a dot came before it. */
  #wordStart = 0;
  #wordEnd = 0;
  #isQualified = false;
  /** Where the last constant or parameter ended: an adjacent one could merge with it in the key. */
  #constantEnd = -1;

  /** @param bufferSize texts up to so many bytes are scanned without an allocation. */
  constructor(bufferSize: number) {
    this.key = this.#buffer = Buffer.allocUnsafeSlow(bufferSize);
  }

  /** Length of the key, or NOT_TEMPLATED or MALFORMED. A key is never longer than its text. */
  scan(sql: Buffer): number {
    this.key = sql.length <= this.#buffer.length ? this.#buffer : Buffer.allocUnsafeSlow(sql.length);
    this.hasConstants = false;
    this.#length = this.#depth = this.#maxDepth = 0;
    this.#constantEnd = -1;
    this.comments.restart(sql.length);
    this.#after = AFTER_OTHER;
    const failure = this.#tokens(sql);
    this.comments.finish(this.#length, sql.length);
    if (failure < 0) return failure;
    return this.#maxDepth > MAX_DEPTH ? this.#malformed(`brackets nested more than ${MAX_DEPTH} deep`) : this.#length;
  }

  #malformed(problem: string): number {
    this.problem = problem;
    return MALFORMED;
  }

  #tokens(sql: Buffer): number {
    const length = sql.length;
    let i = 0;
    for (;;) {
      const start = i;
      i = this.#blank(sql, i);
      if (i >= length || i < 0) return i;
      if (i > start && this.#length > 0) this.key[this.#length++] = BLANK;
      const c = sql[i]!;
      switch (lex.CLASS_OF[c]) {
        case lex.IDENT:
          i = this.#word(sql, i);
          break;
        case lex.DIGIT:
          i = this.#number(sql, i);
          break;
        case lex.STRING:
          i = this.#string(sql, i);
          break;
        case lex.NAME:
          i = this.#quotedName(sql, i);
          break;
        case lex.PARAM:
          i = this.#dollar(sql, i);
          break;
        case lex.PERIOD:
          i = this.#dot(sql, i, c);
          break;
        case lex.OPEN:
        case lex.OPEN_BRACKET:
          i = this.#open(sql, i, c);
          break;
        case lex.CLOSE:
        case lex.CLOSE_BRACKET:
          this.#depth--;
          i = this.#copy(c, i, AFTER_OTHER);
          break;
        case lex.SEMICOLON:
          i = this.#semicolon(c, i);
          break;
        case lex.BAD:
          return this.#malformed('a control character');
        default:
          i = this.#copy(c, i, AFTER_OTHER);
      }
      if (i < 0) return i;
    }
  }

  #copy(c: number, i: number, after: number): number {
    this.key[this.#length++] = c;
    this.#after = after;
    return i + 1;
  }

  #mark(mark: number, end: number): number {
    this.key[this.#length++] = mark;
    this.#after = AFTER_OTHER;
    this.hasConstants = true;
    this.#constantEnd = end;
    return end;
  }

  /** Behind white space and comments. A dash or slash that opens no comment is an operator. */
  #blank(sql: Buffer, i: number): number {
    const length = sql.length;
    while (i < length) {
      const c = sql[i]!;
      const kind = lex.CLASS_OF[c];
      let end: number;
      if (kind === lex.SPACE) {
        i++;
        continue;
      } else if (kind === lex.MINUS && sql[i + 1] === lex.DASH) {
        end = lex.endOfLineComment(sql, i);
      } else if (kind === lex.DIVIDE && sql[i + 1] === lex.STAR) {
        end = lex.endOfBlockComment(sql, i);
        if (end < 0) return this.#malformed('a comment that does not end');
      } else {
        return i;
      }
      this.comments.add(i, end, this.#length);
      i = end;
    }
    return i;
  }

  /** A keyword or name, or the letter before a string constant of another kind. */
  #word(sql: Buffer, i: number): number {
    const { key } = this;
    const start = i;
    let o = this.#length;
    do key[o++] = sql[i++]!;
    while (i < sql.length && lex.IS_IDENT_PART[sql[i]!] === 1);
    if (i === start + 1 && (sql[i] === lex.QUOTE || sql[i] === AMPERSAND)) {
      const letter = sql[start]! | 0x20;
      if (sql[i] === AMPERSAND) {
        const third = sql[i + 1];
        if (letter === 0x75 && (third === lex.QUOTE || third === lex.DOUBLE_QUOTE)) return NOT_TEMPLATED; // U&'...'
      } else if (letter === 0x65 || letter === 0x62 || letter === 0x78) {
        return this.#prefixedString(sql, i, letter === 0x65);
      }
    }
    this.#length = o;
    this.#wordStart = start;
    this.#wordEnd = i;
    this.#isQualified = this.#after === AFTER_DOT;
    this.#after = AFTER_WORD;
    return i;
  }

  /** E'...', B'...' or X'...'; `i` is at the quote. */
  #prefixedString(sql: Buffer, i: number, isEscape: boolean): number {
    if (i - 1 === this.#constantEnd) return NOT_TEMPLATED;
    if (!isEscape) {
      const end = this.#constants.bits(sql, i + 1);
      return end < 0 ? end : this.#mark(marks.BITS_MARK, end);
    }
    const end = this.#constants.string(sql, i + 1, true);
    if (end < 0) return this.#malformed('a string constant that does not end');
    if (this.#isBehindAmpersand()) return NOT_TEMPLATED;
    return this.#mark(this.#constants.isNow ? marks.NOW_MARK : marks.STRING_MARK, end);
  }

  #string(sql: Buffer, i: number): number {
    if (i === this.#constantEnd) return NOT_TEMPLATED;
    const end = this.#constants.string(sql, i + 1, false);
    if (end < 0) return this.#malformed('a string constant that does not end');
    if (this.#after !== AFTER_CALL || !this.#isKept(sql, i, end)) {
      return this.#mark(this.#constants.isNow ? marks.NOW_MARK : marks.STRING_MARK, end);
    }
    this.#length += sql.copy(this.key, this.#length, i, end);
    this.#after = AFTER_OTHER;
    this.#constantEnd = end;
    return end;
  }

  /** Does this constant stay in the key, as the first argument of a telling call? `i` is at the quote. */
  #isKept(sql: Buffer, i: number, end: number): boolean {
    if (end - i > KEPT_CONSTANT_MAX || end - i <= 2 || this.#constants.isNow) return false;
    if (!isTellingCall(sql, this.#wordStart, this.#wordEnd)) return false;
    for (let k = i + 1; k < end - 1; k++) {
      const c = sql[k]!;
      if (lex.IS_IDENT_PART[c] === 0 && c !== lex.DOT && c !== lex.DOUBLE_QUOTE) return false;
    }
    return true;
  }

  /** U&$$a$$ and U&E'a' are an operator and a string; with a plain string for the stand-in they would be one. */
  #isBehindAmpersand(): boolean {
    return this.#length > 0 && this.key[this.#length - 1] === AMPERSAND;
  }

  #number(sql: Buffer, i: number): number {
    const isAttached = i === this.#constantEnd || (this.#after === AFTER_WORD && i === this.#wordEnd); // a.5 -> a1
    const end = isAttached ? NOT_TEMPLATED : this.#constants.number(sql, i);
    return end < 0 ? end : this.#mark(marks.NUMBER_MARK, end);
  }

  #dot(sql: Buffer, i: number, c: number): number {
    if (sql[i + 1] === c) return NOT_TEMPLATED; // 1..2 is of no use outside of PL/pgSQL
    return lex.CLASS_OF[sql[i + 1] ?? 0] === lex.DIGIT ? this.#number(sql, i) : this.#copy(c, i, AFTER_DOT);
  }

  #quotedName(sql: Buffer, i: number): number {
    const end = lex.endOfName(sql, i + 1);
    if (end < 0) return this.#malformed('a quoted name that does not end');
    while (i < end) this.key[this.#length++] = sql[i++]!;
    this.#after = AFTER_OTHER;
    return end;
  }

  /** $1, or a dollar-quoted string. */
  #dollar(sql: Buffer, i: number): number {
    if (i === this.#constantEnd) return NOT_TEMPLATED;
    const end = skipDigits(sql, i + 1);
    if (end === i + 1) {
      const close = this.#constants.dollarString(sql, i);
      if (close < 0) return this.#malformed('a dollar-quoted string that does not end');
      if (this.#isBehindAmpersand()) return NOT_TEMPLATED;
      return this.#mark(this.#constants.isNow ? marks.NOW_MARK : marks.STRING_MARK, close);
    }
    if (lex.CLASS_OF[sql[end] ?? 0] === lex.IDENT) return NOT_TEMPLATED;
    while (i < end) this.key[this.#length++] = sql[i++]!;
    this.#after = AFTER_OTHER;
    this.#constantEnd = end;
    return end;
  }

  #open(sql: Buffer, i: number, c: number): number {
    if (this.#after !== AFTER_WORD) {
      if (++this.#depth > this.#maxDepth) this.#maxDepth = this.#depth;
      return this.#copy(c, i, AFTER_OTHER);
    }
    // Behind a dot even reserved words are names: x.in(1, 2) is a call.
    const end = this.#isQualified ? -1 : this.#constants.listAfter(sql, this.#wordStart, this.#wordEnd, i);
    if (end < 0) {
      if (++this.#depth > this.#maxDepth) this.#maxDepth = this.#depth;
      return this.#copy(c, i, AFTER_CALL);
    }
    const { isNow } = this.#constants;
    if (c === 0x28) return this.#mark(isNow ? marks.NOW_LIST_MARK : marks.LIST_MARK, end);
    return this.#mark(isNow ? marks.NOW_ARRAY_MARK : marks.ARRAY_MARK, end);
  }

  /** Semicolons may stand between the comments at the end of the text. */
  #semicolon(c: number, i: number): number {
    const isTail = this.comments.isTailAt(this.#length - (this.key[this.#length - 1] === BLANK ? 1 : 0));
    const end = this.#copy(c, i, AFTER_OTHER);
    if (isTail) this.comments.extendTail(this.#length);
    return end;
  }
}
