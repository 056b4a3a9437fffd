/**
 * Reads the system catalog of a database into an immutable Catalog, in one REPEATABLE READ transaction, so that all of it
 * is of one snapshot. The caller owns the connection and passes a query function. Does not decide what the facts mean
 * (binding/binder.ts), nor when to read again (topology/schema-watch.ts, with catalogFingerprint).
 */
import { hiddenFunctions, readOperators, readTypes, type Types } from './casts.ts';
import { readFunctions, readSystemFunctions } from './functions.ts';
import { containingTypes, QUERIES } from './queries.ts';
import { readRelations, type RelationRows } from './relations.ts';
import { num, str } from './rows.ts';
import type { Query, Row } from './rows.ts';
import { createCatalog, type CatalogParts } from './snapshot.ts';
import { readSessionDefaults } from './defaults.ts';
import type { Catalog, SystemFunctions } from './types.ts';

export { catalogFingerprint } from './fingerprint.ts';

export interface ReadCatalogOptions {
  /** Catalog.version of the result; default: the monotonic clock of the process in microseconds, so that it grows. */
  readonly version?: number;
  /** The catalog that was read last, of whatever database: what is still the same is taken from it. */
  readonly previous?: Catalog | undefined;
}

/**
 * @param query runs one SQL text and resolves to its rows as objects; on a connection that is not in a transaction and
 *   that the caller does not use until readCatalog has settled
 * @throws the error that `query` rejected with, after a ROLLBACK
 */
