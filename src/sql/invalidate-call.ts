/**
 * Reads `SELECT weir_invalidate(...)`, which Weir answers itself: arguments are texts, parameters and arrays of them. The
 * parser has replaced its constants in the facts of a statement, so the text is read again here. Called by
 * request/steps/invalidate.ts for texts that have such a call. Pure.
 */

export type CallArgument =
  | { readonly kind: 'text'; readonly value: string | null }
  /** `$number`. isArray: by a cast or VARIADIC; undefined: the text does not say it. */
  | { readonly kind: 'parameter'; readonly number: number; readonly isArray: boolean | undefined };

export interface InvalidateCall {
  /** Name of the column of its answer. */
  readonly column: string;
  readonly args: readonly CallArgument[];
  /** Highest number of a parameter. */
  readonly parameters: number;
}

export const functionName = 'weir_invalidate';
/** As many as PostgreSQL allows. */
const maxParameters = 65_535;

const token = /\s*(?:'((?:[^']|'')*)'|\$(\d{1,5})|"((?:[^"]|"")+)"|([A-Za-z_]\w*)|(::|[(),[\];]))/y;

interface Token {
  readonly kind: 'string' | 'parameter' | 'name' | 'word' | 'symbol' | 'end';
  readonly text: string;
}

const end: Token = { kind: 'end', text: '' };

/** @returns undefined: there is something else in it */
function tokensOf(sql: string): Token[] | undefined {
  const tokens: Token[] = [];
  token.lastIndex = 0;
  const trimmed = sql.trimEnd();
  while (token.lastIndex < trimmed.length) {
    const match = token.exec(trimmed);
    if (match === null) return undefined;
    const [, string, parameter, name, word, symbol] = match;
    if (string !== undefined) tokens.push({ kind: 'string', text: string.replaceAll("''", "'") });
    else if (parameter !== undefined) tokens.push({ kind: 'parameter', text: parameter });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name.replaceAll('""', '"') });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word.toLowerCase() });
    else tokens.push({ kind: 'symbol', text: symbol ?? '' });
  }
  return tokens;
}

/** The call has another form. */
class OtherForm extends Error {}

class Reader {
  private readonly tokens: readonly Token[];
  private at = 0;
  readonly args: CallArgument[] = [];

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  read(): string {
    this.need('select');
    const called = this.next();
    if (called.text !== functionName || (called.kind !== 'word' && called.kind !== 'name')) throw new OtherForm();
    this.need('(');
    do this.argument();
    while (this.take(','));
    this.need(')');
    const column = this.take('as') ? this.next() : undefined;
    if (column !== undefined && column.kind !== 'word' && column.kind !== 'name') throw new OtherForm();
    this.take(';');
    if (this.next() !== end) throw new OtherForm();
    return column?.text ?? functionName;
  }

  private argument(): void {
    const isVariadic = this.take('variadic');
    if (this.take('array')) {
      this.need('[');
      if (!this.take(']')) {
        do this.value(false);
        while (this.take(','));
        this.need(']');
      }
      this.type();
      return;
    }
    this.value(isVariadic);
  }

  private value(isVariadic: boolean): void {
    const { kind, text } = this.next();
    const isArray = this.type() ?? (isVariadic ? true : undefined);
    if (kind === 'parameter') {
      const number = Number(text);
      if (number < 1 || number > maxParameters) throw new OtherForm();
      this.args.push({ kind: 'parameter', number, isArray });
    } else if (kind === 'word' && text === 'null') {
      this.args.push({ kind: 'text', value: null });
    } else if (kind === 'string') {
      const values = isArray === true ? readArray(text) : [text];
      if (values === undefined) throw new OtherForm();
      for (const value of values) this.args.push({ kind: 'text', value });
    } else {
      throw new OtherForm();
    }
  }

  /** @returns whether it is that of an array; undefined: there is no cast */
  private type(): boolean | undefined {
    let isArray: boolean | undefined;
    while (this.take('::')) {
      const { kind, text } = this.next();
      if (kind !== 'word' || (text !== 'text' && text !== 'varchar')) throw new OtherForm();
      isArray = this.take('[');
      if (isArray) this.need(']');
    }
    return isArray;
  }

  private next(): Token {
    return this.tokens[this.at++] ?? end;
  }

  private take(text: string): boolean {
    const found = this.tokens[this.at];
    if (found === undefined || found.text !== text || (found.kind !== 'word' && found.kind !== 'symbol')) return false;
    this.at++;
    return true;
  }

  private need(text: string): void {
    if (!this.take(text)) throw new OtherForm();
  }
}

/** @param sql without its comments. @returns undefined if it is anything but such a call */
export function readInvalidateCall(sql: string): InvalidateCall | undefined {
  const tokens = tokensOf(sql);
  if (tokens === undefined) return undefined;
  const reader = new Reader(tokens);
  try {
    const column = reader.read();
    const numbers = reader.args.map((arg) => (arg.kind === 'parameter' ? arg.number : 0));
    return { column, args: reader.args, parameters: numbers.reduce((most, number) => Math.max(most, number), 0) };
  } catch (error) {
    if (error instanceof OtherForm) return undefined;
    throw error;
  }
}

/** Reads `{a,"b c",NULL}`. @returns undefined if it is no array of one dimension */
export function readArray(text: string): (string | null)[] | undefined {
  const inner = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  if (inner === undefined) return undefined;
  const element = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",{}\\](?:[^",{}\\]*[^\s",{}\\])?))\s*(,|$)/sy;
  const values: (string | null)[] = [];
  let hasMore = inner.trim() !== '';
  while (hasMore) {
    const match = element.exec(inner);
    if (match === null) return undefined;
    const [, quoted, plain, separator] = match;
    if (quoted !== undefined) values.push(quoted.replace(/\\(.)/gs, '$1'));
    else values.push(plain?.toLowerCase() === 'null' ? null : (plain ?? null));
    hasMore = separator === ',';
  }
  return element.lastIndex < inner.length && values.length > 0 ? undefined : values;
}

/** Reads the binary form of an array of text. @returns undefined if it is malformed, or has several dimensions */
export function readBinaryArray(bytes: Buffer): (string | null)[] | undefined {
  if (bytes.length < 12) return undefined;
  const dimensions = bytes.readInt32BE(0);
  if (dimensions === 0) return [];
  if (dimensions !== 1 || bytes.length < 20) return undefined;
  const count = bytes.readInt32BE(12);
  const values: (string | null)[] = [];
  let at = 20;
  for (let i = 0; i < count; i++) {
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < -1 || at + length > bytes.length) return undefined;
    values.push(length === -1 ? null : bytes.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return at === bytes.length ? values : undefined;
}
