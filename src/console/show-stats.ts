/**
 * SHOW STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS, LISTS, CONFIG, USERS, PREPARED, CACHE, STATE and VERSION. PgBouncer's
 * columns come first, with its names, units (microseconds) and meanings (PgBouncer manual, "Show commands").
 */
import type { CacheStats } from '../cache/types.ts';
import { columnsOf, show } from './types.ts';
import type { CommandContext, ConsoleCommand, ShowColumn } from './types.ts';
import { openServers } from './open-servers.ts';
import type { PreparedRow, SettingRow } from './sources.ts';
import { durationQuantileUs, outcomesOf } from './stats-window.ts';
import type { StatsRow } from './stats-window.ts';

const c = columnsOf<StatsRow>();

const totalColumns = (prefix: string, received: string, sent: string): ShowColumn<StatsRow>[] => [
  c.int(`${prefix}server_assignment_count`, ({ total }) => total.serverAssignments),
  c.int(`${prefix}xact_count`, ({ total }) => total.xacts),
  c.int(`${prefix}query_count`, ({ total }) => total.queries),
  c.int(received, ({ total }) => total.received),
  c.int(sent, ({ total }) => total.sent),
  c.int(`${prefix}xact_time`, ({ total }) => total.xactUs),
  c.int(`${prefix}query_time`, ({ total }) => total.queryUs),
  c.int(`${prefix}wait_time`, ({ total }) => total.waitUs),
  c.int(`${prefix}client_parse_count`, ({ total }) => total.clientParses),
  c.int(`${prefix}server_parse_count`, ({ total }) => total.serverParses),
  c.int(`${prefix}bind_count`, ({ total }) => total.binds),
];

/** PgBouncer's SHOW STATS_AVERAGES names only the last three with their prefix. */
const averageColumns = (prefix: string, received: string, sent: string): ShowColumn<StatsRow>[] => [
  c.int(`${prefix}server_assignment_count`, ({ average }) => average.serverAssignments),
  c.int(`${prefix}xact_count`, ({ average }) => average.xacts),
  c.int(`${prefix}query_count`, ({ average }) => average.queries),
  c.int(received, ({ average }) => average.received),
  c.int(sent, ({ average }) => average.sent),
  c.int(`${prefix}xact_time`, ({ average }) => average.xactUs),
  c.int(`${prefix}query_time`, ({ average }) => average.queryUs),
  c.int(`${prefix}wait_time`, ({ average }) => average.waitUs),
  c.int('avg_client_parse_count', ({ average }) => average.clientParses),
  c.int('avg_server_parse_count', ({ average }) => average.serverParses),
  c.int('avg_bind_count', ({ average }) => average.binds),
];

const database = c.text('database', ({ total }) => total.database);
const statsRows = ({ window }: CommandContext): StatsRow[] => window.rows();

const stats = [
  show(
    'STATS',
    'per database: totals since the start, averages of the last minute (times in microseconds), where statements went',
    [
      database,
      ...totalColumns('total_', 'total_received', 'total_sent'),
      ...averageColumns('avg_', 'avg_recv', 'avg_sent'),
      c.int('to_primary', (row) => outcomesOf(row.stats).primary),
      c.int('to_replica', (row) => outcomesOf(row.stats).replica),
      c.int('from_cache', (row) => outcomesOf(row.stats).cache),
      c.int('errors', (row) => outcomesOf(row.stats).errors),
      c.int('misroutes', (row) => row.stats.misroutes),
      c.int('query_time_p50', (row) => durationQuantileUs(row.stats, 0.5)),
      c.int('query_time_p99', (row) => durationQuantileUs(row.stats, 0.99)),
    ],
    statsRows,
  ),
  show(
    'STATS_TOTALS',
    'the totals of SHOW STATS',
    [database, ...totalColumns('', 'bytes_received', 'bytes_sent')],
    statsRows,
  ),
  show(
    'STATS_AVERAGES',
    'the averages of SHOW STATS',
    [database, ...averageColumns('', 'bytes_received', 'bytes_sent')],
    statsRows,
  ),
];

interface NamedNumber {
  readonly name: string;
  readonly value: number;
}

const named = columnsOf<NamedNumber>();

const totals = show<NamedNumber>(
  'TOTALS',
  'SHOW STATS added up over all databases',
  [named.text('name', (row) => row.name), named.int('value', (row) => row.value)],
  ({ window }) => {
    const { total, average } = window.sum();
    const lines = (prefix: string, of: typeof average): NamedNumber[] => [
      { name: `${prefix}_server_assignment_count`, value: of.serverAssignments },
      { name: `${prefix}_xact_count`, value: of.xacts },
      { name: `${prefix}_query_count`, value: of.queries },
      { name: `${prefix}_client_bytes`, value: of.received },
      { name: `${prefix}_server_bytes`, value: of.sent },
      { name: `${prefix}_xact_time`, value: of.xactUs },
      { name: `${prefix}_query_time`, value: of.queryUs },
      { name: `${prefix}_wait_time`, value: of.waitUs },
    ];
    return [...lines('total', total), ...lines('avg', average)];
  },
);

