/** The columns and rows of the SHOW commands are those of the contract. Fails if a column is renamed, moved or empty. */
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/console/commands.ts';
import { createConsole } from '../../src/console/console.ts';
import type { Value } from '../../src/console/types.ts';
import { createStatsWindow, durationQuantileUs } from '../../src/console/stats-window.ts';
import { createManualClock } from '../../src/util/clock.ts';
import type { DatabaseRow } from '../../src/console/sources.ts';
import type { ClientStats } from '../../src/session/types.ts';
import { fakeBudget, fakeDecoding, fakeClient, fakeDatabaseStats, fakePool, fakeServer } from './fakes.ts';
import { fakeForecast, fakeSources, fakeWorker } from './fakes.ts';

const columnsOf = (name: string): string[] =>
  (commands.get(`SHOW ${name}`)?.columns ?? []).map((column) => column.name);

async function rowsOf(text: string, sources = fakeSources(), database = 'weir'): Promise<Record<string, Value>[]> {
  const console = createConsole({ sources, roleOf: () => 'stats', nowMs: () => 1000, log: () => {} });
  const [statement] = console.parse(text, { user: 'stats', database, client: '' });
  if (statement === undefined) throw new Error('no statement');
  const result = await console.execute(statement, {
    user: 'stats',
    database,
    client: '',
    signal: new AbortController().signal,
  });
  return [...(result.rows ?? [])].map((row) => {
    expect(row).toHaveLength(statement.columns.length);
    return Object.fromEntries(statement.columns.map((column, index) => [column.name, row[index] ?? null]));
  });
}

/** As PgBouncer prints them (1.25, and the counts of log-ins that come after it): scripts and exporters read them by name or by position. */
const sockets = `type user database replication state addr port local_addr local_port connect_time request_time wait wait_us
    close_needed ptr link remote_pid tls application_name prepared_statements id recv_pos pkt_pos pkt_remain send_pos
    send_remain pkt_avail send_avail`;
const pgbouncer: Readonly<Record<string, string>> = {
  SOCKETS: sockets,
  ACTIVE_SOCKETS: sockets,
  MEM: 'name size used free memtotal',
  FDS: `fd task user database addr port cancel link client_encoding std_strings datestyle timezone password
    scram_client_key scram_server_key`,
  DNS_HOSTS: 'hostname ttl addrs',
  DNS_ZONES: 'zonename serial count',
  PEERS: 'peer_id host port pool_size',
  PEER_POOLS: 'peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login',
  POOLS: `database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel
    sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts`,
  CLIENTS: `type user database replication state addr port local_addr local_port connect_time request_time wait wait_us
    close_needed ptr link remote_pid tls application_name prepared_statements id`,
  SERVERS: `type user database replication state addr port local_addr local_port connect_time request_time wait wait_us
    close_needed ptr link remote_pid tls application_name prepared_statements id`,
  DATABASES: `name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode
    load_balance_hosts max_connections current_connections max_client_connections current_client_connections paused disabled`,
  STATS: `database total_server_assignment_count total_xact_count total_query_count total_received total_sent
    total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count total_bind_count
    total_client_login_count avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time
    avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count`,
  STATS_TOTALS: `database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time
    wait_time client_parse_count server_parse_count bind_count client_login_count`,
  STATS_AVERAGES: `database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time
    wait_time avg_client_parse_count avg_server_parse_count avg_bind_count client_login_count`,
  TOTALS: 'name value',
  LISTS: 'list items',
  CONFIG: 'key value default changeable',
  USERS: `name pool_size reserve_pool_size pool_mode max_user_connections current_connections max_user_client_connections
    current_client_connections`,
  STATE: 'key value',
  VERSION: 'version',
};

