/**
 * Every column of every SHOW command, run in one of three workers, says what the three together should say: counts are the
 * sum of the parts, limits those of the whole. Fails when a column is added for which nobody has said what it is for several
 * workers, or when the figures of a worker are lost, counted twice, or read on the clock of another.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../src/console/commands.ts';
import type { ConsoleSources } from '../../src/console/sources.ts';
import type { Totals } from '../../src/console/stats-types.ts';
import type { Value } from '../../src/console/types.ts';
import type { ConnectionBudgetFigures } from '../../src/shares/types.ts';
import { connectionBudget } from '../../src/workers/pressure-rules.ts';
import {
  fakeBudget,
  fakeDecoding,
  fakeConnectionBudget,
  fakeClient,
  fakeDatabaseStats,
  fakeForecast,
  fakeMemory,
  fakeLimit,
  fakeNode,
  fakePool,
  fakeServer,
  fakeSources,
  fakeStatement,
} from '../console/fakes.ts';
import { Rig, run, settled, type TestWorker } from './rig.ts';

/** Numbers that differ from worker to worker, the same in each run. */
function dice(seed: number): (below: number) => number {
  let state = seed * 2654435761;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) >>> 0;
    return 1 + (state % below);
  };
}

type PoolChanges = Parameters<typeof fakePool>[0];

