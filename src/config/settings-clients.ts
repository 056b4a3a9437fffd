/**
 * The part of the table of settings about clients and users: how many there may be, how long they may take, who is served first.
 * Put together with the others in settings-pools.ts.
 */
import type { Rows } from './setting.ts';
import { atLeast1ms, orZero, second, setting } from './setting.ts';
import { integer, list, oneOf, optional, string } from './values.ts';

export const userSizes = {
  max_user_connections: setting(
    'maxUserConnections',
    integer(0, 100_000),
    0,
    'reload',
    'Server connections per node over all pools of a user, whatever their databases; 0 = no limit. A user may have an own one (users).',
  ),
  max_user_client_connections: setting(
    'maxUserClientConnections',
    integer(0, 1_000_000),
    0,
    'reload',
    'Client connections of a user at the same time, whatever their databases; 0 = no limit. A user may have an own one (users).',
  ),
} as const satisfies Rows;

export const userPriorities = {
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

export const clientLimits = {
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
  suspend_timeout: setting(
    'suspendTimeoutMs',
    orZero('never'),
    10 * second,
    'reload',
    'How long SUSPEND waits until everything that was read is sent; then the connections for which that takes longer are closed.',
  ),
  shutdown_as: setting(
    'shutdownAs',
    oneOf(['weir', 'pgbouncer']),
    'weir',
    'reload',
    'pgbouncer: SIGTERM waits until all clients have left, SIGINT and SHUTDOWN WAIT_FOR_SERVERS until no client has a server, both without a limit; a second signal stops at once, and the ports are closed from the first.',
  ),
  max_client_logins: setting(
    'maxClientLogins',
    integer(0, 1_000_000),
    0,
    'reload',
    'Connections at the same time that have not proven yet who they are; 0 = as many as max_client_conn. Beyond it the oldest of the address with most of them is refused. Each worker has its part of them.',
  ),
  ignore_startup_parameters: setting(
    'ignoreStartupParameters',
    list('parameter names'),
    [],
    'reload',
    'Parameters of clients’ connection strings that are dropped instead of being set on the server; `options`: those in the options that PgBouncer does not track.',
  ),
  login_notify_message: setting(
    'loginNotifyMessage',
    optional(string('a text')),
    undefined,
    'reload',
    'A NOTICE that each client gets when it has logged in.',
  ),
  client_login_timeout: setting(
    'clientLoginTimeoutMs',
    atLeast1ms,
    15 * second,
    'reload',
    'How long a client may take to log in.',
  ),
} as const satisfies Rows;