describe('columns', () => {
  it.each(Object.entries(pgbouncer))("SHOW %s begins with PgBouncer's", (name, expected) => {
    const names = expected.split(/\s+/);
    expect(columnsOf(name).slice(0, names.length)).toEqual(names);
  });

  it('are followed by ours', () => {
    expect(columnsOf('POOLS').slice(17)).toEqual(
      'node limit min max pinned resetting paused statements_at_once overloaded checkouts waits avg_wait_us wait_timeouts early_refusals connects connect_failures connect_problem last_resize'.split(
        ' ',
      ),
    );
    expect(columnsOf('CLIENTS').slice(21)).toEqual(['session_state', 'node', 'pins', 'last_route']);
    expect(columnsOf('SERVERS').slice(21)).toEqual(['node', 'server_version']);
    expect(columnsOf('DATABASES').slice(17)).toEqual(['max_pool_size', 'replicas', 'problem']);
    expect(columnsOf('STATS').slice(25)).toEqual(
      'to_primary to_replica from_cache errors misroutes query_time_p50 query_time_p99'.split(' '),
    );
    expect(columnsOf('NODES')).toEqual(
      'database node host port role state lag_ms lag_bytes lsn connections connection_limit outstanding slowdown slow_start weight server_version problem circuit circuit_reason zone source'.split(
        ' ',
      ),
    );
    expect(columnsOf('CACHE')).toEqual(
      'entries bytes max_bytes hits hits_second_level misses hit_ratio stores evictions invalidations_local invalidations_peer invalidations_operator invalidations_catalog invalidations_gap invalidations_sql invalidations_http invalidations_around malformed_entries redis redis_problem workers workers_problem'.split(
        ' ',
      ),
    );
    expect(columnsOf('PREPARED')).toEqual(['database', 'user', 'clients', 'servers', 'query']);
    expect(columnsOf('HELP')).toEqual(['command', 'role', 'what']);
  });
});

