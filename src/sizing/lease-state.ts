/**
 * The account of leases.ts as plain data, for the next supervisor: it goes on with the same workers, whose numbers, grants and
 * places stay as they are. What a decision finds anew is left out. Called by leases.ts.
 */
import type { ResizeRecord } from '../pool/types.ts';
import { ServerRecord, Account } from './lease-records.ts';
import type { LeasedPool, LeaseSize } from './lease-types.ts';

/** Survives a structured clone. */
export interface LeasesState {
  readonly servers: readonly ServerState[];
  /** Grants, and decisions about sizes, that each worker was sent. */
  readonly grants: ReadonlyMap<number, number>;
  readonly sizes: ReadonlyMap<number, number>;
}

interface ServerState {
  readonly address: string;
  readonly limit: number;
  /** max_db_connections, by the name of the database. */
  readonly databases: readonly (readonly [name: string, limit: number])[];
  /** max_user_connections, by the name of the user; absent: of a supervisor that knew none. */
  readonly users?: readonly (readonly [name: string, limit: number])[];
  readonly pools: readonly PoolState[];
}

interface PoolState {
  readonly name: LeasedPool;
  readonly size: LeaseSize;
  readonly lastResize: ResizeRecord | undefined;
  readonly lost: number;
  readonly moves: number;
  readonly movesAtMs: number | undefined;
  readonly accounts: readonly AccountState[];
}

type AccountState = Omit<Account, 'pool' | 'kept' | 'waitingSinceMs' | 'target' | 'recalled'>;

export function stateOfServers(servers: ReadonlyMap<string, ServerRecord>): ServerState[] {
  return Array.from(servers, ([address, server]) => ({
    address,
    limit: server.level.limit,
    databases: Array.from(server.limits(), ([name, { limit }]) => [name, limit] as const),
    users: Array.from(server.userLimits(), ([name, { limit }]) => [name, limit] as const),
    pools: Array.from(server.pools.values(), ({ name, size, lastResize, lost, moves, movesAtMs, accounts }) => ({
      name,
      size,
      lastResize,
      lost,
      moves,
      movesAtMs,
      accounts: Array.from(accounts.values(), stateOfAccount),
    })),
  }));
}

function stateOfAccount(account: Account): AccountState {
  const { pool: _pool, target: _target, recalled: _recalled, ...kept } = account;
  return { ...kept, told: { ...kept.told }, unheard: kept.unheard.map(([grant, count]) => [grant, count]) };
}

export function restoreServers(states: readonly ServerState[]): Map<string, ServerRecord> {
  const servers = new Map<string, ServerRecord>();
  for (const { address, limit, databases, users = [], pools } of states) {
    const server = new ServerRecord();
    server.level.limit = limit;
    for (const [name, most] of databases) server.database(name).limit = most;
    for (const [name, most] of users) server.user(name).limit = most;
    for (const pool of pools) restorePool(server, pool);
    servers.set(address, server);
  }
  return servers;
}

function restorePool(server: ServerRecord, { name, size, accounts, ...kept }: PoolState): void {
  const pool = server.pool(name);
  pool.resize(size);
  pool.lastResize = kept.lastResize;
  pool.lost = kept.lost;
  pool.moves = kept.moves;
  pool.movesAtMs = kept.movesAtMs;
  pool.add(pool.lost);
  for (const state of accounts) {
    const account = Object.assign(new Account(state.worker, pool), state);
    pool.accounts.set(account.worker, account);
    pool.add(account.held);
  }
}
