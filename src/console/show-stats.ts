/**
 * SHOW STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS, CONFIG, PREPARED, CACHE, STATE and VERSION. PgBouncer's columns come
 * first, with its names, units (microseconds) and meanings (PgBouncer manual, "Show commands").
 */
import type { CacheStats } from '../cache/types.ts';
import { columnsOf, show } from './types.ts';
import type { CommandContext, ConsoleCommand, ShowColumn } from './types.ts';
import { pgbouncerConfig } from './pgbouncer-settings.ts';
import { consoleStats } from './pgbouncer-rows.ts';
import type { PreparedRow, SettingRow } from './sources.ts';
import { byRoute } from '../util/by-route.ts';
import { addTotals, durationQuantileUs } from './stats-window.ts';
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
  c.int(`${prefix}client_login_count`, ({ total }) => total.logins),
];

/** PgBouncer's SHOW STATS_AVERAGES names only the counts of prepared statements with their prefix. */
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
  c.int(`${prefix}client_login_count`, ({ average }) => average.logins),
];

const database = c.text('database', ({ total }) => total.database);
const statsRows = ({ window, sources, isPgbouncer }: CommandContext): StatsRow[] =>
  isPgbouncer ? [...window.rows(), consoleStats(sources.console())] : window.rows();

const stats = [
  show(
    'STATS',
    'per database: totals since the start, averages of the last minute (times in microseconds), where statements went',
    [
      database,
      ...totalColumns('total_', 'total_received', 'total_sent'),
      ...averageColumns('avg_', 'avg_recv', 'avg_sent'),
      c.int('to_primary', (row) => byRoute(row.stats.byLabel).primary),
      c.int('to_replica', (row) => byRoute(row.stats.byLabel).replica),
      c.int('from_cache', (row) => byRoute(row.stats.byLabel).cache),
      c.int('errors', (row) => byRoute(row.stats.byLabel).errors),
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
  ({ window, sources, isPgbouncer }) => {
    const { total: ofDatabases, average } = window.sum();
    const total = isPgbouncer ? addTotals([ofDatabases, consoleStats(sources.console()).total]) : ofDatabases;
    const lines = (prefix: string, of: typeof average): NamedNumber[] => [
      { name: `${prefix}_server_assignment_count`, value: of.serverAssignments },
      { name: `${prefix}_xact_count`, value: of.xacts },
      { name: `${prefix}_query_count`, value: of.queries },
      { name: `${prefix}_client_bytes`, value: of.received },
      { name: `${prefix}_server_bytes`, value: of.sent },
      { name: `${prefix}_xact_time`, value: of.xactUs },
      { name: `${prefix}_query_time`, value: of.queryUs },
      { name: `${prefix}_wait_time`, value: of.waitUs },
      { name: `${prefix}_ps_client_parse_count`, value: of.clientParses },
      { name: `${prefix}_ps_server_parse_count`, value: of.serverParses },
      { name: `${prefix}_ps_bind_count`, value: of.binds },
      { name: `${prefix}_client_login_count`, value: of.logins },
    ];
    return [...lines('total', total), ...lines('avg', average)];
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
  ({ sources, isPgbouncer }) => (isPgbouncer ? pgbouncerConfig(sources.settings()) : sources.settings()),
);

const longestShown = 2_000;
const prepared = columnsOf<PreparedRow>();

/** Also under PgBouncer's name. */
const preparedStatements = ['PREPARED', 'PREPARED_STATEMENTS'].map((name) =>
  show<PreparedRow>(
    name,
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
  ),
);

const cached = columnsOf<CacheStats>();
const invalidationSources = ['local', 'peer', 'operator', 'catalog', 'gap', 'sql', 'http', 'around'];

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
  'whether Weir works, is paused, is suspended or drains',
  [text.text('key', (row) => row.key), text.text('value', (row) => row.value)],
  ({ sources }) => {
    const databases = [...sources.databases()];
    const isPaused = databases.length > 0 && databases.every((row) => row.isPaused);
    return [
      { key: 'active', value: isPaused || sources.isSuspended ? 'no' : 'yes' },
      { key: 'paused', value: isPaused ? 'yes' : 'no' },
      { key: 'suspended', value: sources.isSuspended ? 'yes' : 'no' },
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
  config,
  ...preparedStatements,
  cache,
  state,
  version,
];