function sourcesOf(number: number, clockMs: number): Partial<ConsoleSources> {
  const roll = dice(number);
  const base = fakeSources();
  const counters = (): PoolChanges => ({
    ...{ active: roll(9), idle: roll(9), login: roll(9), resetting: roll(9), pinned: roll(9), waiting: roll(9) },
    ...{ maxWaitMs: roll(9000) + 0.123, checkouts: roll(9999), waitedTotalMs: roll(9999), waits: roll(999) },
    ...{ waitTimeouts: roll(99), earlyRefusals: roll(99), connects: roll(99), connectFailures: roll(99) },
    ...{ limit: 40, min: 2, max: 60, isPaused: number === 2 },
  });
  const resize = { atMs: 9, from: 20, to: 40, reason: 'pressure', why: 'clients waited' } as const;
  const pools = [
    fakePool({ ...counters(), lastResize: resize }),
    fakePool({ ...counters(), node: 'db2', connectProblem: number === 3 ? 'refused' : undefined }),
    fakePool({ ...counters(), user: `only ${number}` }),
  ];
  const clients = Array.from({ length: 10 * number }, (_, i) =>
    fakeClient({
      id: i * 3 + number,
      serverId: i * 3 + number,
      node: i % 2 === 0 ? 'db1' : 'db2',
      state: i % 3 === 0 ? 'waiting' : 'active',
      pins: i % 4 === 0 ? ['LISTEN'] : [],
      applicationName: `app ${number}`,
    }),
  );
  const stats = fakeDatabaseStats();
  for (const key of [
    'xacts',
    'queries',
    'receivedBytes',
    'sentBytes',
    'xactMs',
    'queryMs',
    'serverMs',
    'waitMs',
  ] as const) {
    stats[key] = roll(1e6);
  }
  for (const key of ['misroutes', 'clientParses', 'serverParses', 'binds', 'logins', 'replications'] as const) {
    stats[key] = roll(1e6);
  }
  stats.byLabel.forEach((_, index) => (stats.byLabel[index] = roll(1000)));
  for (const list of stats.durations) list.forEach((_, index) => (list[index] = roll(100)));
  const nodes = [
    fakeNode({ load: { ...fakeNode().load, outstanding: roll(50), ewma: roll(5) } }),
    fakeNode({
      name: 'db2',
      role: 'replica',
      ejectedUntilMs: number === 2 ? clockMs + performance.now() + 60_000 : 0,
      problem: 'slow',
      circuit: number === 2 ? 'open' : number === 1 ? 'half-open' : 'closed',
      circuitSinceMs: clockMs + performance.now(),
      circuitWhy: `seen by ${number}`,
      load: { ...fakeNode().load, outstanding: roll(50), ewma: roll(5) },
    }),
  ];
  const snapshot = { database: 'shop', primary: nodes[0], replicas: nodes.slice(1), nodes, epoch: 7 };
  const cache = base.cacheStats();
  const filled = {
    ...{ ...cache, entries: roll(99), bytes: roll(9999), hits: roll(999), hitsSecondLevel: roll(99) },
    ...{ misses: roll(999), stores: roll(99), evictions: roll(99), malformed: roll(9) },
    invalidations: {
      local: roll(99),
      peer: roll(99),
      operator: roll(9),
      catalog: roll(9),
      gap: roll(9),
      sql: roll(9),
      http: roll(9),
    },
  };
  const prepared = [
    { database: 'shop', user: 'app', query: 'SELECT $1', clients: roll(9), servers: roll(9) },
    { database: 'shop', user: `only ${number}`, query: 'SELECT 2', clients: 1, servers: 1 },
  ];
  const limits = [
    fakeLimit({
      ...{ refused: roll(99), buckets: 10 * number },
      whom: ['app', `only ${number}`].map((user) => ({
        ...{ whom: `user=${user}`, tokens: 10 * number + 0.5, refused: roll(99), sinceMs: 1_000_000 },
      })),
    }),
  ];
  const statements = [
    fakeStatement({
      ...{ calls: roll(99), errors: roll(9), rows: roll(999), totalMs: roll(999), maxMs: roll(99), waitMs: roll(99) },
      ...{ serverMs: roll(999), cacheHits: roll(99), cacheMisses: roll(99), nodes: { db1: number, [`w${number}`]: 1 } },
    }),
    fakeStatement({ user: `only ${number}` }),
  ];
  const unobserved = { value: null, burn5m: null, burn1h: null, state: 'unknown', why: 'not observed yet' } as const;
  const [row] = [...base.databases()];
  return {
    pools: () => pools,
    clients: () => clients,
    servers: () => clients.map(({ id }) => fakeServer({ id, clientId: id })),
    replicationServers: () => [fakeServer({ id: 1000 + number, replication: 'physical' })],
    databaseStats: () => [stats],
    topologies: () => [{ database: 'shop', isSettled: true, snapshot: () => snapshot }],
    databases: () => (row === undefined ? [] : [{ ...row, isPaused: number === 2, problem: 'its catalog' }]),
    cacheStats: () => filled,
    memory: () =>
      fakeMemory({
        state: number === 2 ? 'tight' : 'normal',
        usedBytes: number * 1e6,
        shedClients: { unread: number, statement: 0, prepared: 0 },
      }),
    users: () => ['app', `only ${number}`],
    console: () => ({ clients: [fakeClient({ id: 9_000 + number })], logins: 10 * number, queries: number }),
    preparedStatements: () => prepared,
    limits: () => limits,
    // The second worker is the lead.
    connectionBudget: () => [
      fakeConnectionBudget(number === 2 ? {} : { weirs: undefined, limit: 0, state: 'fixed share' }),
    ],
    // The second worker is the lead.
    budgets: () => [fakeBudget(number === 2 ? { observedMs: 5_000 } : { ...unobserved, observedMs: 0 })],
    // The second worker is the lead, and reads for all.
    decodings: () => [
      { ...fakeDecoding(), ...(number === 2 ? {} : ({ state: 'standby', lagMs: undefined, tables: 0 } as const)) },
    ],
    statements: () => statements,
    // Only the worker that resizes the pools of all has them.
    forecast: () => (number === 2 ? [fakeForecast(), fakeForecast({ user: 'bob', predicted: 3 })] : []),
  };
}

const totalsOf = (roll: (below: number) => number): Totals => ({
  database: 'shop',
  ...{ serverAssignments: roll(9999), xacts: roll(9999), queries: roll(9999), received: roll(9999), sent: roll(9999) },
  ...{ xactUs: roll(1e6), queryUs: roll(1e6), waitUs: roll(1e6) },
  ...{ clientParses: roll(9999), serverParses: roll(9999), binds: roll(9999), logins: roll(9999) },
});

