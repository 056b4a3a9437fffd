/**
 * Reads pg_proc into CatalogFunctions. The volatility is the highest of the function itself, the defaults of its arguments
 * and, since pg_proc declares every aggregate immutable, the support functions of an aggregate. Called by read-catalog.ts.
 */
import { createInterner, FIRST_USER_OID, num, parseTokens, pushTo, str, volatilityOf, worst } from './rows.ts';
import type { Row } from './rows.ts';
import { isHarmlessTriggerBody } from './trigger-body.ts';
import type { CatalogFunction, SystemFunctions, Volatility } from './types.ts';

export interface Functions {
  readonly system: SystemFunctions;
  readonly byOid: ReadonlyMap<number, CatalogFunction>;
  /** schema -> name -> overloads. */
  readonly byName: ReadonlyMap<string, ReadonlyMap<string, readonly CatalogFunction[]>>;
  readonly columnFunctions: readonly CatalogFunction[];
}

/** Trigger functions of PostgreSQL and its contrib modules that change no other row. */
const HARMLESS_BUILTIN = new Set([
  'tsvector_update_trigger',
  'tsvector_update_trigger_column',
  'suppress_redundant_updates_trigger',
]);
const HARMLESS_CONTRIB = new Set(['moddatetime', 'insert_username', 'autoinc']);

const noSettings: readonly string[] = [];
const noParts: readonly number[] = [];

/** After this many rows (some milliseconds) the event loop runs, so that clients do not wait. */
const ROWS_AT_ONCE = 1000;

/** @param rows of QUERIES.systemFunctions */
export async function readSystemFunctions(version: string, rows: readonly Row[]): Promise<SystemFunctions> {
  return { version, all: await functionsIn(rows, declaredIn(rows)) };
}

/** @param rows of QUERIES.userFunctions */
export async function readFunctions(system: SystemFunctions, rows: readonly Row[]): Promise<Functions> {
  const declared = declaredIn(rows);
  for (const { oid, volatility } of system.all) declared.set(oid, volatility);
  const own = await functionsIn(rows, declared);
  const byOid = new Map<number, CatalogFunction>();
  const byName = new Map<string, Map<string, CatalogFunction[]>>();
  for (const found of [...system.all, ...own]) {
    byOid.set(found.oid, found);
    let names = byName.get(found.schema);
    if (names === undefined) byName.set(found.schema, (names = new Map()));
    pushTo(names, found.name, found);
  }
  const isColumnLike = (row: Row | undefined): boolean => row !== undefined && num(row, 'columnlike') === 1;
  const columnFunctions = own.filter(({ minArgs }, i) => minArgs <= 1 && isColumnLike(rows[i]));
  return { system, byOid, byName, columnFunctions };
}

/** One for each row, in their order. */
async function functionsIn(
  rows: readonly Row[],
  declared: ReadonlyMap<number, Volatility>,
): Promise<CatalogFunction[]> {
  const intern = createInterner();
  const all: CatalogFunction[] = [];
  for (const [i, row] of rows.entries()) {
    if (i % ROWS_AT_ONCE === ROWS_AT_ONCE - 1) await new Promise(setImmediate);
    all.push(toFunction(row, declared, intern));
  }
  return all;
}

function declaredIn(rows: readonly Row[]): Map<number, Volatility> {
  return new Map(rows.map((row) => [num(row, 'oid'), volatilityOf(str(row, 'volatility'))]));
}

function toFunction(
  row: Row,
  declared: ReadonlyMap<number, Volatility>,
  intern: (text: string) => string,
): CatalogFunction {
  const oid = num(row, 'oid');
  const schema = intern(str(row, 'schema'));
  const name = str(row, 'name');
  const language = intern(str(row, 'language'));
  const args = num(row, 'args');
  const isVariadic = num(row, 'variadic') === 1;
  // An ordered-set aggregate has its direct arguments in the parentheses and the others after WITHIN GROUP.
  const isOrderedSet = str(row, 'aggregate') !== '' && str(row, 'aggregate') !== 'n';
  const isSystem = oid < FIRST_USER_OID;
  return {
    oid,
    schema,
    name,
    volatility: effectiveVolatility(row, declared),
    language,
    minArgs: isOrderedSet ? 0 : args - num(row, 'defaults') - (isVariadic ? 1 : 0),
    maxArgs: isOrderedSet || isVariadic ? Infinity : args,
    isProcedure: str(row, 'kind') === 'p',
    isSystem,
    isHarmless: isSystem
      ? HARMLESS_BUILTIN.has(name)
      : (language === 'c' && HARMLESS_CONTRIB.has(name)) || isHarmlessTrigger(row, language),
    mayDefine: num(row, 'defining') === 1,
    leavesState: num(row, 'leaving') === 1,
    asksSequences: num(row, 'asking') === 1,
    asksSettings: str(row, 'asked') === '' ? noSettings : str(row, 'asked').split(';'),
    body: row['body'] == null ? undefined : str(row, 'body'),
    parts: isSystem ? noParts : partsOf(row),
  };
}

function isHarmlessTrigger(row: Row, language: string): boolean {
  const body = str(row, 'body');
  return num(row, 'trigger') === 1 && language === 'plpgsql' && body.length < 2000 && isHarmlessTriggerBody(body);
}

function partsOf(row: Row): readonly number[] {
  const parts = str(row, 'kind') === 'a' ? str(row, 'parts').split(';').map(Number) : [];
  const all = [...parts, ...parseTokens(str(row, 'tokens')).functions].filter((oid) => oid > 0);
  return all.length === 0 ? noParts : all;
}

function effectiveVolatility(row: Row, declared: ReadonlyMap<number, Volatility>): Volatility {
  let volatility = volatilityOf(str(row, 'volatility'));
  if (str(row, 'kind') === 'a') {
    for (const part of str(row, 'parts').split(';')) {
      if (part !== '' && part !== '0') volatility = worst(volatility, declared.get(Number(part)) ?? 'volatile');
    }
  }
  const defaults = parseTokens(str(row, 'tokens'));
  for (const oid of defaults.functions) volatility = worst(volatility, declared.get(oid) ?? 'volatile');
  if (defaults.problems.length > 0) {
    volatility = worst(volatility, defaults.problems.includes('sequence') ? 'volatile' : 'stable');
  }
  return volatility;
}