describe('rows', () => {
  it('POOLS: waits split in seconds and microseconds, every client counted once', async () => {
    const second = fakePool({ node: 'db2', waiting: 0, maxWaitMs: 0 });
    const first = fakePool();
    first.setLimit(28, 'pressure', 'clients waited 38 ms (target 10 ms)');
    const [one, two] = await rowsOf('SHOW POOLS', fakeSources({ pools: () => [first, second] }));
    expect(one).toMatchObject({
      database: 'shop',
      user: 'app',
      cl_active: 2,
      cl_waiting: 4,
      sv_active: 3,
      sv_idle: 2,
      sv_tested: 1,
      sv_login: 1,
      maxwait: 1,
      maxwait_us: 234567,
      pool_mode: 'transaction',
      load_balance_hosts: 'least-load',
      limit: 28,
      avg_wait_us: 5000,
      last_resize: '20 -> 28 (pressure): clients waited 38 ms (target 10 ms)',
    });
    expect(two).toMatchObject({ node: 'db2', cl_active: 0, last_resize: null });
  });

  it('POOLS: clients are counted where their servers are, whoever logs in there', async () => {
    const sources = fakeSources();
    const [shop] = [...sources.databases()];
    const databases = (): DatabaseRow[] => [{ ...(shop as DatabaseRow), forceUser: 'app' }];
    const clients = (): ClientStats[] => [fakeClient({ user: 'ada' }), fakeClient({ user: 'bob', node: '' })];
    const [row] = await rowsOf('SHOW POOLS', fakeSources({ databases, clients }));
    expect(row).toMatchObject({ user: 'app', cl_active: 2 });
  });

  it('counts servers of replication, which are in no pool, wherever servers are counted', async () => {
    const one = fakeServer({ id: 4, replication: 'physical' });
    const other = fakeServer({ id: 5, replication: 'logical', user: 'walker', node: 'db2', state: 'idle' });
    const clients = [fakeClient(), fakeClient({ user: 'walker', node: 'db2', replication: 'logical', serverId: 5 })];
    const sources = fakeSources({
      replicationServers: () => [one, other],
      clients: () => clients,
      databaseStats: () => [fakeDatabaseStats({ replications: 2 })],
    });
    const pools = await rowsOf('SHOW POOLS', sources);
    expect(pools).toMatchObject([
      { user: 'app', node: 'db1', cl_active: 1, sv_active: 4, sv_idle: 2, limit: 20 },
      { user: 'walker', node: 'db2', cl_active: 1, sv_active: 1, sv_idle: 0, pool_mode: 'transaction', max: 100 },
    ]);
    expect((await rowsOf('SHOW DATABASES', sources))[0]).toMatchObject({ current_connections: 9 });
    expect(await rowsOf('SHOW NODES', sources)).toMatchObject([{ connections: 8 }, { connections: 1 }]);
    const users = await rowsOf('SHOW USERS', sources);
    expect(users).toContainEqual(expect.objectContaining({ name: 'walker', current_connections: 1 }));
    expect(users).toContainEqual(expect.objectContaining({ name: 'app', current_connections: 8 }));
    expect((await rowsOf('SHOW STATS', sources))[0]).toMatchObject({ total_server_assignment_count: 1002 });
  });

  it('CLIENTS and SERVERS point at each other', async () => {
    const [client, idle] = await rowsOf('SHOW CLIENTS');
    const [server] = await rowsOf('SHOW SERVERS');
    expect(client).toMatchObject({
      type: 'C',
      state: 'active',
      connect_time: '2026-01-02 03:04:05 UTC',
      tls: 'TLS',
      pins: 'LISTEN, temporary table',
      last_route: 'primary db1: writes public.users',
    });
    expect(client?.['link']).toBe(server?.['ptr']);
    expect(server?.['link']).toBe(client?.['ptr']);
    expect(idle).toMatchObject({ state: 'idle', link: '', pins: '' });
    expect(server).toMatchObject({ type: 'S', remote_pid: 4711, application_name: 'web', close_needed: 1 });
  });

  it('NODES: what is unknown is NULL, never a number', async () => {
    const [primary, replica] = await rowsOf('SHOW NODES');
    expect(primary).toMatchObject({ role: 'primary', state: 'up', lsn: '1/FF', connections: 7, slowdown: 1.25 });
    expect(replica).toMatchObject({ state: 'down', lag_ms: null, lsn: null, connections: 0, problem: 'refused' });
    expect(JSON.stringify([primary, replica])).not.toContain('geheim');
  });

  it('DATABASES, CACHE, LISTS, USERS, CONFIG, HELP', async () => {
    expect(await rowsOf('SHOW DATABASES')).toMatchObject([
      { name: 'shop', pool_size: 20, server_lifetime: 3600, current_connections: 7, current_client_connections: 2 },
    ]);
    expect(await rowsOf('SHOW CACHE')).toMatchObject([
      { hits: 30, hit_ratio: 0.75, invalidations_local: 5, invalidations_gap: 0, redis: 'up' },
    ]);
    expect(await rowsOf('SHOW LISTS')).toContainEqual({ list: 'used_clients', items: 2 });
    expect(await rowsOf('SHOW USERS')).toMatchObject([
      { name: 'app', current_connections: 7, current_client_connections: 2 },
      { name: 'weir', current_connections: 0 },
    ]);
    expect(await rowsOf('SHOW CONFIG')).toContainEqual({
      key: 'listen',
      value: '127.0.0.1:6432',
      default: '127.0.0.1:6432',
      changeable: 'no',
    });
    expect(await rowsOf('SHOW HELP')).toHaveLength(commands.size);
    expect(await rowsOf('SHOW VERSION')).toEqual([{ version: 'Weir 0.1.0' }]);
    expect(await rowsOf('SHOW STATE')).toContainEqual({ key: 'paused', value: 'no' });
    expect(await rowsOf('SHOW STATE')).toContainEqual({ key: 'draining', value: 'no' });
    expect(await rowsOf('SHOW PREPARED')).toEqual([
      { database: 'shop', user: 'app', clients: 2, servers: 1, query: 'SELECT $1' },
    ]);
  });

  it('RESTARTS has what became of each', async () => {
    const times = { started_at: '2026-01-02 03:04:05 UTC', finished_at: '2026-01-02 03:04:14 UTC' };
    expect(await rowsOf('SHOW RESTARTS')).toEqual([
      {
        restart: 3,
        state: 'done',
        workers: 4,
        replaced: 4,
        supervisor: 'new',
        ended_clients: 2,
        ...times,
        problem: null,
        needs_new_start: null,
      },
      {
        restart: 2,
        state: 'failed',
        workers: 4,
        replaced: 4,
        supervisor: 'new',
        ended_clients: 2,
        ...times,
        problem: 'crashed',
        needs_new_start: null,
      },
    ]);
  });

  it('MEMORY: the limit and where it comes from, and who was ended', async () => {
    const [row] = await rowsOf('SHOW MEMORY');
    expect(row).toMatchObject({ worker: 1, state: 'normal', share: 0.25, limit_from: 'memory_limit', caches: 1 });
    expect(row).toMatchObject({ limit_bytes: 256_000_000, refused_clients: 4, shed_unread: 3, shed_prepared: 1 });
    const gone = fakeWorker({ state: 'gone', memory: undefined });
    expect(await rowsOf('SHOW MEMORY', fakeSources({ workers: () => [gone] }))).toMatchObject([
      { worker: 1, state: null, used_bytes: null, shed_unread: null },
    ]);
  });

  it('FORECAST: what pools will need, and why they are warmed', async () => {
    expect(await rowsOf('SHOW FORECAST')).toEqual([
      {
        ...{ database: 'shop', user: 'app', node: 'db1', now: 4, predicted: 34, at: '2026-01-02 03:04:05 UTC' },
        ...{ confidence: 0.864, warmed: 34, why: 'at 09:00 UTC this pool usually needs 34 (confidence 0.86)' },
      },
    ]);
    const unknown = fakeForecast({ predicted: undefined, confidence: 0, warmed: 0, day: [] });
    expect(await rowsOf('SHOW FORECAST', fakeSources({ forecast: () => [unknown] }))).toMatchObject([
      { predicted: null, confidence: 0 },
    ]);
    expect(await rowsOf('SHOW FORECAST', fakeSources({ forecast: () => [] }))).toEqual([]);
  });

  it('STATS: microseconds, and where the statements went', async () => {
    const [row] = await rowsOf('SHOW STATS');
    expect(row).toMatchObject({
      total_xact_count: 60,
      total_query_time: 80_000,
      total_wait_time: 12_500,
      total_server_assignment_count: 1000,
      to_primary: 16,
      to_replica: 42,
      from_cache: 30,
      errors: 3,
      misroutes: 1,
    });
  });
});

