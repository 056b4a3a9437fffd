/**
 * Scanner for the language of the admin console: words, quoted names, strings and numbers. Lexical rules as in
 * PostgreSQL: "quoted names", 'strings', -- and nested comments; an unquoted name may have any character but space
 * ; , = ( ) and quotes. Knows no commands; actions.ts and console.ts read their arguments with it.
 */
import { WeirError } from '../errors/errors.ts';
import type { TableName } from './sources.ts';

export interface Token {
  readonly kind: 'word' | 'string' | 'symbol' | 'end';
  /** Without its quotes. */
  readonly text: string;
  readonly isQuoted: boolean;
  /** There is no blank or comment between it and the token before. */
  readonly isAdjacent: boolean;
}

export function syntaxError(what: string): WeirError {
  return new WeirError('console_syntax', { what });
}

const wordEnd = /[\s;,=()'"]/;
const longestShown = 60;

/** The text in one line, cut to 60 characters, for an error message. */
export function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > longestShown ? `${line.slice(0, longestShown)}...` : line;
}

export class Scanner {
  private readonly text: string;
  private at = 0;
  /** The next token, if peek() has read it already. */
  private peeked: Token | undefined;
  private peekedEnd = 0;

  constructor(text: string) {
    this.text = text;
  }

  peek(): Token {
    if (this.peeked === undefined) {
      const start = this.skipBlank(this.at);
      [this.peeked, this.peekedEnd] = this.read(start, start === this.at);
    }
    return this.peeked;
  }

  next(): Token {
    const token = this.peek();
    this.peeked = undefined;
    this.at = this.peekedEnd;
    return token;
  }

  /** At the end of this statement: at a semicolon or at the end of the text. */
  isAtEnd(): boolean {
    const token = this.peek();
    return token.kind === 'end' || (token.kind === 'symbol' && token.text === ';');
  }

  /** Takes the next token if it is this keyword, in any case. A quoted word is a name, not a keyword. */
  takeKeyword(keyword: string): boolean {
    const token = this.peek();
    if (token.kind !== 'word' || token.isQuoted || token.text.toUpperCase() !== keyword) return false;
    this.next();
    return true;
  }

  takeSymbol(symbol: string): boolean {
    const token = this.peek();
    if (token.kind !== 'symbol' || token.text !== symbol) return false;
    this.next();
    return true;
  }

  /** Position of the next token, for restFrom(). */
  position(): number {
    this.peek();
    return this.at;
  }

  /** Where the last token that was taken ends. */
  lastEnd(): number {
    return this.at;
  }

  restFrom(position: number): string {
    return this.text.slice(position);
  }

  /** Takes the rest of the text as it is written, without a semicolon at its end. */
  takeRest(): string {
    const rest = this.text.slice(this.at).replace(/[\s;]+$/, '');
    this.at = this.text.length;
    this.peeked = undefined;
    return rest.trim();
  }

  /** Takes the rest of this statement: its words, joined by single blanks. */
  takeStatement(): string {
    const words: string[] = [];
    while (!this.isAtEnd()) words.push(this.next().text);
    return words.join(' ');
  }

  private skipBlank(from: number): number {
    let at = from;
    for (;;) {
      while (at < this.text.length && /\s/.test(this.text[at] as string)) at++;
      if (this.text.startsWith('--', at)) {
        const line = this.text.indexOf('\n', at);
        at = line === -1 ? this.text.length : line + 1;
      } else if (this.text.startsWith('/*', at)) {
        at = this.endOfComment(at);
      } else {
        return at;
      }
    }
  }

  private endOfComment(start: number): number {
    let depth = 1;
    let at = start + 2;
    while (depth > 0) {
      if (at >= this.text.length) throw syntaxError('unterminated /* comment');
      if (this.text.startsWith('/*', at)) [depth, at] = [depth + 1, at + 2];
      else if (this.text.startsWith('*/', at)) [depth, at] = [depth - 1, at + 2];
      else at++;
    }
    return at;
  }

