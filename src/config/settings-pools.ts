/**
 * The part of the table of settings without a section of its own: how many connections there are on both sides, and
 * how long they last; where Weir listens is in settings-listening.ts. Put together with the others in settings.ts.
 */
import { budgetRows } from './settings-budgets.ts';
import { listeningRows } from './settings-listening.ts';
import type { Rows } from './setting.ts';
import { atLeast1ms, hour, minute, orZero, second, setting } from './setting.ts';
import { boolean, integer, list, oneOf } from './values.ts';

const poolModes = oneOf(['session', 'transaction', 'statement']);
const connections = integer(0, 100_000);
const someConnections = integer(1, 100_000);

const poolSizes = {
  pool_mode: setting(
    'poolMode',
    poolModes,
    'transaction',
    'per database',
    'When a server goes back to the pool: at the end of the session, the transaction or the statement.',
  ),
  default_pool_size: setting(
    'defaultPoolSize',
    someConnections,
    20,
    'per database',
    'Server connections a pool (database, user, node) may have at the start; gives way to an explicit max_pool_size or min_pool_size.',
  ),
  min_pool_size: setting(
    'minPoolSize',
    connections,
    0,
    'per database',
    'Server connections kept open even when nobody needs them, and the least a pool shrinks to.',
  ),
  max_pool_size: setting(
    'maxPoolSize',
    someConnections,
    100,
    'per database',
    'How far a pool may grow under pressure; gives way to a larger explicit default_pool_size.',
  ),
  max_db_connections: setting(
    'maxDbConnections',
    connections,
    0,
    'per database',
    'Server connections per node over all pools of the database; 0 = what the node itself can spare.',
  ),
} as const satisfies Rows;

const reserve = {
  reserve_pool_size: setting(
    'reservePoolSize',
    connections,
    0,
    'per database',
    'Connections beyond max_pool_size that a pool may open for clients that have waited reserve_pool_timeout.',
  ),
  reserve_pool_timeout: setting(
    'reservePoolTimeoutMs',
    atLeast1ms,
    500,
    'per database',
    'How long a client waits before the reserve of its pool is used.',
  ),
} as const satisfies Rows;

const userPriorities = {
  high_priority_users: setting(
    'highPriorityUsers',
    list('user names'),
    [],
    'reload',
    'Users whose statements are served first when clients wait for a server connection.',
  ),
  low_priority_users: setting(
    'lowPriorityUsers',
    list('user names'),
    [],
    'reload',
    'Users whose statements are served last then, and refused first in an overload.',
  ),
} as const satisfies Rows;

const clientLimits = {
  max_client_conn: setting(
    'maxClientConn',
    integer(1, 1_000_000),
    10_000,
    'reload',
    'Client connections allowed at the same time.',
  ),
  shutdown_delay: setting(
    'shutdownDelayMs',
    orZero('none'),
    0,
    'reload',
    'How long /readyz says 503 and new clients are still served before Weir begins to drain: the time that load balancers need to notice.',
  ),
  shutdown_timeout: setting(
    'shutdownTimeoutMs',
    atLeast1ms,
    30 * second,
    'reload',
    'How long SIGTERM waits for statements and transactions in flight; then the rest is cut off.',
  ),
  max_client_logins: setting(
    'maxClientLogins',
    integer(0, 1_000_000),
    0,
    'reload',
    'Connections at the same time that have not proven yet who they are; 0 = as many as max_client_conn. Beyond it the oldest of the address with most of them is refused. Each worker has its part of them.',
  ),
  client_login_timeout: setting(
    'clientLoginTimeoutMs',
    atLeast1ms,
    15 * second,
    'reload',
    'How long a client may take to log in.',
  ),
} as const satisfies Rows;

const poolTimes = {
  query_wait_timeout: setting(
    'queryWaitTimeoutMs',
    atLeast1ms,
    30 * second,
    'per database',
    'How long a client may wait for a server connection before it gets an error.',
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
  client_idle_timeout: setting(
    'clientIdleTimeoutMs',
    orZero('never'),
    0,
    'per database',
    'Clients that send nothing for longer than this, outside a transaction, are disconnected.',
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

/** The fields of Config that are in no section. */
export const generalRows = { ...listeningRows, ...clientLimits, ...userPriorities } as const;
/** Config.pool, and the pool of each database. */
export const poolRows = { ...poolSizes, ...reserve, ...poolTimes, ...budgetRows } as const;
/** All of them, in the order of SHOW CONFIG and docs/settings.md. */
export const poolSettings = {
  ...listeningRows,
  ...poolSizes,
  ...reserve,
  ...clientLimits,
  ...userPriorities,
  ...poolTimes,
  ...budgetRows,
} as const;