/** How a column of three workers follows from the columns of each. */
type Kind =
  /** Part of what names the row. */
  | 'key'
  | 'sum'
  /** Per second, rounded in each part. */
  | 'rate'
  | 'largest'
  /** The same in each. */
  | 'same'
  /** As one of them has it. */
  | 'one'
  /** A mean or quantile: between the smallest and the largest of the parts. */
  | 'between'
  /** Has a test of its own below. */
  | 'own';

type Columns = Readonly<Record<string, Kind>>;

const columns = (table: Partial<Record<Kind, string>>): Columns =>
  Object.fromEntries(
    Object.entries(table).flatMap(([kind, names]) => names.split(/\s+/).map((name) => [name, kind as Kind])),
  );

const statsCounts = 'server_assignment_count xact_count query_count';
const statsTimes = 'xact_time query_time wait_time';
const parses = 'client_parse_count server_parse_count bind_count';
const sockets = `type user database replication state addr port local_addr local_port connect_time request_time wait wait_us
  close_needed link remote_pid tls application_name prepared_statements id recv_pos pkt_pos pkt_remain send_pos send_remain
  pkt_avail send_avail`;
const prefixed = (prefix: string, names: string): string =>
  names
    .split(' ')
    .map((name) => prefix + name)
    .join(' ');

