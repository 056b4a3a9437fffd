/**
 * The part of the table of settings about time and statements of pools, servers and their clients. Put together with the others in
 * settings-pools.ts.
 */
import type { Rows } from './setting.ts';
import { atLeast1ms, hour, minute, orLongest, orZero, second, setting } from './setting.ts';
import { boolean, integer, optional, string } from './values.ts';

export const poolTimes = {
  query_wait_timeout: setting(
    'queryWaitTimeoutMs',
    orLongest('never, which is shown as 576h'),
    30 * second,
    'per database',
    'How long a client may wait for a server connection before it gets an error.',
  ),
  query_wait_notify: setting(
    'queryWaitNotifyMs',
    orZero('never'),
    0,
    'per database',
    'A client that has waited so long for a server connection gets a NOTICE that it is queued.',
  ),
  queue_target: setting(
    'queueTargetMs',
    orZero('off'),
    50,
    'per database',
    'A pool is overloaded when no client has waited less than this for a whole queue_interval, and clients give up; then those who came last are served first, and those who have waited longest are refused early. 0 = never.',
  ),
  queue_interval: setting(
    'queueIntervalMs',
    atLeast1ms,
    second,
    'per database',
    'How long that must last; also how long a client may wait in an overload (with low priority: twice queue_target).',
  ),
  queue_patience: setting(
    'queuePatienceMs',
    orZero('seen from those who give up'),
    0,
    'per database',
    'How long clients are known to wait: a pool whose clients wait longer is overloaded even if none is seen to give up, and refuses them.',
  ),
  server_lifetime: setting(
    'serverLifetimeMs',
    orZero('used once'),
    hour,
    'per database',
    'Server connections older than this are closed when they are next unused; 0: each serves one client and is closed.',
  ),
  server_idle_timeout: setting(
    'serverIdleTimeoutMs',
    orZero('never'),
    10 * minute,
    'per database',
    'Server connections unused for longer than this are closed, down to min_pool_size.',
  ),
  pool_idle_timeout: setting(
    'poolIdleTimeoutMs',
    orZero('never'),
    0,
    'per database',
    'A pool without clients and server connections is forgotten after this time, with its figures.',
  ),
  server_round_robin: setting(
    'serverRoundRobin',
    boolean(),
    false,
    'per database',
    'Idle server connections take turns, instead of the one used last being used next.',
  ),
  server_connect_timeout: setting(
    'serverConnectTimeoutMs',
    atLeast1ms,
    5 * second,
    'per database',
    'How long connecting and logging in to a server may take.',
  ),
  server_login_retry: setting(
    'serverLoginRetryMs',
    atLeast1ms,
    second,
    'per database',
    'Pause after a failed log-in to a server; it grows while log-ins go on failing.',
  ),
  server_check_query: setting(
    'serverCheckQuery',
    optional(string('a statement, or <empty> for an empty one')),
    undefined,
    'per database',
    'Asked of a server connection that was idle for server_check_delay, before a client gets it; if it fails, or is not answered within server_connect_timeout, the connection is closed and another one is taken. null: none is asked.',
  ),
  server_check_delay: setting(
    'serverCheckDelayMs',
    orZero('whenever it was idle'),
    30 * second,
    'per database',
    'How long a server connection may be idle without being asked server_check_query.',
  ),
  server_fast_close: setting(
    'serverFastClose',
    boolean(),
    false,
    'per database',
    'With pool_mode = session: a server connection that RECONNECT, or a reload with other servers, is to close is closed as soon as no transaction is open on it, and the client too; otherwise at the end of the session.',
  ),
  connect_query: setting(
    'connectQuery',
    optional(string('a statement, or several')),
    undefined,
    'per database',
    'Runs on each server connection when it is opened, before a client gets it, and again when it was reset (DISCARD ALL), also by a client (RESET, DISCARD ALL), before the next client gets it; an error is logged. A setting that clients SET themselves goes back to the default of the role. Not for search_path, roles and client_encoding: use ALTER ROLE ... SET for those.',
  ),
  client_idle_timeout: setting(
    'clientIdleTimeoutMs',
    orZero('never'),
    0,
    'per database',
    'Clients that send nothing for longer than this, outside a transaction, are disconnected.',
  ),
  query_timeout: setting(
    'queryTimeoutMs',
    orZero('never'),
    0,
    'per database',
    'Clients whose statement runs, or waits, for longer than this are disconnected, and it is cancelled; looked at once a second. statement_timeout of PostgreSQL is kinder.',
  ),
  transaction_timeout: setting(
    'transactionTimeoutMs',
    orZero('never'),
    0,
    'per database',
    'Clients whose transaction is open for longer than this are disconnected, and it is rolled back; looked at once a second.',
  ),
  idle_transaction_timeout: setting(
    'idleTransactionTimeoutMs',
    orZero('never'),
    0,
    'per database',
    'Clients idle in a transaction for longer than this are disconnected.',
  ),
  max_prepared_statements: setting(
    'maxPreparedStatements',
    integer(0, 100_000),
    500,
    'per database',
    'Prepared statements kept on each server connection, the least recently used closed first; 0 = names are passed on as they are, and end with the transaction.',
  ),
} as const satisfies Rows;
