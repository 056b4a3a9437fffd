/**
 * The part of the table of settings without a section of its own: how many connections there are on both sides, and
 * how long they last; where Weir listens is in settings-listening.ts. Put together with the others in settings.ts.
 */
import { budgetRows } from './settings-budgets.ts';
import { clientLimits, userPriorities, userSizes } from './settings-clients.ts';
import { listeningRows } from './settings-listening.ts';
import { peerRows } from './settings-peers.ts';
import { poolTimes } from './settings-times.ts';
import type { Rows } from './setting.ts';
import { atLeast1ms, setting } from './setting.ts';
import { integer, oneOf } from './values.ts';

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
export const generalRows = { ...listeningRows, ...peerRows, ...userSizes, ...clientLimits, ...userPriorities } as const;
/** Config.pool, and the pool of each database. */
export const poolRows = { ...poolSizes, ...reserve, ...poolTimes, ...budgetRows } as const;
/** All of them, in the order of SHOW CONFIG and docs/settings.md. */
export const poolSettings = {
  ...listeningRows,
  ...peerRows,
  ...poolSizes,
  ...userSizes,
  ...reserve,
  ...clientLimits,
  ...userPriorities,
  ...poolTimes,
  ...budgetRows,
} as const;
