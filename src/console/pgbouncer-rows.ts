/**
 * The rows that only the console on database `pgbouncer` has: sums over the nodes, and the console itself, which PgBouncer
 * shows as database `pgbouncer` wherever it shows databases. Called by the SHOW commands.
 */
import { newDatabaseStats } from '../session/database-stats.ts';
import type { PoolStats } from '../pool/types.ts';
import { emptyPool } from './open-servers.ts';
import type { ConsoleFigures, ConsoleSources, DatabaseRow } from './sources.ts';
import type { StatsRow } from './stats-window.ts';
import { zero } from './stats-window.ts';

export const consoleDatabase = 'pgbouncer';

const summed = [
  ...([
    'limit',
    'min',
    'max',
    'active',
    'idle',
    'login',
    'resetting',
    'pinned',
    'waiting',
    'load',
    'peakLoad',
  ] as const),
  ...(['checkouts', 'waitedTotalMs', 'waits', 'waitTimeouts', 'earlyRefusals', 'heldTotalMs', 'connects'] as const),
  'connectFailures',
] as const;

/** Two nodes of one database and user as one pool. */
export function sumOfNodes(a: PoolStats, b: PoolStats): PoolStats {
  const sums = Object.fromEntries(summed.map((key) => [key, a[key] + b[key]])) as Pick<
    PoolStats,
    (typeof summed)[number]
  >;
  const isLater = (b.lastResize?.atMs ?? -1) > (a.lastResize?.atMs ?? -1);
  return {
    ...a,
    ...sums,
    node: `${a.node}, ${b.node}`,
    maxWaitMs: Math.max(a.maxWaitMs, b.maxWaitMs),
    isPaused: a.isPaused || b.isPaused,
    isOverloaded: a.isOverloaded || b.isOverloaded,
    atOnce: a.atOnce === undefined || b.atOnce === undefined ? undefined : a.atOnce + b.atOnce,
    connectProblem: a.connectProblem ?? b.connectProblem,
    lastResize: isLater ? b.lastResize : a.lastResize,
  };
}

/** The console as a row of SHOW DATABASES: PgBouncer gives it a pool of 2 that nobody uses. */
export function consoleRow(sources: Pick<ConsoleSources, 'settings'>): DatabaseRow {
  const listen = [...sources.settings()].find(({ key }) => key === 'listen')?.value ?? '';
  return { ...row, port: Number(/\d+$/.exec(listen)?.[0] ?? 0) };
}

/** What max_db_client_connections allows stats_users on the console; 0: no limit. */
export function consoleLimit(sources: Pick<ConsoleSources, 'settings'>): number {
  return Number([...sources.settings()].find(({ key }) => key === 'max_db_client_connections')?.value ?? 0);
}

const row: DatabaseRow = {
  name: consoleDatabase,
  host: '',
  port: 0,
  serverDatabase: consoleDatabase,
  forceUser: consoleDatabase,
  defaultPoolSize: 2,
  minPoolSize: 0,
  maxPoolSize: 2,
  serverLifetimeMs: 0,
  poolMode: 'statement',
  loadBalanceHosts: 'least-load',
  maxDbConnections: 0,
  maxDbClientConnections: 0,
  isResizing: false,
  reservePoolSize: 0,
  isPaused: false,
  isDisabled: false,
  problem: undefined,
  replicas: 0,
};

export const consolePool: PoolStats = emptyPool(row, consoleDatabase, '');

/** Each command of the console counts as a query and a transaction, as in PgBouncer. Averages are 0. */
export function consoleStats({ logins, queries }: ConsoleFigures): StatsRow {
  const { database: _database, ...average } = zero(consoleDatabase);
  return { total: { ...zero(consoleDatabase), logins, queries, xacts: queries }, average, stats: noStatements };
}

const noStatements = newDatabaseStats(consoleDatabase);
