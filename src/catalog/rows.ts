/**
 * Reads values from the rows of catalog queries: numbers and strings, whichever way the driver returns an oid or NULL.
 * Also parses the tokens that queries.ts finds in stored expressions. Called by the other readers of this room.
 */
import type { ViewProblem, Volatility } from './types.ts';

export type Row = Record<string, unknown>;
export type Query = (sql: string) => Promise<Row[]>;

/** @returns 0 for NULL */
export function num(row: Row, column: string): number {
  const value = row[column];
  const number = typeof value === 'number' ? value : Number(value ?? 0);
  if (!Number.isFinite(number)) throw new Error(`catalog column ${column} is not a number: ${String(value)}`);
  return number;
}

/** @returns '' for NULL */
export function str(row: Row, column: string): string {
  const value = row[column];
  return typeof value === 'string' ? value : value == null ? '' : String(value as number);
}

export function volatilityOf(code: string): Volatility {
  return code === 'i' ? 'immutable' : code === 's' ? 'stable' : 'volatile';
}

const RANK: Readonly<Record<Volatility, number>> = { immutable: 0, stable: 1, volatile: 2 };

export function worst(a: Volatility, b: Volatility): Volatility {
  return RANK[a] >= RANK[b] ? a : b;
}

/** What a stored expression refers to. */
export interface Expression {
  readonly relations: readonly number[];
  readonly functions: readonly number[];
  /** Types that it converts values to, domains included. */
  readonly types: readonly number[];
  readonly problems: readonly ViewProblem[];
  /** Constant arguments of current_setting(); such calls are not among the functions. */
  readonly settings: readonly string[];
}

const NOTHING: Expression = { relations: [], functions: [], types: [], problems: [], settings: [] };

/** @param tokens the column of that name: ":relid 16384;:funcid 1299;{SQLVALUEFUNCTION" */
export function parseTokens(tokens: string): Expression {
  if (tokens === '') return NOTHING;
  const relations = new Set<number>();
  const functions = new Set<number>();
  const types = new Set<number>();
  const problems = new Set<ViewProblem>();
  const settings = new Set<string>();
  for (const token of tokens.split(';')) {
    if (token.startsWith('{SQLVALUE')) problems.add('value function');
    else if (token.startsWith('{NEXTVALUE')) problems.add('sequence');
    else if (token.startsWith('{TABLESAMPLE')) problems.add('sample');
    else if (token.startsWith(':hasForUpdate')) problems.add('locks rows');
    else if (token.startsWith(':coltypes')) for (const oid of token.match(/[0-9]+/g) ?? []) types.add(Number(oid));
    else {
      const [field = '', number] = token.slice(1).split(' ', 2);
      const oid = Number(number);
      const setting = token.endsWith(']') ? textOfDatum(token) : undefined;
      if (setting !== undefined) settings.add(setting);
      else (field === 'relid' ? relations : field === 'resulttype' || field === 'typid' ? types : functions).add(oid);
    }
  }
  return {
    relations: [...relations],
    functions: [...functions],
    types: [...types],
    problems: [...problems],
    settings: [...settings],
  };
}

/** The text in ":constvalue 7 [ 28 0 0 0 97 46 98 ]": a varlena header of four bytes with the length, then the text. */
function textOfDatum(token: string): string | undefined {
  const bytes = token
    .slice(token.lastIndexOf('[') + 1, -1)
    .trim()
    .split(' ')
    .map((byte) => Number(byte) & 0xff);
  const buffer = Buffer.from(bytes);
  if (buffer.length < 5) return undefined;
  // The length is shifted left by two bits on a little-endian server, and not shifted on a big-endian one.
  const isWhole = buffer.readUInt32LE(0) >>> 2 === buffer.length || buffer.readUInt32BE(0) === buffer.length;
  return isWhole ? buffer.toString('utf8', 4) : undefined;
}

/** The first OID of objects that initdb did not create (FirstNormalObjectId). */
export const FIRST_USER_OID = 16_384;

export function pushTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** Returns one string object per distinct text, to save memory: ten thousand relations share a few schema names. */
export function createInterner(): (text: string) => string {
  const seen = new Map<string, string>();
  return (text) => {
    const known = seen.get(text);
    if (known !== undefined) return known;
    seen.set(text, text);
    return text;
  };
}
