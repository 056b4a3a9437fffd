/**
 * By which reason a refused log-in is counted. Used by login.ts.
 */
import type { ErrorName } from '../errors/errors.ts';
import type { RefusalReason } from './types.ts';

/** The reason by which a refusal is counted. Errors without one (shutting_down, internal_error) are not counted. */
export const reasons: Readonly<Partial<Record<ErrorName, RefusalReason>>> = {
  authentication_failed: 'wrong-password',
  trust_failed: 'wrong-password',
  no_such_user: 'wrong-password',
  auth_database_disabled: 'auth-query',
  certificate_failed: 'no-certificate',
  certificate_required: 'no-certificate',
  peer_failed: 'hba',
  hba_no_entry: 'hba',
  hba_rejects: 'hba',
  tls_required: 'tls-required',
  no_such_database: 'no-database',
  database_disabled: 'no-database',
  not_console_user: 'no-database',
  protocol_violation: 'protocol',
  channel_binding_downgrade: 'protocol',
  channel_binding_failed: 'protocol',
  unencrypted_data: 'protocol',
  invalid_replication: 'protocol',
  unsupported_protocol: 'protocol',
  no_startup_user: 'protocol',
  not_supported: 'protocol',
  login_timeout: 'timeout',
  auth_query_failed: 'auth-query',
  too_many_clients: 'too-many',
  too_many_clients_of_user: 'too-many',
  too_many_clients_of_database: 'too-many',
  too_many_logins: 'too-many',
  memory_wait: 'memory',
  connection_limit_reached: 'too-many',
  limits_unknown: 'too-many',
};
