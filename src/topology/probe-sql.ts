/**
 * The monitor's queries, for PostgreSQL 13 to 18 and for log-ins without privileges.
 * Functions: PostgreSQL manual, "System Administration Functions", "Control Data Functions", "Monitoring Statistics".
 */

/**
 * Sent first on a connection with a client's log-in: resets settings that ALTER ROLE may have changed to the values
 * that the monitor's queries need. Skips settings that the server does not have.
 */
export const PLAIN_SESSION_SQL: readonly string[] = [
  // Keeps the role's own search_path readable: catalog/queries.ts needs it.
  `SELECT pg_catalog.set_config('weir.monitor_path', setting, false),
  pg_catalog.set_config('weir.monitor_path_source', source, false)
FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path'`,
  'SET search_path = pg_catalog, pg_temp',
  `SELECT set_config(s.name, w.value, false)
FROM (VALUES ('statement_timeout', '0'), ('lock_timeout', '0'), ('idle_session_timeout', '0'),
  ('idle_in_transaction_session_timeout', '0'), ('transaction_timeout', '0'), ('transform_null_equals', 'off'),
  ('standard_conforming_strings', 'on'), ('quote_all_identifiers', 'off'), ('bytea_output', 'hex'),
  ('DateStyle', 'ISO, MDY'), ('IntervalStyle', 'postgres'), ('extra_float_digits', '1'),
  ('default_transaction_isolation', 'read committed'), ('default_transaction_deferrable', 'off')) AS w(name, value)
JOIN pg_settings AS s ON s.name = w.name`,
];

/** Sent once per connection. The `may_*` columns say which further functions this log-in may call. */
export const IDENTITY_SQL = `
SELECT current_setting('server_version') AS server_version,
  current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int AS connection_limit,
  pg_size_bytes(current_setting('wal_segment_size'))::text AS wal_segment_size,
  current_setting('wal_block_size')::int AS wal_block_size,
  extract(epoch FROM pg_postmaster_start_time())::text AS server_id,
  has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may_identify,
  has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE')
    AND has_function_privilege('pg_catalog.pg_control_recovery()', 'EXECUTE') AS may_control,
  pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS may_stats`;

export const SYSTEM_ID_SQL = 'SELECT system_identifier::text AS system_id FROM pg_catalog.pg_control_system()';

/**
 * SQL has no direct way to ask a standby for its timeline (pg_walfile_name does not work in recovery). There are three
 * lower bounds, of which the highest counts: the timeline that its walreceiver streams (a standby streams only a
 * timeline whose history contains its replay position; hidden from log-ins without pg_read_all_stats), the timeline of
 * its minimum recovery point, and that of its last restartpoint (both from pg_control; after a promotion they may be
 * out of date for as long as checkpoint_timeout).
 */
function standbyTimeline(mayStats: boolean, mayControl: boolean): string {
  const proofs: string[] = [];
  if (mayStats) proofs.push('(SELECT max(received_tli) FROM pg_catalog.pg_stat_wal_receiver)');
  if (mayControl) {
    proofs.push('(SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery())');
    proofs.push('(SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())');
  }
  return proofs.length === 0 ? 'NULL::int' : `greatest(${proofs.join(', ')})`;
}

/**
 * Sent with every probe. One row: whether the node is in recovery, its WAL insert (or replay) position in bytes, its
 * timeline as text.
 */
export function probeSql(mayStats: boolean, mayControl: boolean): string {
  return `
SELECT state.in_recovery,
  (CASE WHEN state.in_recovery THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
    - '0/0'::pg_lsn)::text AS lsn,
  CASE WHEN state.in_recovery THEN ${standbyTimeline(mayStats, mayControl)}::text
    ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END AS timeline
FROM (SELECT pg_is_in_recovery() AS in_recovery OFFSET 0) AS state`;
}

/**
 * Sent instead to a server that has said that it does not offer the functions above (Amazon Aurora: "wal_level must be set to
 * 'logical'", "is currently not supported for Aurora"): only its role is known, and no position.
 */
export const ROLE_SQL = 'SELECT pg_is_in_recovery() AS in_recovery, NULL::text AS lsn, NULL::text AS timeline';

/**
 * The SQLSTATEs with which it says so: object_not_in_prerequisite_state, feature_not_supported. After any other, such as a refused
 * permission or a function that is not there, nothing is known of the server.
 */
export const WITHOUT_WAL: ReadonlySet<string> = new Set(['55000', '0A000']);

/** For the operator. */
export function withoutWal(error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  return `does not say how far its WAL is (${why}): it can be the primary, but gets no reads as a replica`;
}