const expected: Readonly<Record<string, Columns>> = {
  FORECAST: columns({ key: 'database user node', one: 'now predicted at confidence warmed why' }),
  LIMITS: columns({
    key: 'limit kind whom',
    sum: 'refused',
    same: 'rate burst since',
    one: 'problem',
    own: 'buckets tokens',
  }),
  DECODING: columns({ key: 'database', own: 'state lag_ms tables problem' }),
  BUDGETS: columns({ key: 'database budget', same: 'objective', own: 'value burn_5m burn_1h state why actions' }),
  CONNECTION_BUDGET: columns({ key: 'server', same: 'budget from share', own: 'limit open weirs state why' }),
  POOLS: columns({
    key: 'database user node',
    sum: `cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle
      sv_used sv_tested sv_login pinned resetting checkouts waits wait_timeouts early_refusals connects connect_failures`,
    largest: 'maxwait limit min max paused overloaded',
    one: 'maxwait_us connect_problem last_resize',
    between: 'avg_wait_us',
    same: 'pool_mode load_balance_hosts statements_at_once',
  }),
  CLIENTS: columns({
    key: 'id',
    same: `type user database replication state addr port local_addr local_port connect_time request_time wait wait_us
      close_needed ptr link remote_pid tls application_name prepared_statements session_state node pins last_route`,
  }),
  SERVERS: columns({
    key: 'id',
    same: `type user database replication state addr port local_addr local_port connect_time request_time wait wait_us
      close_needed ptr link remote_pid tls application_name prepared_statements node server_version`,
  }),
  DATABASES: columns({
    key: 'name',
    sum: 'current_connections current_client_connections',
    largest: 'max_client_connections paused disabled',
    same: `host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode
      load_balance_hosts max_connections max_pool_size replicas problem`,
  }),
  NODES: columns({
    key: 'database node',
    sum: 'connections outstanding',
    largest: 'slowdown',
    one: 'state circuit circuit_reason',
    same: 'host port role lag_ms lag_bytes lsn connection_limit slow_start weight server_version problem zone source',
  }),
  STATS: columns({
    key: 'database',
    sum: `${prefixed('total_', `${statsCounts} received sent ${statsTimes} ${parses} client_login_count`)} to_primary to_replica from_cache errors
      misroutes`,
    rate: prefixed('avg_', `${statsCounts} recv sent ${parses} client_login_count`),
    between: `${prefixed('avg_', statsTimes)} query_time_p50 query_time_p99`,
  }),
  STATS_TOTALS: columns({
    key: 'database',
    sum: `${statsCounts} bytes_received bytes_sent ${statsTimes} ${parses} client_login_count`,
  }),
  STATS_AVERAGES: columns({
    key: 'database',
    rate: `${statsCounts} bytes_received bytes_sent ${prefixed('avg_', parses)} client_login_count`,
    between: statsTimes,
  }),
  TOTALS: columns({ key: 'name', own: 'value' }),
  LISTS: columns({ key: 'list', own: 'items' }),
  CONFIG: columns({ key: 'key', same: 'value default changeable' }),
  USERS: columns({
    key: 'name',
    sum: 'max_user_connections current_connections max_user_client_connections current_client_connections',
    same: 'pool_size reserve_pool_size pool_mode',
  }),
  STATEMENTS: columns({
    key: 'database user query_id',
    sum: 'calls errors rows total_ms wait_ms server_ms cache_hits cache_misses',
    between: 'mean_ms hit_rate',
    largest: 'max_ms',
    same: 'p95_ms since query',
    own: 'nodes',
  }),
  PREPARED: columns({ key: 'database user query', sum: 'clients servers' }),
  PREPARED_STATEMENTS: columns({ key: 'database user query', sum: 'clients servers' }),
  SOCKETS: columns({ key: 'ptr', same: sockets }),
  ACTIVE_SOCKETS: columns({ key: 'ptr', same: sockets }),
  MEM: columns({ key: 'name', same: 'size', own: 'used free memtotal' }),
  FDS: columns({
    own: `fd task user database addr port cancel link client_encoding std_strings datestyle timezone password scram_client_key
      scram_server_key`,
  }),
  DNS_HOSTS: columns({ own: 'hostname ttl addrs' }),
  DNS_ZONES: columns({ own: 'zonename serial count' }),
  PEERS: columns({ own: 'peer_id host port pool_size' }),
  PEER_POOLS: columns({ own: 'peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login' }),
  CACHE: columns({
    sum: `entries bytes max_bytes hits hits_second_level misses stores evictions invalidations_local invalidations_peer
      invalidations_operator invalidations_catalog invalidations_gap invalidations_sql invalidations_http invalidations_around malformed_entries`,
    between: 'hit_ratio',
    same: 'redis redis_problem workers workers_problem',
  }),
  STATE: columns({ key: 'key', own: 'value' }),
  VERSION: columns({ same: 'version' }),
  WORKERS: columns({
    own: 'worker pid state clients servers started_at restarts deaths cpu_seconds memory_bytes event_loop_p99_ms version',
  }),
  MEMORY: columns({
    own: `worker state share used_bytes limit_bytes limit_from resident_bytes heap_bytes heap_limit_bytes caches
      waiting_clients refused_clients shed_unread shed_statement shed_prepared`,
  }),
  RESTARTS: columns({
    key: 'restart',
    same: 'state workers replaced supervisor ended_clients started_at finished_at problem needs_new_start',
  }),
  HELP: columns({ key: 'command', same: 'role what' }),
};

const rig = new Rig();
const workers: TestWorker[] = [];

beforeAll(async () => {
  for (const number of [1, 2, 3]) {
    const clockMs = number * 1e7;
    workers.push(
      rig.add({
        number,
        clockMs,
        sources: sourcesOf(number, clockMs),
        process: { cpuSeconds: number, residentBytes: number * 1e6 },
        period: { seconds: 60 * number, added: [totalsOf(dice(number + 10))] },
      }),
    );
  }
  await Promise.all(workers.map(({ gather }) => gather('totals')));
});

const periodOf = async (worker: TestWorker): Promise<ConsoleSources> => {
  // What the console of this worker alone would show: its own figures, with the period that the rig has given it.
  const roll = dice(workers.indexOf(worker) + 11);
  return { ...worker.sources, periods: [{ seconds: 60 * (workers.indexOf(worker) + 1), added: [totalsOf(roll)] }] };
};

