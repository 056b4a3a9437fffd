/**
 * What calling a function means for routing and cache: by its declared volatility, and by lists of built-in functions
 * that were audited one by one (pg_proc of PostgreSQL 13 to 18). A function that is not in a list gets the stricter
 * judgement. Does not read function bodies (bodies.ts). Called by reach.ts, follow.ts and effects.ts, among others.
 */
import type { CatalogFunction } from '../catalog/types.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Volatile only because each call may return another value: no side effects, and allowed on a standby. */
const PURE_VOLATILE = words(`
  random random_normal clock_timestamp timeofday gen_random_uuid uuidv4 uuidv7 pg_sleep pg_sleep_for pg_sleep_until
  array_shuffle array_sample pg_partition_tree pg_partition_ancestors`);

/** Such functions in contrib modules, which are written in C. */
const PURE_CONTRIB = words(`
  uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 gen_random_uuid gen_random_bytes gen_salt normal_rand
  pgp_sym_encrypt pgp_sym_encrypt_bytea pgp_pub_encrypt pgp_pub_encrypt_bytea`);

/** The result depends on the node, the connection or the transaction instead of the data; or fails on a standby. */
const NODE_DEPENDENT = words(`
  inet_server_addr inet_server_port inet_client_addr inet_client_port version system_user mxid_age
  txid_current txid_current_if_assigned txid_current_snapshot txid_status currtid2`);

/** The functions named pg_... whose result depends on data or definitions only. All others count as node dependent. */
const PG_READABLE = words(`
  pg_typeof pg_basetype pg_size_pretty pg_size_bytes pg_column_size pg_column_compression pg_client_encoding
  pg_char_to_encoding pg_encoding_to_char pg_encoding_max_length pg_collation_for pg_has_role pg_describe_object
  pg_identify_object pg_identify_object_as_address pg_get_object_address pg_input_is_valid pg_input_error_info
  pg_index_column_has_property pg_index_has_property pg_indexam_has_property pg_wal_lsn_diff pg_timezone_names
  pg_get_keywords pg_options_to_table pg_partition_root pg_partition_tree pg_partition_ancestors
  pg_relation_is_updatable pg_column_is_updatable pg_get_serial_sequence pg_sequence_parameters pg_get_userbyid
  pg_get_expr pg_get_viewdef pg_get_ruledef pg_get_indexdef pg_get_constraintdef pg_get_triggerdef pg_get_functiondef
  pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_get_function_arg_default
  pg_get_function_sqlbody pg_get_partkeydef pg_get_partition_constraintdef pg_get_statisticsobjdef
  pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_acl
  pg_sleep pg_sleep_for pg_sleep_until pg_visible_in_snapshot`);
const PG_READABLE_PATTERN = /^pg_(?:lsn|snapshot_(?:xip|xmin|xmax)|lsn_[a-z]+|[a-z]+_is_visible|mcv_list_[a-z]+)$/;

/** Built-in functions that run the SQL or read the cursor they are given. */
const RUNS_SQL = words(`
  query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema ts_stat ts_rewrite`);

/** Built-in stable functions that read the tables their arguments name. */
const READS_TABLES = /^(?:table|schema|database)_to_xml(?:_and_xmlschema)?$/;

/** Built-in volatile functions whose effect ends with the transaction. */
const ENDS_WITH_TRANSACTION = words(`
  pg_notify pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_xact_lock
  pg_try_advisory_xact_lock_shared currval lastval pg_current_xact_id txid_current`);

/** Stable functions of contrib modules, in C, that read dictionaries and settings and nothing else. */
const HARMLESS_STABLE_C =
  /^(?:unaccent|show_limit|(?:strict_)?(?:word_)?similarity_(?:dist_)?(?:commutator_)?op|(?:strict_)?word_similarity(?:_dist)?(?:_commutator)?_op)$/;

/** Stable functions whose result depends only on arguments, on settings in the cache key, and on what DDL changes. */
const KEYED_STABLE = words(`
  array_to_json array_to_string concat concat_ws convert convert_from convert_to date date_add date_part date_subtract
  date_trunc extract format generate_series length make_timestamptz money numeric overlaps quote_literal quote_nullable
  row_to_json time timestamp timestamptz timetz timezone to_char to_date to_json to_jsonb to_number to_timestamp
  json_build_array json_build_object jsonb_build_array jsonb_build_object json_to_tsvector jsonb_to_tsvector
  json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict
  jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
  jsonb_object_agg_unique_strict jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_tz
  jsonb_path_query_array_tz jsonb_path_query_first_tz to_tsvector to_tsquery plainto_tsquery phraseto_tsquery
  websearch_to_tsquery ts_headline enum_first enum_last enum_range
  textanycat anytextcat ts_match_tt ts_match_tq interval_pl_timestamptz timestamptz_pl_interval timestamptz_mi_interval`);
/** The functions behind comparisons of date, timestamp and timestamptz with each other. */
const KEYED_PATTERN = /^(?:date|timestamp|timestamptz)_(?:eq|ne|lt|le|gt|ge|cmp)_(?:date|timestamp|timestamptz)$/;

/** Settings that current_setting() may read on any node: Weir sets them on each server that the session uses. */
const SESSION_SETTINGS = words(`
  timezone datestyle intervalstyle search_path client_encoding application_name role extra_float_digits bytea_output
  lc_monetary lc_numeric lc_time statement_timeout lock_timeout work_mem default_text_search_config`);

