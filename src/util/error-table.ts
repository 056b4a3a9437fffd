/**
 * Every error that Weir itself says, in one table: SQLSTATE, severity, log level, text. Said by errors.ts; printed as
 * docs/errors.md. SQLSTATEs: PostgreSQL manual, appendix A.
 */

export type Severity = 'ERROR' | 'FATAL';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface ErrorRow {
  readonly sqlstate: string;
  readonly severity: Severity;
  readonly level: LogLevel;
  /** What happened, said to the client. `{name}` is replaced from the values given. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

const table = {
  too_many_clients: {
    sqlstate: '53300',
    severity: 'FATAL',
    level: 'warn',
    message: 'no more client connections allowed (max_client_conn = {limit})',
    hint: 'Raise max_client_conn, or close idle connections in the application.',
  },
  too_many_logins: {
    sqlstate: '53300',
    severity: 'FATAL',
    level: 'warn',
    message: 'too many log-ins at the same time',
    hint: 'Try again in a moment.',
  },
  no_such_database: {
    sqlstate: '3D000',
    severity: 'FATAL',
    level: 'info',
    message: 'database "{database}" is not configured in Weir',
    hint: 'Add it under "databases", or add a "*" entry.',
  },
  database_disabled: {
    sqlstate: '55000',
    severity: 'FATAL',
    level: 'info',
    message: 'database "{database}" is disabled in Weir and takes no new clients',
    hint: 'ENABLE on the admin console lets them in again.',
  },
  authentication_failed: {
    sqlstate: '28P01',
    severity: 'FATAL',
    level: 'info',
    message: 'password authentication failed for user "{user}"',
  },
  auth_query_failed: {
    sqlstate: '57P03',
    severity: 'FATAL',
    level: 'warn',
    message: 'user "{user}" cannot be looked up now: auth.query got no usable answer from a server',
    hint: 'Try again in a moment; the log of Weir says why.',
  },
  certificate_failed: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'info',
    message: 'certificate authentication failed for user "{user}"',
    hint: 'The common name of the client certificate must be the user name, or be mapped to it (auth.ident_file).',
  },
  certificate_required: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'info',
    message: 'connection requires a valid client certificate',
  },
  hba_no_entry: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'info',
    message: 'no pg_hba.conf entry for {what}host "{host}", user "{user}", {database}{encryption}',
    hint: 'No line of auth.hba_file fits this connection.',
  },
  hba_rejects: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'info',
    message: 'pg_hba.conf rejects {what}host "{host}", user "{user}", {database}{encryption}',
    hint: 'A line of auth.hba_file says reject; the log says which.',
  },
  tls_required: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'info',
    message: 'connection requires TLS',
    hint: 'Connect with sslmode=require or stronger.',
  },
  no_startup_user: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'info',
    message: 'no PostgreSQL user name specified in startup packet',
  },
  invalid_replication: {
    sqlstate: '22023',
    severity: 'FATAL',
    level: 'info',
    message: 'invalid value for parameter "replication": "{value}"',
    hint: 'Valid values are: "false", 0, "true", 1, "database".',
  },
  unsupported_protocol: {
    sqlstate: '0A000',
    severity: 'FATAL',
    level: 'info',
    message: 'unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2',
  },
  unencrypted_data: {
    sqlstate: '08P01',
    severity: 'FATAL',
    level: 'warn',
    message: 'received unencrypted data after {request} request',
  },
  channel_binding_downgrade: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'warn',
    message: 'SCRAM channel binding negotiation error',
    hint: 'The client supports channel binding but was told that the server does not, though it does: is somebody in between?',
  },
  channel_binding_failed: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'warn',
    message: 'SCRAM channel binding check failed',
    hint: 'The client has seen another certificate than the one shown to it: is somebody in between?',
  },
  login_timeout: {
    sqlstate: '08P01',
    severity: 'FATAL',
    level: 'info',
    message: 'log-in was not finished within {seconds} s',
  },
  not_admin: {
    sqlstate: '42501',
    severity: 'ERROR',
    level: 'info',
    message: 'user "{user}" may not run {command}',
    hint: 'admin_users may run every command, stats_users only SHOW.',
  },
  not_console_user: {
    sqlstate: '28000',
    severity: 'FATAL',
    level: 'info',
    message: 'user "{user}" may not use the admin console',
    hint: 'Add the user to auth.admin_users or auth.stats_users.',
  },
  protocol_violation: {
    sqlstate: '08P01',
    severity: 'FATAL',
    level: 'warn',
    message: 'protocol violation: {what}',
  },
  server_protocol_violation: {
    sqlstate: '08P01',
    severity: 'FATAL',
    level: 'error',
    message: 'the server sent something that is not the PostgreSQL protocol: {what}',
  },
  no_node: {
    sqlstate: '57P03',
    severity: 'ERROR',
    level: 'warn',
    message: 'no node of database "{database}" can take this: {why}',
    hint: 'SHOW NODES on the admin console tells what is wrong with each.',
  },
  server_login_failed: {
    sqlstate: '08006',
    severity: 'ERROR',
    level: 'warn',
    message: 'cannot log in to node {node}: {why}',
  },
  server_refused: {
    sqlstate: '28000',
    severity: 'ERROR',
    level: 'warn',
    message: '{why}',
  },
  server_lost: {
    sqlstate: '08006',
    severity: 'ERROR',
    level: 'warn',
    message: 'the server connection was lost in mid-statement ({why})',
    hint: 'The statement may or may not have taken effect; check before you repeat it.',
  },
  replication_lost: {
    sqlstate: '08006',
    severity: 'FATAL',
    level: 'info',
    message: 'the replication connection to the server was lost ({why})',
  },
  replication_where: {
    sqlstate: '3D000',
    severity: 'FATAL',
    level: 'info',
    message: 'database "{database}" is not configured, so it is not clear which server is to be replicated',
    hint: 'Name one of the configured databases (dbname=...): its primary is taken. For pg_basebackup: -d "dbname=...".',
  },
  replication_full: {
    sqlstate: '53300',
    severity: 'FATAL',
    level: 'warn',
    message: 'no connection to node {node} is left for replication',
    hint: 'Raise max_db_connections, or max_connections of the server.',
  },
  startup_setting_refused: {
    sqlstate: '22023',
    severity: 'FATAL',
    level: 'info',
    message: '{why}',
    hint: 'The setting came with the connection (startup parameters or options).',
  },
  query_wait_timeout: {
    sqlstate: '53400',
    severity: 'ERROR',
    level: 'warn',
    message: 'waited {waited} ms for a server connection of {pool}, longer than query_wait_timeout: {why}',
    hint: '{todo}',
  },
  not_in_pool_mode: {
    sqlstate: '0A000',
    severity: 'ERROR',
    level: 'info',
    message: '{what} is not possible with pool_mode = {mode}',
    hint: 'Use pool_mode = transaction or session for this database.',
  },
  too_many_messages: {
    sqlstate: '54000',
    severity: 'FATAL',
    level: 'warn',
    message: 'more than {limit} requests are waiting for their answers on this connection',
  },
  statement_too_large: {
    sqlstate: '54000',
    severity: 'FATAL',
    level: 'info',
    message: 'a statement of {bytes} bytes cannot be prepared: the limit is {limit}',
    hint: 'Give large values as parameters, or send the text as a simple query: those have no limit of Weir.',
  },
  statement_not_found: {
    sqlstate: '26000',
    severity: 'ERROR',
    level: 'info',
    message: 'prepared statement "{name}" does not exist',
  },
  statement_exists: {
    sqlstate: '42P05',
    severity: 'ERROR',
    level: 'info',
    message: 'prepared statement "{name}" already exists',
  },
  unknown_weir_setting: {
    sqlstate: '42704',
    severity: 'ERROR',
    level: 'info',
    message: 'unrecognized configuration parameter "{name}"',
    hint: 'Weir knows weir.route, weir.consistency, weir.cache and weir.last_route.',
  },
  invalid_weir_setting: {
    sqlstate: '22023',
    severity: 'ERROR',
    level: 'info',
    message: 'invalid value for parameter "{name}": "{value}"',
    hint: '{allowed}',
  },
  shutting_down: {
    sqlstate: '57P01',
    severity: 'FATAL',
    level: 'info',
    message: 'Weir is shutting down',
    hint: 'Connect again: another Weir, or this one after its restart, will take over.',
  },
  killed: {
    sqlstate: '57P01',
    severity: 'FATAL',
    level: 'info',
    message: 'terminating connection due to administrator command (KILL)',
  },
  client_idle_timeout: {
    sqlstate: '57P05',
    severity: 'FATAL',
    level: 'info',
    message: 'terminating connection: idle longer than client_idle_timeout',
  },
  idle_transaction_timeout: {
    sqlstate: '25P03',
    severity: 'FATAL',
    level: 'info',
    message: 'terminating connection: idle in transaction longer than idle_transaction_timeout',
  },
  not_supported: {
    sqlstate: '0A000',
    severity: 'ERROR',
    level: 'info',
    message: '{what} is not supported',
  },
  console_syntax: {
    sqlstate: '42601',
    severity: 'ERROR',
    level: 'info',
    message: '{what}',
    hint: 'SHOW HELP lists the commands of the admin console.',
  },
  console_refused: {
    sqlstate: '55000',
    severity: 'ERROR',
    level: 'info',
    message: '{what}',
  },
  query_canceled: {
    sqlstate: '57014',
    severity: 'ERROR',
    level: 'debug',
    message: 'canceling statement due to user request',
  },
  console_canceled: {
    sqlstate: '57014',
    severity: 'ERROR',
    level: 'info',
    message: 'canceling {command} due to user request',
    hint: 'What it had begun goes on: PAUSE stays in force until RESUME.',
  },
  internal_error: {
    sqlstate: 'XX000',
    severity: 'FATAL',
    level: 'error',
    message: 'internal error in Weir: {what}',
    hint: 'Only this connection is closed. Please report it.',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorName = keyof typeof table;

export const errorTable: Readonly<Record<ErrorName, ErrorRow>> = table;
