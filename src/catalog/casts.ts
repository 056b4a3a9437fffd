/**
 * Reads pg_type, pg_cast and pg_operator: the volatility of conversions to a type and of operators, and the user functions
 * that PostgreSQL may call although the text does not name them. Called by read-catalog.ts.
 */
import type { Functions } from './functions.ts';
import { FIRST_USER_OID, num, parseTokens, pushTo, str, volatilityOf, worst } from './rows.ts';
import type { Row } from './rows.ts';
import type { CatalogFunction, Volatility } from './types.ts';

export interface TypeFacts {
  readonly oid: number;
  /** The most volatile of its input function, the casts to it and its checks. */
  volatility: Volatility;
  /** A converted value depends only on the input and on settings in the cache key. */
  isKeyed: boolean;
  /** The same text may give another value at another time ('now'). */
  isMoment: boolean;
  /** A built-in type that is neither text nor made of it. */
  readonly isPlain: boolean;
}

export interface Types {
  /** schema -> name -> facts, without the row types of tables. */
  readonly byName: ReadonlyMap<string, ReadonlyMap<string, TypeFacts>>;
  readonly byOid: ReadonlyMap<number, TypeFacts>;
  /** Types with a volatile check or input function, and these functions. */
  readonly volatile: ReadonlyMap<number, readonly number[]>;
  /** OIDs of the types with isMoment, and of types made of them, arrays included. */
  readonly moments: ReadonlySet<number>;
  /** User functions called by casts to a type, and by the checks of a domain. */
  readonly casting: ReadonlyMap<number, readonly number[]>;
  readonly checking: ReadonlyMap<number, readonly number[]>;
}

/** Types whose input looks up a name in the catalog, with the search path and privileges of the session. */
const LOOKUP_TYPES = /^(?:reg[a-z]+|aclitem)$/;

export function readTypes(
  typeRows: readonly Row[],
  castRows: readonly Row[],
  checkRows: readonly Row[],
  functions: Functions,
  moments: ReadonlySet<number>,
): Types {
  const byOid = new Map<number, TypeFacts>();
  const byName = new Map<string, Map<string, TypeFacts>>();
  const volatile = new Map<number, number[]>();
  const casting = new Map<number, number[]>();
  const checking = new Map<number, number[]>();
  const rowOf = new Map<number, Row>();
  for (const row of typeRows) {
    const facts: TypeFacts = {
      oid: num(row, 'oid'),
      volatility: ownVolatility(row),
      isKeyed: isOwnKeyed(row),
      isMoment: moments.has(num(row, 'oid')),
      isPlain: num(row, 'plain') === 1,
    };
    byOid.set(facts.oid, facts);
    rowOf.set(facts.oid, row);
    let names = byName.get(str(row, 'schema'));
    if (names === undefined) byName.set(str(row, 'schema'), (names = new Map()));
    names.set(str(row, 'name'), facts);
    if (facts.volatility === 'volatile') volatile.set(facts.oid, [num(row, 'function')]);
  }
  for (const row of castRows) {
    const target = byOid.get(num(row, 'target'));
    if (target === undefined) continue;
    target.volatility = worst(target.volatility, volatilityOf(str(row, 'volatility')));
    if (num(row, 'function') < FIRST_USER_OID) continue;
    if (str(row, 'volatility') !== 'i') target.isKeyed = false;
    pushTo(casting, target.oid, num(row, 'function'));
  }
  for (const row of checkRows) {
    applyCheck(row, byOid, functions, volatile);
    for (const oid of parseTokens(str(row, 'tokens')).functions)
      if (oid >= FIRST_USER_OID) pushTo(checking, num(row, 'type'), oid);
  }
  for (const [oid, facts] of byOid) inherit(facts, rowOf.get(oid), byOid, rowOf);
  return { byName, byOid, volatile, moments, casting, checking };
}

function ownVolatility(row: Row): Volatility {
  // The subtype of a user-defined multirange is not looked up, so the type counts as volatile.
  if (str(row, 'kind') === 'm' && num(row, 'oid') >= FIRST_USER_OID) return 'volatile';
  const input = str(row, 'input');
  return input === '' ? 'volatile' : volatilityOf(input);
}

function isOwnKeyed(row: Row): boolean {
  const kind = str(row, 'kind');
  if (num(row, 'oid') < FIRST_USER_OID) return kind !== 'c' && !LOOKUP_TYPES.test(str(row, 'name'));
  if (kind === 'e' || kind === 'd' || kind === 'r') return true;
  return kind === 'b' && str(row, 'input') === 'i';
}

