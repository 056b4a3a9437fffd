/**
 * The SQL that reads pg_proc: the functions that initdb made, which are most of all and hardly ever change, apart from
 * those of users. Part of QUERIES (queries.ts).
 */
import { sessionWords } from '../util/session-words.ts';
import { tokens } from './tree-tokens.ts';

export const IN_C = `l.lanname IN ('c', 'internal')`;

/** A user may declare a built-in under another name with another volatility; if the built-in is volatile, so is this. */
const VOLATILITY = `
  CASE WHEN l.lanname = 'internal' AND p.oid >= 16384 AND EXISTS (
    SELECT FROM pg_catalog.pg_proc b WHERE b.oid < 16384 AND b.prosrc = p.prosrc AND b.provolatile = 'v')
  THEN 'v' ELSE p.provolatile::text END`;

/** Longer function bodies are not read. */
const MAX_BODY_CHARS = 100_000;

/** The source of a function. A body in standard SQL (BEGIN ATOMIC, RETURN) is not stored as text and is printed first. */
const SOURCE = String.raw`
  CASE WHEN p.oid < 16384 THEN '' WHEN p.prosrc = '' AND l.lanname = 'sql' AND p.prokind <> 'a'
  THEN pg_catalog.regexp_replace(pg_catalog.pg_get_functiondef(p.oid), '^.*?\n(?=BEGIN ATOMIC|RETURN )', '')
  ELSE p.prosrc END`;

/** Words in a function body that may change the catalog. */
const DDL_WORDS = String.raw`\m(create|alter|drop|grant|revoke|execute|import|security|comment|reindex)\M`;

/** Words in a function body that read the session's last value of a sequence. */
const ASKING = String.raw`\m(currval|lastval)\M`;
/** current_setting() of a custom setting. */
const ASKED = String.raw`\ycurrent_setting\s*\(\s*\x27([a-z_][\w$]*(?:\.[a-z_][\w$]*)+)\x27`;

/** Words in a function body that may change session state. */
const SESSION_STATE_WORDS = sessionWords(String.raw`\y`);

function functionsWhere(which: string): string {
  return `
    SELECT p.oid, n.nspname AS schema, p.proname AS name, ${VOLATILITY} AS volatility, p.prokind::text AS kind,
           l.lanname AS language, p.pronargs AS args, p.pronargdefaults AS defaults, (p.provariadic <> 0)::int AS variadic,
           a.aggkind::text AS aggregate,
           pg_catalog.concat_ws(';', a.aggtransfn::oid, a.aggfinalfn::oid, a.aggcombinefn::oid, a.aggmtransfn::oid,
             a.aggminvtransfn::oid, a.aggmfinalfn::oid) AS parts,
           CASE WHEN p.oid >= 16384 AND p.pronargdefaults > 0 THEN ${tokens('p.proargdefaults::text')} END AS tokens,
           (p.provolatile = 'v' AND s.source ~* '${DDL_WORDS}')::int AS defining,
           (s.source ~* '${SESSION_STATE_WORDS}')::int AS leaving, (s.source ~* '${ASKING}')::int AS asking,
           CASE WHEN p.oid >= 16384 THEN
             (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.lower(m[1]), ';')
              FROM pg_catalog.regexp_matches(s.source, '${ASKED}', 'gi') m) END AS asked,
           (p.oid >= 16384 AND (p.provolatile = 'v' OR NOT ${IN_C}) AND p.pronargs >= 1
             AND (t.typtype IN ('c', 'p') OR (t.typtype = 'd' AND b.typtype = 'c')))::int AS columnlike,
           (p.prorettype = 2279)::int AS trigger,
           CASE WHEN l.lanname IN ('sql', 'plpgsql') AND pg_catalog.length(s.source) BETWEEN 1 AND ${MAX_BODY_CHARS}
             THEN s.source END AS body
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid
    LEFT JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]
    LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
    CROSS JOIN LATERAL (SELECT ${SOURCE} AS source OFFSET 0) s
    WHERE ${which} AND n.nspname !~ '^pg_temp'`;
}

export const FUNCTION_QUERIES = {
  // A text that changes with the rows of systemFunctions: those that initdb made, which hardly anybody ever alters.
  systemFunctionsVersion: `
    SELECT pg_catalog.concat_ws('/', pg_catalog.current_setting('server_version_num'), pg_catalog.count(*),
             pg_catalog.sum(xmin::text::bigint),
             (SELECT pg_catalog.sum(xmin::text::bigint) FROM pg_catalog.pg_aggregate WHERE aggfnoid < 16384),
             (SELECT pg_catalog.sum(xmin::text::bigint) FROM pg_catalog.pg_namespace WHERE oid < 16384)) AS version
    FROM pg_catalog.pg_proc WHERE oid < 16384`,

  systemFunctions: functionsWhere('p.oid < 16384'),
  userFunctions: functionsWhere('p.oid >= 16384'),
} as const;
