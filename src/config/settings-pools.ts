/**
 * The part of the table of settings without a section of its own: where Weir listens, how many connections there are on
 * both sides, and how long they last. Put together with the others in settings.ts.
 */
import { budgetRows } from './settings-budgets.ts';
import { clientLimits, userPriorities, userSizes } from './settings-clients.ts';
import { poolTimes } from './settings-times.ts';
import type { Rows } from './setting.ts';
import { atLeast1ms, setting } from './setting.ts';
import { workers } from './workers.ts';
import { boolean, fileMode, hostPort, integer, list, oneOf, optional, size, string } from './values.ts';

const poolModes = oneOf(['session', 'transaction', 'statement']);
const connections = integer(0, 100_000);
const someConnections = integer(1, 100_000);

/** Where Weir listens. */
const listening = {
  listen: setting(
    'listen',
    hostPort(),
    { host: '127.0.0.1', port: 6432 },
    'new start',
    'Address and port on which clients connect.',
  ),
  unix_socket_dir: setting(
    'unixSocketDir',
    optional(string('a directory')),
    undefined,
    'new start',
    'Directory of a Unix socket on which clients of this machine connect, too: .s.PGSQL.PORT.',
  ),
  unix_socket_mode: setting(
    'unixSocketMode',
    fileMode(),
    0o777,
    'new start',
    'Permissions of that socket: who may write may connect.',
  ),
  so_reuseport: setting(
    'soReuseport',
    boolean(),
    false,
    'new start',
    'Listen with SO_REUSEPORT, so that another Weir of this machine can listen on the same address and the kernel spreads new clients over both; needs Node 22.12 or 23.1. Not for http and unix_socket_dir.',
  ),
  http: setting(
    'http',
    optional(hostPort()),
    { host: '127.0.0.1', port: 9432 },
    'new start',
    'Address and port of /metrics, /healthz and /readyz.',
  ),
  http_hosts: setting(
    'httpHosts',
    list('host names'),
    [],
    'reload',
    'Names by which browsers and Prometheus may ask the HTTP side, besides IP addresses and names that only exist inside a network.',
  ),
  workers: setting(
    'workers',
    workers(),
    1,
    'new start',
    'Processes that serve clients, as one Weir; `auto`: one for each core.',
  ),
  memory_limit: setting(
    'memoryLimitBytes',
    size(16 * 1024 ** 2, undefined, 'find out'),
    0,
    'reload',
    'Memory that Weir may have, all workers together; at 0.8 of it caches shrink and new clients wait, at 0.9 the clients that hold most are ended (docs/memory.md). 0: what its cgroup may have, else the machine.',
  ),
} as const satisfies Rows;

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
  max_db_client_connections: setting(
    'maxDbClientConnections',
    integer(0, 1_000_000),
    0,
    'per database',
    'Client connections of the database at the same time; 0 = no limit.',
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

/** The fields of Config that are in no section. */
export const generalRows = { ...listening, ...userSizes, ...clientLimits, ...userPriorities } as const;
/** Config.pool, and the pool of each database. */
export const poolRows = { ...poolSizes, ...reserve, ...poolTimes, ...budgetRows } as const;
/** All of them, in the order of SHOW CONFIG and docs/settings.md. */
export const poolSettings = {
  ...listening,
  ...poolSizes,
  ...userSizes,
  ...reserve,
  ...clientLimits,
  ...userPriorities,
  ...poolTimes,
  ...budgetRows,
} as const;