describe('on database pgbouncer', () => {
  const ofConsole = fakeClient({ id: 99, database: 'pgbouncer', user: 'weir', serverId: 0, node: '', pins: [] });
  const rows = async (
    text: string,
    changes: Parameters<typeof fakeSources>[0] = {},
  ): Promise<Record<string, Value>[]> =>
    rowsOf(
      text,
      fakeSources({ console: () => ({ clients: [ofConsole], logins: 5, queries: 7 }), ...changes }),
      'pgbouncer',
    );

  it('POOLS has one row for each database and user, with the sums of its nodes, and the console', async () => {
    const [one, two] = [fakePool(), fakePool({ node: 'db2', active: 5, waiting: 1, maxWaitMs: 2_500, checkouts: 10 })];
    two.setLimit(22, 'pressure', 'clients waited');
    const others = [fakePool({ user: 'bob' }), fakePool({ database: 'blog' })];
    const shown = await rows('SHOW POOLS', { pools: () => [one, two, ...others] });
    const name = (row: Record<string, Value>): string => `${String(row['database'])}.${String(row['user'])}`;
    expect(shown.map(name)).toEqual(['shop.app', 'shop.bob', 'blog.app', 'pgbouncer.pgbouncer']);
    expect(shown[0]).toMatchObject({
      ...{ node: 'db1, db2', cl_active: 2, cl_waiting: 5, sv_active: 8, sv_idle: 4, maxwait: 2, maxwait_us: 500_000 },
      ...{ limit: 42, max: 200, checkouts: 1010, last_resize: expect.stringContaining('20 -> 22') },
    });
    expect(shown[3]).toMatchObject({ cl_active: 1, sv_active: 0, pool_mode: 'statement' });
    const lists = await rows('SHOW LISTS', { pools: () => [one, two, ...others] });
    expect(lists).toContainEqual({ list: 'pools', items: 4 });
    expect(lists).toContainEqual({ list: 'databases', items: 2 });
    expect(lists).toContainEqual({ list: 'used_clients', items: 3 });
  });

  it('DATABASES, STATS and CLIENTS have the console', async () => {
    expect((await rows('SHOW DATABASES'))[1]).toMatchObject({
      ...{ name: 'pgbouncer', host: null, port: 6432, force_user: 'pgbouncer', pool_size: 2, pool_mode: 'statement' },
      ...{ current_client_connections: 1 },
    });
    const limit = { key: 'max_db_client_connections', value: '3', default: '0', isChangeable: true };
    expect((await rows('SHOW DATABASES', { settings: () => [limit] }))[1]).toMatchObject({ max_client_connections: 3 });
    expect((await rows('SHOW DATABASES'))[1]).toMatchObject({ max_client_connections: 10_000 });
    const ofWeir = expect.objectContaining({ name: 'weir', current_client_connections: 1 }) as unknown;
    expect(await rows('SHOW USERS')).toContainEqual(ofWeir);
    expect((await rows('SHOW STATS'))[1]).toMatchObject({
      ...{ database: 'pgbouncer', total_client_login_count: 5, total_query_count: 7, total_xact_count: 7 },
      ...{ avg_query_count: 0, query_time_p50: null },
    });
    const totals = await rows('SHOW TOTALS');
    expect(totals).toContainEqual({ name: 'total_client_login_count', value: 17 });
    expect(totals).toContainEqual({ name: 'total_query_count', value: 95 });
    expect((await rows('SHOW CLIENTS')).map(({ id }) => id)).toEqual([7, 8, 99]);
    expect((await rowsOf('SHOW CLIENTS')).map(({ id }) => id)).toEqual([7, 8]);
  });

  it('SOCKETS has clients and servers in the words of SHOW POOLS, ACTIVE_SOCKETS those that work', async () => {
    const states = async (text: string): Promise<string[]> =>
      (await rows(text, { servers: () => [fakeServer(), fakeServer({ id: 4, state: 'login' })] })).map(
        ({ ptr, state }) => `${String(ptr)} ${String(state)}`,
      );
    expect(await states('SHOW SOCKETS')).toEqual([
      ...['C7 cl_active', 'C8 cl_active', 'C99 cl_active', 'S3 sv_active', 'S4 sv_login'],
    ]);
    expect(await states('SHOW ACTIVE_SOCKETS')).toEqual(['C7 cl_active', 'C99 cl_active', 'S3 sv_active']);
  });

  it('MEM has the heap and the cache, USERS the limits of settings that are there', async () => {
    expect(await rows('SHOW MEM')).toContainEqual({
      ...{ name: 'result_cache', size: 1, used: 4096, free: (1 << 27) - 4096, memtotal: 1 << 27 },
    });
    const limit = { key: 'max_user_connections', value: '30', default: '0', isChangeable: true };
    expect((await rows('SHOW USERS', { settings: () => [limit] }))[0]).toMatchObject({
      ...{ name: 'app', max_user_connections: 30, max_user_client_connections: 0, current_connections: 7 },
    });
  });
});

