/**
 * The part of the table of settings without a section of its own: where Weir listens, how many connections there are on
 * both sides, and how long they last. Put together with the others in settings.ts.
 */
import type { Setting } from './setting.ts';
import { atLeast1ms, hour, minute, orZero, second, setting } from './setting.ts';
import { boolean, fileMode, hostPort, integer, list, oneOf, onlyForNow, optional, string } from './values.ts';

const poolModes = oneOf(['session', 'transaction', 'statement']);
const connections = integer(0, 100_000);
const someConnections = integer(1, 100_000);

export const poolSettings = {
  listen: setting(
    hostPort(),
    { host: '127.0.0.1', port: 6432 },
    'restart',
    'Address and port on which clients connect.',
    (c) => c.listen,
  ),
  unix_socket_dir: setting(
    optional(string('a directory')),
    undefined,
    'restart',
    'Directory of a Unix socket on which clients of this machine connect, too: .s.PGSQL.PORT.',
    (c) => c.unixSocketDir,
  ),
  unix_socket_mode: setting(
    fileMode(),
    0o777,
    'restart',
    'Permissions of that socket: who may write may connect.',
    (c) => c.unixSocketMode,
  ),
  http: setting(
    optional(hostPort()),
    { host: '127.0.0.1', port: 9432 },
    'restart',
    'Address and port of /metrics, /healthz and /readyz.',
    (c) => c.http,
  ),
  http_hosts: setting(
    list('host names'),
    [],
    'reload',
    'Names by which browsers and Prometheus may ask the HTTP side, besides IP addresses and names that only exist inside a network.',
    (c) => c.httpHosts,
  ),
  workers: setting(
    onlyForNow(1, 'integer', 'several processes sharing the port'),
    1,
    'restart',
    'Processes sharing the port.',
    () => 1 as const,
  ),
  pool_mode: setting(
    poolModes,
    'transaction',
    'per database',
    'When a server goes back to the pool: at the end of the session, the transaction or the statement.',
    (c) => c.pool.poolMode,
  ),
  default_pool_size: setting(
    someConnections,
    20,
    'per database',
    'Server connections a pool (database, user, node) may have at the start; gives way to an explicit max_pool_size or min_pool_size.',
    (c) => c.pool.defaultPoolSize,
  ),
  min_pool_size: setting(
    connections,
    0,
    'per database',
    'Server connections kept open even when nobody needs them, and the least a pool shrinks to.',
    (c) => c.pool.minPoolSize,
  ),
  max_pool_size: setting(
    someConnections,
    100,
    'per database',
    'How far a pool may grow under pressure; gives way to a larger explicit default_pool_size.',
    (c) => c.pool.maxPoolSize,
  ),
  max_db_connections: setting(
    connections,
    0,
    'per database',
    'Server connections per node over all pools of the database; 0 = what the node itself can spare.',
    (c) => c.pool.maxDbConnections,
  ),
  max_client_conn: setting(
    integer(1, 1_000_000),
    10_000,
    'reload',
    'Client connections allowed at the same time.',
    (c) => c.maxClientConn,
  ),
  shutdown_timeout: setting(
    atLeast1ms,
    30 * second,
    'reload',
    'How long SIGTERM waits for statements and transactions in flight; then the rest is cut off.',
    (c) => c.shutdownTimeoutMs,
  ),
  max_client_logins: setting(
    integer(0, 1_000_000),
    0,
    'reload',
    'Connections at the same time that have not proven yet who they are; 0 = as many as max_client_conn. Beyond it the oldest of the address with most of them is refused.',
    (c) => c.maxClientLogins,
  ),
  client_login_timeout: setting(
    atLeast1ms,
    15 * second,
    'reload',
    'How long a client may take to log in.',
    (c) => c.clientLoginTimeoutMs,
  ),
  query_wait_timeout: setting(
    atLeast1ms,
    30 * second,
    'per database',
    'How long a client may wait for a server connection before it gets an error.',
    (c) => c.pool.queryWaitTimeoutMs,
  ),
  server_lifetime: setting(
    orZero('used once'),
    hour,
    'per database',
    'Server connections older than this are closed when they are next unused; 0: each serves one client and is closed.',
    (c) => c.pool.serverLifetimeMs,
  ),
  server_idle_timeout: setting(
    orZero('never'),
    10 * minute,
    'per database',
    'Server connections unused for longer than this are closed, down to min_pool_size.',
    (c) => c.pool.serverIdleTimeoutMs,
  ),
  server_round_robin: setting(
    boolean(),
    false,
    'per database',
    'Idle server connections take turns, instead of the one used last being used next.',
    (c) => c.pool.serverRoundRobin,
  ),
  server_connect_timeout: setting(
    atLeast1ms,
    5 * second,
    'per database',
    'How long connecting and logging in to a server may take.',
    (c) => c.pool.serverConnectTimeoutMs,
  ),
  server_login_retry: setting(
    atLeast1ms,
    second,
    'per database',
    'Pause after a failed log-in to a server; it grows while log-ins go on failing.',
    (c) => c.pool.serverLoginRetryMs,
  ),
  client_idle_timeout: setting(
    orZero('never'),
    0,
    'per database',
    'Clients that send nothing for longer than this, outside a transaction, are disconnected.',
    (c) => c.pool.clientIdleTimeoutMs,
  ),
  idle_transaction_timeout: setting(
    orZero('never'),
    0,
    'per database',
    'Clients idle in a transaction for longer than this are disconnected.',
    (c) => c.pool.idleTransactionTimeoutMs,
  ),
  max_prepared_statements: setting(
    integer(0, 100_000),
    500,
    'per database',
    'Prepared statements kept on each server connection, the least recently used closed first; 0 = names are passed on as they are, and end with the transaction.',
    (c) => c.pool.maxPreparedStatements,
  ),
} as const satisfies Readonly<Record<string, Setting<unknown>>>;