/** Session-level advisory locks, held until the session ends or releases them (manual, "Advisory Lock Functions"). */
export const ADVISORY_LOCKS = words(`
  pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared`);

/** Functions that release one lock, once. The session may hold other locks, or the same lock several times. */
export const ADVISORY_UNLOCKS = words('pg_advisory_unlock pg_advisory_unlock_shared');

/** Functions that change session state which no SET can restore on another server. */
export const UNREPLAYABLE = words('setseed pg_replication_origin_session_setup');

export interface Judgement {
  /** Why a statement that calls it is not a read, in words; undefined: it may be one. */
  readonly refusal: string | undefined;
  /** It may write tables, and which ones is unknown. */
  readonly writes: boolean;
  /** It may change session state. */
  readonly isSuspect: boolean;
  /** It may run DDL. */
  readonly mayDefine: boolean;
  /** Its source shows that it changes session state that cannot be replayed on another server. */
  readonly leavesState: boolean;
  /** Its result changes only if a table, the catalog or the cache key changes: an answer with it may be cached. */
  readonly isKeyed: boolean;
}

const KEYED: Judgement = {
  refusal: undefined,
  writes: false,
  isSuspect: false,
  mayDefine: false,
  leavesState: false,
  isKeyed: true,
};
const UNKEYED: Judgement = { ...KEYED, isKeyed: false };

/**
 * @param isDeclaredReadOnly it is in routing.read_only_functions
 * @param constant the first argument, if it is a string constant in the text
 */
export function judgeFunction(
  found: CatalogFunction,
  isDeclaredReadOnly: boolean,
  constant: string | undefined,
): Judgement {
  if (found.isSystem) return judgeBuiltin(found, constant);
  if (found.volatility === 'immutable') return KEYED;
  if (isDeclaredReadOnly || isPureContrib(found)) return UNKEYED;
  if (found.volatility === 'stable') return isOpaque(found) ? opaque(found) : UNKEYED;
  return {
    refusal: `calls volatile ${found.schema}.${found.name}()`,
    writes: true,
    isSuspect: true,
    mayDefine: found.mayDefine,
    leavesState: found.leavesState || keepsState(found),
    isKeyed: false,
  };
}

/** A STABLE function in C: it may read tables and run SQL, and its source cannot be read. */
function isOpaque({ language, volatility, name }: CatalogFunction): boolean {
  return language === 'c' && volatility === 'stable' && !HARMLESS_STABLE_C.test(name);
}

function opaque({ schema, name }: CatalogFunction): Judgement {
  return { ...UNKEYED, refusal: `calls ${schema}.${name}(), which is written in C`, isSuspect: true };
}

/** May this built-in change session state? For calls that the text does not show; effects.ts handles the others. */
export function mayChangeSession({ isSystem, volatility, name }: CatalogFunction): boolean {
  if (!isSystem || volatility !== 'volatile') return false;
  return !PURE_VOLATILE.has(name) && !ENDS_WITH_TRANSACTION.has(name) && !NODE_DEPENDENT.has(name);
}

/** The function that the view pg_prepared_statements calls. */
export function showsNames({ isSystem, name }: CatalogFunction): boolean {
  return isSystem && name === 'pg_prepared_statement';
}

/** Functions in C, whose source cannot be read, that are known to change session state. */
function keepsState({ language, name }: CatalogFunction): boolean {
  return language === 'c' && (name.startsWith('dblink') || name === 'set_limit');
}

/** A function of a contrib module that is volatile only because it returns random values. */
export function isPureContrib(found: CatalogFunction): boolean {
  return found.language === 'c' && PURE_CONTRIB.has(found.name);
}

function judgeBuiltin(found: CatalogFunction, constant: string | undefined): Judgement {
  const { name, volatility } = found;
  if (name === 'current_setting') return { ...UNKEYED, refusal: refusalOfSetting(constant) };
  if (NODE_DEPENDENT.has(name) || (name.startsWith('pg_') && !isReadablePg(name) && !ADVISORY_LOCKS.has(name))) {
    return { ...UNKEYED, refusal: `calls ${name}(), which depends on the node or the connection` };
  }
  if (volatility === 'volatile') {
    if (PURE_VOLATILE.has(name)) return UNKEYED;
    const runsSql = RUNS_SQL.has(name);
    return { ...UNKEYED, refusal: `calls volatile ${name}()`, writes: runsSql, isSuspect: runsSql };
  }
  if (READS_TABLES.test(name)) return { ...UNKEYED, refusal: `calls ${name}(), which reads what it is told` };
  const isKeyed = volatility === 'immutable' || KEYED_STABLE.has(name) || KEYED_PATTERN.test(name);
  return isKeyed ? KEYED : UNKEYED;
}

/** Why a read of this setting has to go to the primary; undefined: its value is the same on every node. */
export function refusalOfSetting(setting: string | undefined): string | undefined {
  const lower = setting?.toLowerCase();
  if (lower !== undefined && (lower.includes('.') || SESSION_SETTINGS.has(lower))) return undefined;
  return 'calls current_setting() of a setting that may differ per node';
}

function isReadablePg(name: string): boolean {
  return PG_READABLE.has(name) || PG_READABLE_PATTERN.test(name);
}
