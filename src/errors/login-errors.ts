/**
 * The errors that a client can get before its log-in is complete, or because of its user name. Merged with the rest in
 * error-table.ts.
 */
import type { ErrorRow } from './error-row.ts';

export const loginErrors = {
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
  connection_limit_reached: {
    sqlstate: '53400',
    severity: 'FATAL',
    level: 'debug',
    message: 'the limit "{limit}" of {rate} is reached for {whom}',
    hint: 'Try again in {ms} ms.',
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
} as const satisfies Record<string, ErrorRow>;
