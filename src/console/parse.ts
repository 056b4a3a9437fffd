/**
 * Reading the admin console's little language: words, quoted names, strings and numbers. Pure.
 * Knows no command; commands.ts reads its arguments through a Scanner. Lexical rules as in PostgreSQL:
 * "quoted names", 'strings', -- and nested comments; an unquoted name may hold anything but space ; , = ( ) and quotes.
 */
import { WeirError } from '../errors.ts';
import type { TableName } from './sources.ts';

export interface Token {
  readonly kind: 'word' | 'string' | 'symbol' | 'end';
  /** Without its quotes. */
  readonly text: string;
  readonly isQuoted: boolean;
  /** Nothing stands between it and the token before. */
  readonly isAdjacent: boolean;
}

export function syntaxError(what: string): WeirError {
  return new WeirError('console_syntax', { what });
}

const wordEnd = /[\s;,=()'"]/;
const longestShown = 60;

/** A piece of what the operator wrote, short enough for a message. */
export function shown(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > longestShown ? `${line.slice(0, longestShown)}...` : line;
}

export class Scanner {
  private readonly text: string;
  private at = 0;
  private ahead: Token | undefined;
  private aheadEnd = 0;

  constructor(text: string) {
    this.text = text;
  }

  peek(): Token {
    if (this.ahead === undefined) {
      const start = this.skipBlank(this.at);
      [this.ahead, this.aheadEnd] = this.read(start, start === this.at);
    }
    return this.ahead;
  }

  next(): Token {
    const token = this.peek();
    this.ahead = undefined;
    this.at = this.aheadEnd;
    return token;
  }

  /** At the end of this statement: at a semicolon or at the end of the text. */
  isAtEnd(): boolean {
    const token = this.peek();
    return token.kind === 'end' || (token.kind === 'symbol' && token.text === ';');
  }

  /** Takes the word if it comes next, in any case; quoted, it is a name and not a keyword. */
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

  /** Where the next token starts, and the text from there on. */
  position(): number {
    this.peek();
    return this.at;
  }

  restFrom(position: number): string {
    return this.text.slice(position);
  }

  /** Everything that is left, as written; a closing semicolon is not part of it. */
  takeRest(): string {
    const rest = this.text.slice(this.at).replace(/[\s;]+$/, '');
    this.at = this.text.length;
    this.ahead = undefined;
    return rest.trim();
  }

  /** The rest of this statement, quoted semicolons not counting, without its blanks and comments. */
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

/** A name; `what` is what the message calls it when it is missing. Case is kept, as in PgBouncer. */
export function readName(scanner: Scanner, what: string): string {
  return readParts(scanner, what).join('.');
}

/** A name if one follows in this statement. */
export function readOptionalName(scanner: Scanner, what: string): string | undefined {
  return scanner.isAtEnd() ? undefined : readName(scanner, what);
}

/** `left` or `left.right`, cut at the first dot outside quotes. */
export function readPair(scanner: Scanner, what: string): [string, string | undefined] {
  const [left, ...right] = readParts(scanner, what);
  return [left ?? '', right.length === 0 ? undefined : right.join('.')];
}

/** `table` or `schema.table`; unquoted parts are folded to lower case, as PostgreSQL does. */
export function readTable(scanner: Scanner): TableName {
  const parts = readParts(scanner, 'table', true);
  if (parts.length > 2) throw syntaxError(`"${shown(parts.join('.'))}" is not a table name: write [schema.]table`);
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

/** A whole number from 0 to `max`. */
export function readNumber(scanner: Scanner, what: string, max = 1_000_000): number {
  const token = scanner.isAtEnd() ? undefined : scanner.next();
  const value = token === undefined || !/^\d{1,15}$/.test(token.text) ? NaN : Number(token.text);
  if (!(value <= max)) {
    throw syntaxError(`${what} wants a whole number from 0 to ${max}, not "${shown(token?.text ?? '')}"`);
  }
  return value;
}

/** The value of `SET key = value`: a name, a string or a list of them, as one text. */
export function readValue(scanner: Scanner, key: string): string {
  const values: string[] = [];
  do {
    if (scanner.isAtEnd()) throw syntaxError(`missing value of "${shown(key)}"`);
    values.push(scanner.next().text);
  } while (scanner.takeSymbol(','));
  return values.join(', ');
}

/** One or more, separated by commas. */
export function readList<T>(scanner: Scanner, readOne: (scanner: Scanner) => T): T[] {
  const items = [readOne(scanner)];
  while (scanner.takeSymbol(',')) items.push(readOne(scanner));
  return items;
}