async function parts(command: string): Promise<Record<string, Value>[][]> {
  return Promise.all(
    workers.map(async (worker) => (await run({ ...worker, gather: () => periodOf(worker) }, command)).rows),
  );
}

const numbers = (values: readonly (Value | undefined)[]): number[] =>
  values.filter((value): value is number => typeof value === 'number');

function check(kind: Kind, whole: Value | undefined, values: readonly (Value | undefined)[]): void {
  const all = numbers(values);
  const sum = all.reduce((a, b) => a + b, 0);
  switch (kind) {
    case 'key':
    case 'own':
      return;
    case 'sum':
      expect(whole).toBe(sum);
      return;
    case 'rate':
      expect(Math.abs(Number(whole) - sum)).toBeLessThanOrEqual(2);
      return;
    case 'largest':
      expect(whole).toBe(Math.max(...all));
      return;
    case 'same':
      for (const value of values) expect(whole).toEqual(value);
      return;
    case 'one':
      expect(values).toContain(whole);
      return;
    case 'between':
      expect(whole).toBeGreaterThanOrEqual(Math.min(...all) - 0.01);
      expect(whole).toBeLessThanOrEqual(Math.max(...all) + 0.01);
  }
}

describe.each(Object.entries(expected))('SHOW %s', (name, table) => {
  const command = commands.get(`SHOW ${name}`);
  const keyOf = (row: Record<string, Value>): string =>
    Object.entries(table)
      .filter(([, kind]) => kind === 'key')
      .map(([column]) => String(row[column]))
      .join('\0');

  test('has no column of which nobody has said what it is for several workers', () => {
    expect(command?.columns.map((column) => column.name).filter((column) => !(column in table))).toEqual([]);
    expect(Object.keys(table).sort()).toEqual(command?.columns.map((column) => column.name).sort());
  });

  test('says the same in each worker, and what the three say together', async () => {
    const alone = await parts(`SHOW ${name}`);
    for (const worker of workers) {
      const { rows, notices } = await run(worker, `SHOW ${name}`);
      expect(notices).toEqual([]);
      if (Object.values(table).every((kind) => kind === 'own')) continue;
      const keys = new Set(alone.flat().map(keyOf));
      expect(new Set(rows.map(keyOf))).toEqual(keys);
      expect(rows).toHaveLength(keys.size);
      for (const row of rows) {
        const same = alone.flatMap((part) => part.filter((other) => keyOf(other) === keyOf(row)));
        for (const [column, kind] of Object.entries(table)) {
          check(
            kind,
            row[column],
            same.map((other) => other[column]),
          );
        }
      }
    }
  });
});

test('every SHOW command is in the table', () => {
  const names = [...commands.keys()].filter((name) => name.startsWith('SHOW ')).map((name) => name.slice(5));
  expect(names.sort()).toEqual(Object.keys(expected).sort());
});