export async function readCatalog(query: Query, options: ReadCatalogOptions = {}): Promise<Catalog> {
  await query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    const catalog = await readAll(query, options);
    await query('COMMIT');
    return catalog;
  } catch (error) {
    await query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Reads the identity of the database and the default settings of its sessions. */
async function readHead(
  query: Query,
): Promise<Pick<CatalogParts, 'tagPrefix' | 'searchPath' | 'sessionDefaults' | 'notes'>> {
  const session = (await query(QUERIES.searchPath))[0] ?? {};
  // No user object can hide the objects of pg_catalog that the queries name.
  await query('SET LOCAL search_path = pg_catalog');
  await query('SET LOCAL standard_conforming_strings = on');
  const header = (await query(QUERIES.header))[0] ?? {};
  const notes: string[] = [];
  const system = await optional(query, QUERIES.system, 'pg_control_system() is not allowed', notes);
  const roleSettings = await optional(query, QUERIES.roleSettings, 'pg_db_role_setting cannot be read', notes);
  const searchPath = searchPathOf(session);
  const plain = roleSettings.length === 0 ? [] : await query(QUERIES.plainSettings);
  return {
    // Without the system identifier two clusters with equal database OIDs could share a Redis by mistake, but every
    // Weir in front of the same database still agrees on its tags as long as all are allowed the same.
    tagPrefix: `${str(system[0] ?? {}, 'id') || 'cluster'}.${num(header, 'oid')}:`,
    searchPath,
    sessionDefaults: readSessionDefaults(roleSettings, [...plain, { name: 'search_path', value: searchPath }]),
    notes,
  };
}

async function readAll(query: Query, options: ReadCatalogOptions): Promise<Catalog> {
  const head = await readHead(query);
  const system = await systemFunctions(query, head.tagPrefix, options.previous);
  const functions = await readFunctions(system, await query(QUERIES.userFunctions));
  const operatorRows = await query(QUERIES.operators);
  const castRows = await query(QUERIES.casts);
  const typeRows = await query(QUERIES.types);
  const domainChecks = await query(QUERIES.domainChecks);
  const types = readTypes(typeRows, castRows, domainChecks, functions, oidsOf(await query(QUERIES.momentTypes)));
  const volatileTypes = await markVolatile(query, types);
  const checkedTypes = await containing(query, [...types.checking.keys()]);
  const relationRows = await query(QUERIES.relations);
  const relations = readRelations(
    {
      relations: relationRows,
      ...(await rowsOnRelations(query)),
      volatileRowTypes: volatileTypes,
      volatileTypeFunctions: [...types.volatile.values()].flat(),
      checkedRowTypes: checkedTypes,
      checkFunctions: [...types.checking.values()].flat(),
    },
    functions,
    types,
  );
  const hidden = hiddenFunctions(operatorRows, castRows, await query(QUERIES.supports), functions);
  return createCatalog({
    ...head,
    version: options.version ?? Math.round(performance.now() * 1000),
    relations,
    functions,
    types,
    plainColumns: new Set((await query(QUERIES.plainColumns)).map((row) => str(row, 'name'))),
    volatileRowTypes: rowTypes(relationRows, volatileTypes),
    checkedRowTypes: rowTypes(relationRows, checkedTypes),
    checkedTypes,
    operators: readOperators(operatorRows),
    hiddenFunctions: hidden.hidden,
    assignmentFunctions: hidden.onAssignment,
  });
}

async function systemFunctions(
  query: Query,
  tagPrefix: string,
  previous: Catalog | undefined,
): Promise<SystemFunctions> {
  const version = str((await query(QUERIES.systemFunctionsVersion))[0] ?? {}, 'version');
  const known = previous?.systemFunctions;
  if (previous?.tagPrefix === tagPrefix && known?.version === version) return known;
  return readSystemFunctions(version, await query(QUERIES.systemFunctions));
}

type RowsOnRelations = Pick<
  RelationRows,
  'parents' | 'views' | 'viewDependencies' | 'rules' | 'policies' | 'foreignKeys' | 'triggers' | 'defaults'
>;

/** Reads what the system tables other than pg_class say about relations. */
async function rowsOnRelations(query: Query): Promise<RowsOnRelations> {
  return {
    parents: await query(QUERIES.parents),
    views: await query(QUERIES.views),
    viewDependencies: await query(QUERIES.viewDependencies),
    rules: await query(QUERIES.rules),
    policies: await query(QUERIES.policies),
    foreignKeys: await query(QUERIES.foreignKeys),
    triggers: await query(QUERIES.triggers),
    defaults: await query(QUERIES.defaults),
  };
}

/** Marks every type that contains a type with a volatile check as volatile, too. */
async function markVolatile(query: Query, types: Types): Promise<ReadonlySet<number>> {
  const volatileTypes = await containing(query, [...types.volatile.keys()]);
  for (const oid of volatileTypes) {
    const facts = types.byOid.get(oid);
    if (facts !== undefined) facts.volatility = 'volatile';
  }
  return volatileTypes;
}

/** The types `oids`, and every type that contains one of them. */
async function containing(query: Query, oids: readonly number[]): Promise<ReadonlySet<number>> {
  if (oids.length === 0) return new Set();
  return new Set((await query(containingTypes(oids))).map((row) => num(row, 'oid')));
}

/** Runs a query that the monitor's role may not be allowed. If it fails: no rows, a note, and the transaction goes on. */
async function optional(query: Query, sql: string, note: string, notes: string[]): Promise<Row[]> {
  await query('SAVEPOINT catalog');
  try {
    const rows = await query(sql);
    await query('RELEASE SAVEPOINT catalog');
    return rows;
  } catch (error) {
    await query('ROLLBACK TO SAVEPOINT catalog');
    notes.push(`${note}: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

function oidsOf(rows: readonly Row[]): ReadonlySet<number> {
  return new Set(rows.map((row) => num(row, 'oid')));
}

function rowTypes(relationRows: readonly Row[], volatileTypes: ReadonlySet<number>): ReadonlySet<number> {
  const found = new Set<number>();
  if (volatileTypes.size === 0) return found;
  for (const row of relationRows) if (volatileTypes.has(num(row, 'type'))) found.add(num(row, 'oid'));
  return found;
}

/** The search_path without a default by role or database. If this session has such a default: PostgreSQL's own. */
function searchPathOf(session: Row): string {
  return /user|database|global/.test(str(session, 'source')) ? '"$user", public' : str(session, 'path');
}