function applyCheck(
  row: Row,
  byOid: ReadonlyMap<number, TypeFacts>,
  functions: Functions,
  volatile: Map<number, number[]>,
): void {
  const facts = byOid.get(num(row, 'type'));
  if (facts === undefined) return;
  const check = parseTokens(str(row, 'tokens'));
  if (check.problems.length > 0) facts.isKeyed = false;
  for (const oid of check.functions) {
    const volatility = functions.byOid.get(oid)?.volatility ?? 'volatile';
    facts.volatility = worst(facts.volatility, volatility);
    if (volatility !== 'immutable') facts.isKeyed = false;
    if (volatility === 'volatile') volatile.set(facts.oid, [...(volatile.get(facts.oid) ?? []), oid]);
  }
}

/** Passes the facts of the base type on to a domain, of the subtype to a range. An unknown type counts as volatile. */
function inherit(
  facts: TypeFacts,
  row: Row | undefined,
  byOid: ReadonlyMap<number, TypeFacts>,
  rowOf: ReadonlyMap<number, Row>,
): void {
  const seen = new Set<number>();
  let at = row;
  while (at !== undefined) {
    const below = num(at, 'base') || num(at, 'subtype');
    if (below === 0 || seen.has(below)) return;
    seen.add(below);
    const base = byOid.get(below);
    if (base === undefined) {
      if (below < FIRST_USER_OID) return;
      facts.volatility = 'volatile';
      facts.isKeyed = false;
      return;
    }
    facts.volatility = worst(facts.volatility, base.volatility);
    facts.isKeyed &&= base.isKeyed;
    at = rowOf.get(below);
  }
}

/** By name of the operator: the highest volatility of all, and of the user-defined ones; the functions of the latter. */
export interface Operators {
  readonly all: ReadonlyMap<string, Volatility>;
  readonly user: ReadonlyMap<string, Volatility>;
  readonly functions: ReadonlyMap<string, readonly number[]>;
}

export function readOperators(rows: readonly Row[]): Operators {
  const all = new Map<string, Volatility>();
  const user = new Map<string, Volatility>();
  const functions = new Map<string, number[]>();
  for (const row of rows) {
    const name = str(row, 'name');
    const volatility = volatilityOf(str(row, 'volatility'));
    all.set(name, worst(all.get(name) ?? 'immutable', volatility));
    if (num(row, 'own') !== 1) continue;
    user.set(name, worst(user.get(name) ?? 'immutable', volatility));
    if (num(row, 'function') !== 0) pushTo(functions, name, num(row, 'function'));
  }
  return { all, user, functions };
}

/** Operators that SQL can use without naming them: by IN, BETWEEN, LIKE, CASE x WHEN, ORDER BY, DISTINCT, JOIN USING. */
const IMPLICIT_OPERATORS = new Set([
  '=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  '~~',
  '!~~',
  '~~*',
  '!~~*',
  '~',
  '!~',
  '~*',
  '!~*',
]);
const JSON_TYPES = new Set([114, 3802]);

/** User functions that PostgreSQL may call without a name in the text; see Catalog.hiddenFunctions. */
export function hiddenFunctions(
  operatorRows: readonly Row[],
  castRows: readonly Row[],
  supportRows: readonly Row[],
  functions: Functions,
): { readonly hidden: readonly CatalogFunction[]; readonly onAssignment: readonly CatalogFunction[] } {
  const hidden = new Set(supportRows.map((row) => num(row, 'function')));
  const onAssignment = new Set<number>();
  for (const row of operatorRows) {
    if (num(row, 'function') !== 0 && IMPLICIT_OPERATORS.has(str(row, 'name'))) hidden.add(num(row, 'function'));
  }
  for (const row of castRows) {
    const oid = num(row, 'function');
    if (oid < FIRST_USER_OID && num(row, 'input') === 0) continue;
    if (str(row, 'context') === 'i' || JSON_TYPES.has(num(row, 'target'))) hidden.add(oid);
    if (str(row, 'context') === 'a') onAssignment.add(oid);
  }
  const known = (oids: ReadonlySet<number>): CatalogFunction[] =>
    [...oids].flatMap((oid) => functions.byOid.get(oid) ?? []).filter((found) => !isImmutableInC(found));
  return { hidden: known(hidden), onAssignment: known(new Set([...hidden, ...onAssignment])) };
}

/** A function declared IMMUTABLE whose source is C and cannot be analyzed. */
function isImmutableInC({ language, volatility }: CatalogFunction): boolean {
  return volatility === 'immutable' && (language === 'c' || language === 'internal');
}