describe('what has a rule of its own', () => {
  const first = (): TestWorker => workers[0] as TestWorker;
  const named = async (command: string, key: string, value: string): Promise<Map<Value, Value>> => {
    const { rows } = await run(first(), command);
    return new Map(rows.map((row) => [row[key] ?? null, row[value] ?? null]));
  };

  test('LIMITS: who has heard last knows of the fewest tokens; each knows of most of the buckets', async () => {
    const tokens = await named('SHOW LIMITS', 'whom', 'tokens');
    expect([tokens.get('user=app'), tokens.get('user=only 3'), tokens.get(null)]).toEqual([10, 30, null]);
    const buckets = await named('SHOW LIMITS', 'whom', 'buckets');
    expect([buckets.get(null), buckets.get('user=app')]).toEqual([30, null]);
  });

  test('TOTALS: totals add up, rates too, times are means', async () => {
    const whole = await named('SHOW TOTALS', 'name', 'value');
    const alone = (await parts('SHOW TOTALS')).map((rows) => new Map(rows.map((row) => [row['name'], row['value']])));
    for (const [name, value] of whole) {
      const values = alone.map((part) => part.get(name));
      const kind = /^total_/.test(String(name)) ? 'sum' : /_time$/.test(String(name)) ? 'between' : 'rate';
      check(kind, value, values);
    }
    expect(whole.size).toBe(24);
  });

  test('a mean over periods of different length weighs by events, and a rate is the sum of rates', async () => {
    const { rows } = await run(first(), 'SHOW STATS');
    const periods = workers.map((_, index) => ({ seconds: 60 * (index + 1), added: totalsOf(dice(index + 11)) }));
    const queries = periods.reduce((sum, { added }) => sum + added.queries, 0);
    const queryUs = periods.reduce((sum, { added }) => sum + added.queryUs, 0);
    expect(rows[0]?.['avg_query_time']).toBe(Math.round(queryUs / queries));
    const rate = periods.reduce((sum, { seconds, added }) => sum + added.queries / seconds, 0);
    expect(rows[0]?.['avg_query_count']).toBe(Math.round(rate));
  });

  test('MEM is that of all workers', async () => {
    const used = await named('SHOW MEM', 'name', 'used');
    expect(used.get('result_cache')).toBe(workers.reduce((sum, { sources }) => sum + sources.cacheStats().bytes, 0));
    const { rows } = await run(first(), 'SHOW FDS');
    expect(rows).toHaveLength(120);
  });

  test('the console itself: clients and counts of all workers, on database pgbouncer', async () => {
    const pgbouncer = async (text: string): Promise<Record<string, Value>[]> =>
      (await run(first(), text, undefined, 'pgbouncer')).rows;
    expect((await pgbouncer('SHOW CLIENTS')).filter(({ id }) => Number(id) > 9_000)).toHaveLength(3);
    const console = (await pgbouncer('SHOW STATS_TOTALS')).find(({ database }) => database === 'pgbouncer');
    expect(console).toMatchObject({ client_login_count: 60, query_count: 6 });
  });

  test('LISTS counts what is there once as one', async () => {
    const lists = await named('SHOW LISTS', 'list', 'items');
    expect(Object.fromEntries(lists)).toMatchObject({
      databases: 1,
      users: 4,
      pools: 5,
      used_clients: 60,
      used_servers: 60,
      nodes: 2,
      stuck: 3,
    });
    const pinned = workers.flatMap(({ sources }) => [...sources.clients()].filter(({ pins }) => pins.length > 0));
    expect(lists.get('pinned_clients')).toBe(pinned.length);
  });

  test('CONNECTION_BUDGET: as the lead has it', async () => {
    const { rows } = await run(first(), 'SHOW CONNECTION_BUDGET');
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ limit: 8, open: 5, weirs: 3, state: 'granted', why: 'fair share' });
  });

  test('CONNECTION_BUDGET: with a fixed share, what all workers have open', () => {
    const fixed = (open: number): readonly ConnectionBudgetFigures[] => [
      fakeConnectionBudget({ weirs: undefined, state: 'fixed share', open }),
    ];
    expect(connectionBudget.join(fixed(3), fixed(4))).toMatchObject([{ open: 7 }]);
  });

  test('STATE: paused when one worker has it so', async () => {
    expect((await named('SHOW STATE', 'key', 'value')).get('paused')).toBe('yes');
  });

  test('NODES: ejected by one worker, on its own clock', async () => {
    for (const worker of workers) {
      const { rows } = await run(worker, 'SHOW NODES');
      expect(rows.map((row) => row['state'])).toEqual(['up', 'ejected']);
      expect(rows.map((row) => [row['circuit'], row['circuit_reason']])).toEqual([
        ['closed', null],
        ['open', 'seen by 2'],
      ]);
    }
  });

  test('POOLS: the longest wait, whole', async () => {
    const longest = (rows: readonly Record<string, Value>[]): number[] =>
      rows.map((row) => Number(row['maxwait']) * 1e6 + Number(row['maxwait_us']));
    const { rows } = await run(first(), 'SHOW POOLS');
    const alone = (await parts('SHOW POOLS')).map(longest);
    expect(longest(rows)[0]).toBe(Math.max(...alone.map((waits) => waits[0] ?? 0)));
  });

  test('WORKERS: one row for each', async () => {
    const { rows } = await run(first(), 'SHOW WORKERS');
    expect(rows.map((row) => row['worker'])).toEqual([1, 2, 3]);
    expect(rows.map((row) => row['pid'])).toEqual([4001, 4002, 4003]);
    expect(rows.map((row) => row['clients'])).toEqual([10, 20, 30]);
    expect(rows.map((row) => row['servers'])).toEqual([10, 20, 30]);
    expect(rows.map((row) => row['cpu_seconds'])).toEqual([1, 2, 3]);
    expect(rows.map((row) => row['memory_bytes'])).toEqual([1e6, 2e6, 3e6]);
    expect(rows[0]).toMatchObject({ state: 'ready', restarts: 0, event_loop_p99_ms: 4, version: '0.1.0' });
  });

  test('DECODING: as the worker says that reads for all', async () => {
    const { rows } = await run(workers[2] as TestWorker, 'SHOW DECODING');
    expect(rows).toEqual([{ database: 'shop', state: 'reading', lag_ms: 120, tables: 7, problem: null }]);
  });

  test('BUDGETS: as the worker says that observes them for all', async () => {
    const { rows } = await run(workers[2] as TestWorker, 'SHOW BUDGETS');
    expect(rows).toEqual([
      expect.objectContaining({ budget: 'reads_p95', value: '38.2ms', burn_5m: 2.5, burn_1h: 0.4, state: 'burning' }),
    ]);
  });

  test('MEMORY: one row for each', async () => {
    const { rows } = await run(first(), 'SHOW MEMORY');
    expect(rows.map((row) => row['worker'])).toEqual([1, 2, 3]);
    expect(rows.map((row) => row['state'])).toEqual(['normal', 'tight', 'normal']);
    expect(rows.map((row) => row['used_bytes'])).toEqual([1e6, 2e6, 3e6]);
    expect(rows.map((row) => row['shed_unread'])).toEqual([1, 2, 3]);
    expect(rows[0]).toMatchObject({ limit_bytes: 256_000_000, limit_from: 'memory_limit', caches: 1 });
  });

  test('no password of a node leaves its worker', async () => {
    const heard: unknown[] = [];
    const { channel } = first().known;
    const ask = channel.ask.bind(channel);
    channel.ask = (async (topic, body) => {
      const reply = await ask(topic, body);
      heard.push(reply);
      return reply;
    }) as typeof channel.ask;
    await run(first(), 'SHOW NODES');
    channel.ask = ask;
    const gathered = JSON.stringify(heard);
    expect(gathered).toContain('db1');
    expect(gathered).not.toContain('geheim');
  });

  test('what the consoles of a worker have counted stays when it ends; their clients are gone', async () => {
    const own = new Rig();
    const two = [1, 2].map((number) =>
      own.add({
        number,
        sources: { console: () => ({ clients: [fakeClient({ id: number })], logins: 10 * number, queries: number }) },
      }),
    );
    const [living] = two as [TestWorker, TestWorker];
    const console = async (): Promise<unknown> => {
      const { rows } = await run(living, 'SHOW STATS_TOTALS', undefined, 'pgbouncer');
      return rows.find(({ database }) => database === 'pgbouncer');
    };
    expect(await console()).toMatchObject({ client_login_count: 30, query_count: 3 });
    two[1]?.die();
    await settled();
    expect(await console()).toMatchObject({ client_login_count: 30, query_count: 3 });
    expect((await living.gather('rows')).console().clients).toHaveLength(1);
  });
});