  private read(start: number, isAdjacent: boolean): [Token, number] {
    const first = this.text[start];
    if (first === undefined) return [{ kind: 'end', text: '', isQuoted: false, isAdjacent }, start];
    if (first === '"' || first === "'") return this.readQuoted(start, first, isAdjacent);
    if (wordEnd.test(first)) return [{ kind: 'symbol', text: first, isQuoted: false, isAdjacent }, start + 1];
    let end = start;
    while (end < this.text.length && !wordEnd.test(this.text[end] as string)) end++;
    return [{ kind: 'word', text: this.text.slice(start, end), isQuoted: false, isAdjacent }, end];
  }

  private readQuoted(start: number, quote: string, isAdjacent: boolean): [Token, number] {
    let text = '';
    let at = start + 1;
    for (;;) {
      const end = this.text.indexOf(quote, at);
      if (end === -1) throw syntaxError(`unterminated ${quote === '"' ? 'quoted name' : 'string'}`);
      text += this.text.slice(at, end);
      if (this.text[end + 1] !== quote) {
        return [{ kind: quote === '"' ? 'word' : 'string', text, isQuoted: true, isAdjacent }, end + 1];
      }
      text += quote;
      at = end + 2;
    }
  }
}

/**
 * Reads a name. Its case is kept, as in PgBouncer.
 * @param what what the error message calls it: "database"
 * @throws WeirError console_syntax
 */
export function readName(scanner: Scanner, what: string): string {
  return readParts(scanner, what).join('.');
}

/** @returns undefined at the end of the statement */
export function readOptionalName(scanner: Scanner, what: string): string | undefined {
  return scanner.isAtEnd() ? undefined : readName(scanner, what);
}

/** Reads `left` or `left.right`, split at the first dot outside quotes. */
export function readPair(scanner: Scanner, what: string): [string, string | undefined] {
  const [left, ...right] = readParts(scanner, what);
  return [left ?? '', right.length === 0 ? undefined : right.join('.')];
}

/** Reads `table` or `schema.table`. Unquoted parts are folded to lower case, as in PostgreSQL. */
export function readTable(scanner: Scanner): TableName {
  const parts = readParts(scanner, 'table', true);
  if (parts.length > 2) throw syntaxError(`"${shorten(parts.join('.'))}" is not a table name: write [schema.]table`);
  const [first = '', second] = parts;
  return second === undefined ? { schema: undefined, name: first } : { schema: first, name: second };
}

function readParts(scanner: Scanner, what: string, isFolded = false): string[] {
  if (scanner.isAtEnd() || scanner.peek().kind === 'symbol') throw syntaxError(`missing name of a ${what}`);
  const parts: string[] = [''];
  let isFirst = true;
  for (;;) {
    const token = scanner.peek();
    if (token.kind === 'end' || token.kind === 'symbol' || (!isFirst && !token.isAdjacent)) break;
    scanner.next();
    isFirst = false;
    const pieces = token.isQuoted ? [token.text] : (isFolded ? token.text.toLowerCase() : token.text).split('.');
    parts[parts.length - 1] += pieces[0] ?? '';
    parts.push(...pieces.slice(1));
  }
  if (parts.includes('')) throw syntaxError(`empty name of a ${what}`);
  return parts;
}

/** Reads a whole number from 0 to `max`. @param least as the message has it, if the caller refuses what is less */
export function readNumber(scanner: Scanner, what: string, max = 1_000_000, least = 0): number {
  const token = scanner.isAtEnd() ? undefined : scanner.next();
  const value = token === undefined || !/^\d{1,15}$/.test(token.text) ? NaN : Number(token.text);
  if (!(value <= max)) {
    throw syntaxError(`${what} wants a whole number from ${least} to ${max}, not "${shorten(token?.text ?? '')}"`);
  }
  return value;
}

/** Reads the value of `SET key = value`: a name, a string or a list of them, joined by ', '. */
export function readValue(scanner: Scanner, key: string): string {
  const values: string[] = [];
  do {
    if (scanner.isAtEnd()) throw syntaxError(`missing value of "${shorten(key)}"`);
    values.push(scanner.next().text);
  } while (scanner.takeSymbol(','));
  return values.join(', ');
}

/** Reads one or more items, separated by commas. */
export function readList<T>(scanner: Scanner, readOne: (scanner: Scanner) => T): T[] {
  const items = [readOne(scanner)];
  while (scanner.takeSymbol(',')) items.push(readOne(scanner));
  return items;
}
