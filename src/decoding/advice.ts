/**
 * What an administrator can do if the server does not let Weir read its WAL, by the SQLSTATE of its error. Used by decoding.ts.
 */

/** Meanings that these states have for the commands of a replication connection, not in general. */
const bySqlstate: Readonly<Record<string, string>> = {
  '42501': 'ALTER ROLE ... REPLICATION, for the role that Weir logs in as',
  '55000': 'ALTER SYSTEM SET wal_level = logical, and a restart of the server',
  '53400': 'a higher max_replication_slots, or one slot less',
  '53300': 'a higher max_wal_senders or max_connections, or a connection less',
};

/** @returns the error's message, with what helps against it if that is known */
export function explained(error: Error & { readonly sqlstate?: unknown }): string {
  const advice = typeof error.sqlstate === 'string' ? bySqlstate[error.sqlstate] : undefined;
  return advice === undefined ? error.message : `${error.message} (what helps: ${advice})`;
}
