/**
 * SHOW LISTS and USERS: how many there are of everything, and who is known. PgBouncer's rows and columns come first.
 */
import { columnsOf, show } from './types.ts';
import type { CommandContext } from './types.ts';
import { openServers } from './open-servers.ts';
import { peersOf } from './show-pgbouncer.ts';

interface NamedNumber {
  readonly name: string;
  readonly value: number;
}

const named = columnsOf<NamedNumber>();

const count = (rows: Iterable<unknown>): number => {
  let sum = 0;
  for (const _row of rows) sum++;
  return sum;
};

/** As many as SHOW POOLS has rows there. */
function countPools({ sources, isPgbouncer }: CommandContext): number {
  if (!isPgbouncer) return count(sources.pools());
  const users = new Set<string>();
  for (const pool of sources.pools()) {
    const { database, user } = pool.stats();
    users.add(`${database}\0${user}`);
  }
  return users.size + 1;
}

export const showLists = show<NamedNumber>(
  'LISTS',
  'how many there are of everything',
  [named.text('list', (row) => row.name), named.int('items', (row) => row.value)],
  (context) => {
    const { sources, isPgbouncer } = context;
    const clients = [...sources.clients()];
    const consoles = isPgbouncer ? sources.console().clients.length : 0;
    const servers = count(sources.servers());
    const topologies = [...sources.topologies()];
    return Object.entries({
      databases: count(sources.databases()) + (isPgbouncer ? 1 : 0),
      users: count(sources.users()),
      peers: peersOf(context).length,
      pools: countPools(context),
      peer_pools: peersOf(context).length,
      free_clients: 0,
      used_clients: clients.length + consoles,
      login_clients: clients.filter((client) => client.state === 'login').length,
      free_servers: 0,
      used_servers: servers,
      dns_names: 0,
      dns_zones: 0,
      dns_queries: 0,
      dns_pending: 0,
      nodes: topologies.reduce((sum, topology) => sum + topology.snapshot().nodes.length, 0),
      pinned_clients: clients.filter((client) => client.pins.length > 0).length,
      cache_entries: sources.cacheStats().entries,
      stuck: Object.values(sources.stuck()).reduce((sum, times) => sum + times, 0),
    }).map(([name, value]) => ({ name, value }));
  },
);

interface UserRow {
  readonly name: string;
  servers: number;
  clients: number;
  /** What the section `users` says of the user, by key. */
  readonly own: Map<string, string>;
}

function userRows({ sources, isPgbouncer }: CommandContext): Iterable<UserRow> {
  const rows = new Map<string, UserRow>();
  /** Set for all users. */
  const ofAll = new Map<string, string>();
  const row = (name: string): UserRow => {
    const found = rows.get(name) ?? { name, servers: 0, clients: 0, own: new Map<string, string>() };
    rows.set(name, found);
    return found;
  };
  for (const name of sources.users()) row(name);
  for (const { key, value } of sources.settings()) {
    const [, name, own] = /^users\.(.*)\.(\w+)$/s.exec(key) ?? [];
    if (name !== undefined && own !== undefined) row(name).own.set(own, value);
    else if (/^max_user_(client_)?connections$/.test(key)) ofAll.set(key, value);
  }
  for (const client of sources.clients()) row(client.user).clients++;
  if (isPgbouncer) for (const client of sources.console().clients) row(client.user).clients++;
  // A pool may be that of a typing error, or of an attacker: nobody could log in.
  for (const { user, count } of openServers(sources)) if (count > 0) row(user).servers += count;
  for (const { own } of rows.values()) for (const [key, value] of ofAll) if (!own.has(key)) own.set(key, value);
  return rows.values();
}

const user = columnsOf<UserRow>();

export const showUsers = show<UserRow>(
  'USERS',
  'every user that is known or connected',
  [
    user.text('name', (row) => row.name),
    user.text('pool_size', ({ own }) => own.get('pool_size') ?? null),
    user.text('reserve_pool_size', ({ own }) => own.get('reserve_pool_size') ?? null),
    user.text('pool_mode', ({ own }) => own.get('pool_mode') ?? null),
    user.int('max_user_connections', ({ own }) => Number(own.get('max_user_connections') ?? 0)),
    user.int('current_connections', (row) => row.servers),
    user.int('max_user_client_connections', ({ own }) => Number(own.get('max_user_client_connections') ?? 0)),
    user.int('current_client_connections', (row) => row.clients),
  ],
  userRows,
);
