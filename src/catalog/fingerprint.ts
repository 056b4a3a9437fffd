/**
 * A short text that changes with the system catalog. The monitor asks for it every few seconds, to notice DDL that did
 * not go through Weir, and then reads the catalog again. It covers all that read-catalog.ts reads, and columns, grants and
 * roles, since those change answers too. Temporary objects do not change it; TRUNCATE and VACUUM FULL do. Two changes
 * whose row versions add up to the same sum go unnoticed.
 */
import { num, str } from './rows.ts';
import type { Query } from './rows.ts';

/** xmin is the ID of the transaction that wrote a row version: an update changes the sum, a delete the count. */
const VERSION = 'xmin::text::bigint';
/** pg_roles, which every role may read, is a view and has no xmin: the sum is made of a hash of the row. */
const ROLE = 'pg_catalog.hashtext(ROW(oid, rolname, rolsuper, rolinherit, rolbypassrls)::text)';
const NOT_TEMPORARY = `(SELECT oid FROM pg_catalog.pg_class WHERE relpersistence <> 't')`;

const SOURCES: readonly (readonly [table: string, where: string, value?: string])[] = [
  ['pg_class', `relpersistence <> 't' AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')`],
  [
    'pg_attribute',
    `attnum > 0 AND attrelid IN (
      SELECT oid FROM pg_catalog.pg_class
      WHERE oid >= 16384 AND relpersistence <> 't' AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c'))`,
  ],
  ['pg_proc', 'oid >= 16384'],
  ['pg_aggregate', 'aggfnoid >= 16384'],
  ['pg_rewrite', `oid >= 16384 AND ev_class IN ${NOT_TEMPORARY}`],
  ['pg_trigger', `NOT tgisinternal AND tgrelid IN ${NOT_TEMPORARY}`],
  ['pg_policy', 'true'],
  ['pg_constraint', `contype IN ('f', 'c') AND (conrelid = 0 OR conrelid IN ${NOT_TEMPORARY})`],
  ['pg_inherits', 'true'],
  ['pg_operator', 'oid >= 16384'],
  ['pg_cast', 'oid >= 16384'],
  ['pg_type', `oid >= 16384 AND typtype IN ('d', 'e', 'r', 'm')`],
  ['pg_enum', 'true'],
  ['pg_namespace', `nspname !~ '^pg_(toast_)?temp_'`],
  ['pg_auth_members', 'true'],
  ['pg_db_role_setting', 'true'],
  ['pg_roles', 'true', ROLE],
];

const SQL = SOURCES.map(
  ([table, where, value = VERSION]) => `
    SELECT '${table}' AS source, pg_catalog.count(*) AS count, pg_catalog.sum(${value}) AS sum
    FROM pg_catalog.${table} WHERE ${where}`,
).join(' UNION ALL ');

/**
 * One read-only statement; it takes the server about 150 ms with 10,000 tables of ten columns each.
 * @param query as for readCatalog
 */
export async function catalogFingerprint(query: Query): Promise<string> {
  const rows = await query(SQL);
  return rows
    .map((row) => `${str(row, 'source')}=${num(row, 'count')}/${str(row, 'sum')}`)
    .sort()
    .join(' ');
}