describe('SHOW BUDGETS', () => {
  it('says what is known, in words, and NULL for what is not', async () => {
    const unknown = { value: null, burn5m: null, burn1h: null, state: 'unknown', why: 'no replicas' } as const;
    const budgets = [fakeBudget(), fakeBudget({ budget: 'errors', unit: 'ratio', value: 0.0005 }), fakeBudget(unknown)];
    const rows = await rowsOf('SHOW BUDGETS', fakeSources({ budgets: () => budgets }));
    expect(rows[0]).toEqual({
      ...{
        database: 'shop',
        budget: 'reads_p95',
        objective: 'p95 <= 50ms',
        value: '38.2ms',
        actions: 'raise_pool',
        burn_5m: 2.5,
        burn_1h: 0.4,
      },
      ...{ state: 'burning', why: '12.5% of 800 reads' },
    });
    expect(rows[1]).toMatchObject({ value: '0.05%' });
    expect(rows[2]).toMatchObject({ value: null, burn_5m: null, burn_1h: null, state: 'unknown', why: 'no replicas' });
  });
});

describe('SHOW DECODING', () => {
  it('says how far writes around Weir are known, or why not', async () => {
    const failed = { ...fakeDecoding(), state: 'failed', problem: 'no slot', lagMs: 99_000.4, tables: 0 } as const;
    const rows = await rowsOf('SHOW DECODING', fakeSources({ decodings: () => [fakeDecoding(), failed] }));
    expect(rows).toEqual([
      { database: 'shop', state: 'reading', lag_ms: 120, tables: 7, problem: null },
      { database: 'shop', state: 'failed', lag_ms: 99_000, tables: 0, problem: 'no slot' },
    ]);
  });
});

describe('averages', () => {
  it('are those of the last whole period', () => {
    const clock = createManualClock();
    const stats = fakeDatabaseStats({ queries: 0, serverMs: 0 });
    const window = createStatsWindow({ pools: () => [], databaseStats: () => [stats] }, clock.nowMs);
    const average = (): { queries: number; queryUs: number } | undefined => window.rows()[0]?.average;

    clock.advance(10_000);
    Object.assign(stats, { queries: 100, serverMs: 50 });
    expect(average()).toMatchObject({ queries: 10, queryUs: 500 });

    clock.advance(50_000);
    window.sample();
    clock.advance(60_000);
    Object.assign(stats, { queries: 700, serverMs: 1250 });
    window.sample();
    Object.assign(stats, { queries: 100_000 });
    expect(average()).toMatchObject({ queries: 10, queryUs: 2000 });
    expect(window.sum().average.queries).toBe(10);
  });

  it('estimates quantiles from the buckets', () => {
    expect(durationQuantileUs(fakeDatabaseStats(), 0)).toBe(0);
    expect(durationQuantileUs(fakeDatabaseStats(), 1)).toBe(10_000_000);
    const p50 = durationQuantileUs(fakeDatabaseStats(), 0.5) ?? NaN;
    expect(p50).toBeGreaterThan(100);
    expect(p50).toBeLessThanOrEqual(250);
  });
});
