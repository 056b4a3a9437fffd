/**
 * The SQL that reads the system catalog of a database: one statement per system table, for PostgreSQL 13 to 18, all names
 * qualified. read-catalog.ts runs the statements; the readers beside it make a Catalog of the rows.
 */
import { FUNCTION_QUERIES, IN_C } from './function-queries.ts';
import { RELEVANT_FUNCTIONS, tokens } from './tree-tokens.ts';

const INDEX_TEXT = `(coalesce(indexprs::text, '') || coalesce(indpred::text, ''))`;

const NOT_TEMPORARY = `c.relpersistence <> 't' AND n.nspname !~ '^pg_(toast|temp)'`;

/** A type of `t` that is neither text nor made of it. */
const PLAIN_TYPE = `t.oid < 16384 AND t.typcategory IN ('N', 'D', 'T', 'B')`;

export const QUERIES = {
  header: `
    SELECT oid, pg_catalog.current_setting('server_version_num') AS version
    FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()`,

  // Runs before search_path is set to pg_catalog, hence OPERATOR(). The values from before PLAIN_SESSION_SQL
  // (topology/probe-sql.ts) if the monitor has set that.
  searchPath: `
    SELECT coalesce(nullif(pg_catalog.current_setting('weir.monitor_path', true), ''), setting) AS path,
           coalesce(nullif(pg_catalog.current_setting('weir.monitor_path_source', true), ''), source) AS source
    FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path'`,

  system: `SELECT system_identifier::text AS id FROM pg_catalog.pg_control_system()`,

  roleSettings: `
    SELECT r.rolname AS role, s.setdatabase AS database, pg_catalog.split_part(c, '=', 1) AS name,
           pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1) AS value
    FROM pg_catalog.pg_db_role_setting s
    CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) c
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
    WHERE (s.setrole = 0 OR r.oid IS NOT NULL)
      AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))`,

  // Settings with a default by role or database, and the value of a session without it. NULL where this session has a
  // value of its own, which says nothing about other sessions.
  plainSettings: `
    SELECT pg_catalog.lower(name) AS name,
           CASE WHEN source NOT IN ('global', 'database', 'user', 'database user', 'client', 'session')
             THEN reset_val END AS value
    FROM pg_catalog.pg_settings
    WHERE context = 'user' AND pg_catalog.lower(name) IN (
      SELECT pg_catalog.lower(pg_catalog.split_part(c, '=', 1))
      FROM pg_catalog.pg_db_role_setting CROSS JOIN LATERAL pg_catalog.unnest(setconfig) c)`,

  relations: `
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.relpersistence::text AS persistence,
           c.relrowsecurity::int AS rls, c.reltype AS type
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND ${NOT_TEMPORARY}`,

  parents: `
    SELECT i.inhrelid AS child, i.inhparent AS parent
    FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE c.relkind IN ('r', 'p', 'f')`,

  views: `
    SELECT r.ev_class AS relation, ${tokens('r.ev_action::text')} AS tokens
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE r.ev_type = '1' AND c.relkind IN ('v', 'm') AND ${NOT_TEMPORARY}
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')`,

  viewDependencies: `
    SELECT DISTINCT r.ev_class AS relation, (d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass)::int AS function,
           d.refobjid AS target
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.ev_type = '1' AND d.refobjid <> r.ev_class
      AND d.refclassid IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass)`,

  rules: `
    SELECT ev_class AS relation, (ev_action::text ~ ':funcid (1575|2559) ')::int AS asking,
           ${tokens("coalesce(ev_qual::text, '') || ev_action::text", RELEVANT_FUNCTIONS)} AS tokens
    FROM pg_catalog.pg_rewrite WHERE ev_type <> '1' AND ev_enabled <> 'D' AND oid >= 16384`,

  policies: `
    SELECT p.polrelid AS relation,
           ${tokens("coalesce(p.polqual::text, '') || coalesce(p.polwithcheck::text, '')")} AS tokens
    FROM pg_catalog.pg_policy p`,

  foreignKeys: `
    SELECT DISTINCT conrelid AS child, confrelid AS parent,
           (confupdtype IN ('c', 'n', 'd'))::int AS updates, (confdeltype IN ('c', 'n', 'd'))::int AS deletes
    FROM pg_catalog.pg_constraint WHERE contype = 'f'`,

  triggers: `
    SELECT DISTINCT tgrelid AS relation, tgfoid AS function FROM pg_catalog.pg_trigger
    WHERE NOT tgisinternal AND tgenabled <> 'D'`,

  defaults: `
    SELECT adrelid AS relation, ${tokens('adbin::text', RELEVANT_FUNCTIONS)} AS tokens
    FROM pg_catalog.pg_attrdef WHERE adbin::text ~ '${RELEVANT_FUNCTIONS}'
    UNION ALL
    SELECT conrelid, ${tokens('conbin::text', RELEVANT_FUNCTIONS)}
    FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid <> 0 AND conbin::text ~ '${RELEVANT_FUNCTIONS}'
    UNION ALL
    SELECT indrelid, ${tokens(INDEX_TEXT, RELEVANT_FUNCTIONS)}
    FROM pg_catalog.pg_index WHERE (indexprs IS NOT NULL OR indpred IS NOT NULL) AND ${INDEX_TEXT} ~ '${RELEVANT_FUNCTIONS}'
    UNION ALL
    SELECT partrelid, ${tokens('partexprs::text', RELEVANT_FUNCTIONS)}
    FROM pg_catalog.pg_partitioned_table WHERE partexprs::text ~ '${RELEVANT_FUNCTIONS}'`,

  ...FUNCTION_QUERIES,

  operators: `
    SELECT o.oprname AS name, (o.oid >= 16384)::int AS own, p.provolatile::text AS volatility,
           CASE WHEN o.oid >= 16384 THEN p.oid END AS function
    FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
    GROUP BY 1, 2, 3, 4`,

  // After UNION ALL: implicit casts WITH INOUT, which call the input function of the type.
  casts: `
    SELECT c.casttarget AS target, c.castcontext::text AS context, p.oid AS function, p.provolatile::text AS volatility,
           0 AS input
    FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc
    WHERE p.provolatile <> 'i' OR p.oid >= 16384
    UNION ALL
    SELECT c.casttarget, c.castcontext::text, p.oid, p.provolatile::text, 1
    FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid = c.casttarget
    JOIN pg_catalog.pg_proc p ON p.oid = t.typinput
    WHERE c.castmethod = 'i' AND c.castcontext = 'i' AND c.oid >= 16384 AND p.provolatile <> 'i'`,

  // Types whose input function is not immutable because the text may be 'now', and all types made of such types. The
  // built-ins in the list depend on nothing but settings in the cache key.
  momentTypes: `
    WITH RECURSIVE made(part, whole) AS (
      SELECT typelem, oid FROM pg_catalog.pg_type WHERE typelem <> 0
      UNION ALL SELECT typbasetype, oid FROM pg_catalog.pg_type WHERE typbasetype <> 0
      UNION ALL SELECT rngsubtype, rngtypid FROM pg_catalog.pg_range
      UNION ALL SELECT rngtypid, (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid FROM pg_catalog.pg_range r
      UNION ALL SELECT a.atttypid, c.reltype FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE c.relkind = 'c' AND a.attnum > 0 AND NOT a.attisdropped),
    moment(oid) AS (
      SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_proc i ON i.oid = t.typinput
      WHERE t.typtype = 'b' AND i.provolatile <> 'i'
        AND NOT (i.oid < 16384 AND i.proname IN ('array_in', 'cash_in', 'interval_in', 'xml_in'))
      UNION SELECT made.whole FROM moment JOIN made ON made.part = moment.oid)
    SELECT oid FROM moment WHERE oid IS NOT NULL`,

  // Names of columns that hold no text in any relation: all columns of that name have a built-in number or time type.
  plainColumns: `
    SELECT a.attname AS name
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY a.attname HAVING pg_catalog.bool_and(${PLAIN_TYPE})`,

  // User functions of operator classes and range types, which no text calls by name.
  supports: `
    SELECT DISTINCT p.oid AS function
    FROM (SELECT amproc FROM pg_catalog.pg_amproc UNION SELECT rngcanonical FROM pg_catalog.pg_range
      UNION SELECT rngsubdiff FROM pg_catalog.pg_range) s(oid)
    JOIN pg_catalog.pg_proc p ON p.oid = s.oid JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE p.oid >= 16384 AND NOT ${IN_C}`,

  types: `
    SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typtype::text AS kind, t.typbasetype AS base,
           r.rngsubtype AS subtype, i.provolatile::text AS input, i.oid AS function, (${PLAIN_TYPE})::int AS plain
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_proc i ON i.oid = t.typinput
    LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
    LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
    WHERE n.nspname !~ '^pg_(toast|temp)' AND NOT (t.typcategory = 'A' AND t.typelem <> 0)
      AND (t.typtype IN ('b', 'd', 'e', 'r', 'm') OR (t.typtype = 'c' AND c.relkind = 'c'))`,

  domainChecks: `
    SELECT contypid AS type, ${tokens('conbin::text')} AS tokens
    FROM pg_catalog.pg_constraint WHERE contypid <> 0 AND contype = 'c' AND oid >= 16384`,
} as const;

/** SQL for the types that contain one of the types `oids` (as array, domain, range, column), with these types. */
export function containingTypes(oids: readonly number[]): string {
  return `
    WITH RECURSIVE bad(oid) AS (
      SELECT pg_catalog.unnest('{${oids.join(',')}}'::pg_catalog.oid[])
      UNION
      SELECT x.oid FROM bad b CROSS JOIN LATERAL (
        SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typelem = b.oid OR t.typbasetype = b.oid
        UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngsubtype = b.oid
        UNION ALL SELECT c.reltype FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
          WHERE a.atttypid = b.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.reltype <> 0) x)
    SELECT oid FROM bad`;
}