const count = (rows: Iterable<unknown>): number => {
  let sum = 0;
  for (const _row of rows) sum++;
  return sum;
};

const lists = show<NamedNumber>(
  'LISTS',
  'how many there are of everything',
  [named.text('list', (row) => row.name), named.int('items', (row) => row.value)],
  ({ sources }) => {
    const clients = [...sources.clients()];
    const servers = count(sources.servers());
    const topologies = [...sources.topologies()];
    return Object.entries({
      databases: count(sources.databases()),
      users: count(sources.users()),
      peers: 0,
      pools: count(sources.pools()),
      peer_pools: 0,
      free_clients: 0,
      used_clients: clients.length,
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

const setting = columnsOf<SettingRow>();

const config = show<SettingRow>(
  'CONFIG',
  'every setting, its default, and whether SET or RELOAD can change it',
  [
    setting.text('key', (row) => row.key),
    setting.text('value', (row) => row.value),
    setting.text('default', (row) => row.default),
    setting.text('changeable', (row) => (row.isChangeable ? 'yes' : 'no')),
  ],
  ({ sources }) => sources.settings(),
);

interface UserRow {
  readonly name: string;
  servers: number;
  clients: number;
  /** What the section `users` says of the user, by key. */
  readonly own: Map<string, string>;
}

function userRows({ sources }: CommandContext): Iterable<UserRow> {
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
  for (const { user, count } of openServers(sources)) row(user).servers += count;
  for (const { own } of rows.values()) for (const [key, value] of ofAll) if (!own.has(key)) own.set(key, value);
  return rows.values();
}

const user = columnsOf<UserRow>();

const users = show<UserRow>(
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

const longestShown = 2_000;
const prepared = columnsOf<PreparedRow>();

const preparedStatements = show<PreparedRow>(
  'PREPARED',
  'distinct prepared statements, and on how many clients and servers they are',
  [
    prepared.text('database', (row) => row.database),
    prepared.text('user', (row) => row.user),
    prepared.int('clients', (row) => row.clients),
    prepared.int('servers', (row) => row.servers),
    prepared.text('query', (row) => row.query.slice(0, longestShown)),
  ],
  ({ sources }) => sources.preparedStatements(),
  'rows',
);

const cached = columnsOf<CacheStats>();
const invalidationSources = ['local', 'peer', 'operator', 'catalog', 'gap'];

const cache = show<CacheStats>(
  'CACHE',
  'the result cache: how full it is, how often it helped, what made entries invalid',
  [
    cached.int('entries', (row) => row.entries),
    cached.int('bytes', (row) => row.bytes),
    cached.int('max_bytes', (row) => row.maxBytes),
    cached.int('hits', (row) => row.hits),
    cached.int('hits_second_level', (row) => row.hitsSecondLevel),
    cached.int('misses', (row) => row.misses),
    cached.float('hit_ratio', (row) => (row.hits + row.misses === 0 ? null : row.hits / (row.hits + row.misses))),
    cached.int('stores', (row) => row.stores),
    cached.int('evictions', (row) => row.evictions),
    ...invalidationSources.map((source) =>
      cached.int(`invalidations_${source}`, (row) => row.invalidations[source] ?? 0),
    ),
    cached.int('malformed_entries', (row) => row.malformed),
    cached.text('redis', (row) => row.redis),
    cached.text('redis_problem', (row) => row.redisProblem ?? null),
    cached.text('workers', (row) => row.workers),
    cached.text('workers_problem', (row) => row.workersProblem ?? null),
  ],
  ({ sources }) => [sources.cacheStats()],
);

interface NamedText {
  readonly key: string;
  readonly value: string;
}

const text = columnsOf<NamedText>();

const state = show<NamedText>(
  'STATE',
  'whether Weir works, is paused or drains',
  [text.text('key', (row) => row.key), text.text('value', (row) => row.value)],
  ({ sources }) => {
    const databases = [...sources.databases()];
    const isPaused = databases.length > 0 && databases.every((row) => row.isPaused);
    return [
      { key: 'active', value: isPaused ? 'no' : 'yes' },
      { key: 'paused', value: isPaused ? 'yes' : 'no' },
      { key: 'suspended', value: 'no' },
      { key: 'draining', value: sources.isDraining ? 'yes' : 'no' },
    ];
  },
);

const version = show<string>(
  'VERSION',
  'the version of Weir',
  [columnsOf<string>().text('version', (row) => row)],
  (context) => [`Weir ${context.sources.version}`],
);

export const showFigures: readonly ConsoleCommand[] = [
  ...stats,
  totals,
  lists,
  config,
  users,
  preparedStatements,
  cache,
  state,
  version,
];
