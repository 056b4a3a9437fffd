/** A ConsoleSources whose figures are made up and whose actions are written down; one PoolControl that obeys. */
import type { DecodingFigures } from '../../src/decoding/types.ts';
import type { BudgetFigures } from '../../src/budgets/types.ts';
import type { ForecastFigures } from '../../src/forecast/types.ts';
import type { ConnectionBudgetFigures } from '../../src/shares/types.ts';
import type { LimitFigures } from '../../src/limits/types.ts';
import type { ConsoleSources, DatabaseRow, RestartRow, SettingRow } from '../../src/console/sources.ts';
import type { MemoryFigures } from '../../src/memory/types.ts';
import type { ProcessFigures, WorkerFigures } from '../../src/observability/types.ts';
import type { PoolControl, PoolStats, ResizeReason, ServerStats, WaitHistogram } from '../../src/pool/types.ts';
import { durationBoundsSeconds } from '../../src/session/types.ts';
import { statementBoundsMs, statementBucketOf, type StatementFigures } from '../../src/statements/types.ts';
import type { ClientStats, DatabaseStats } from '../../src/session/types.ts';
import type { NodeState, TopologySnapshot } from '../../src/topology/types.ts';

export const connectedAtMs = Date.UTC(2026, 0, 2, 3, 4, 5);

export function fakePoolStats(changes: Partial<PoolStats> = {}): PoolStats {
  return {
    database: 'shop',
    user: 'app',
    node: 'db1',
    poolMode: 'transaction',
    limit: 20,
    min: 0,
    max: 100,
    active: 3,
    idle: 2,
    login: 1,
    resetting: 1,
    pinned: 1,
    waiting: 4,
    load: 3,
    peakLoad: 5,
    loadObservedMs: 90_000,
    maxWaitMs: 1234.567,
    isPaused: false,
    atOnce: undefined,
    isOverloaded: false,
    checkouts: 1000,
    waitedTotalMs: 500,
    waits: 100,
    waitTimeouts: 2,
    earlyRefusals: 3,
    heldTotalMs: 5000,
    connects: 9,
    connectFailures: 1,
    connectProblem: undefined,
    lastResize: undefined,
    resizes: {},
    ...changes,
  };
}

export function fakeRestart(changes: Partial<RestartRow> = {}): RestartRow {
  const times = { startedAtMs: connectedAtMs, finishedAtMs: connectedAtMs + 9_000 };
  return {
    number: 3,
    state: 'done',
    workers: 4,
    replaced: 4,
    isSupervisorReplaced: true,
    endedClients: 2,
    ...times,
    problem: undefined,
    kept: [],
    ...changes,
  };
}

export interface FakePool extends PoolControl {
  set(changes: Partial<PoolStats>): void;
  readonly calls: string[];
  /** What the next takes give. */
  maxWaitMs: number;
  peakInUse: number;
  serverFull: number;
}

export function fakePool(changes: Partial<PoolStats> = {}): FakePool {
  let stats = fakePoolStats(changes);
  const calls: string[] = [];
  const histogram: WaitHistogram = { boundsSeconds: [0.01, 0.1], counts: [5, 7], sumSeconds: 1.5, count: 9 };
  const pool: FakePool = {
    calls,
    maxWaitMs: 0,
    peakInUse: 0,
    serverFull: 0,
    set: (more) => (stats = { ...stats, ...more }),
    stats: () => stats,
    waitHistogram: () => histogram,
    takeMaxWaitMs: () => take('maxWaitMs'),
    takePeakInUse: () => take('peakInUse'),
    takeServerFull: () => take('serverFull'),
    setLimit(limit: number, reason: ResizeReason, why: string) {
      calls.push(`limit ${limit} ${reason}`);
      const lastResize = { atMs: 0, from: stats.limit, to: limit, reason, why };
      const key = `${limit > stats.limit ? 'up' : 'down'}:${reason}`;
      stats = { ...stats, limit, lastResize, resizes: { ...stats.resizes, [key]: (stats.resizes[key] ?? 0) + 1 } };
    },
    keepWarm: (count: number) => {
      if (count > 0) calls.push(`warm ${count}`);
    },
    setBounds(bounds, why) {
      stats = { ...stats, min: bounds.min ?? stats.min, max: bounds.max ?? stats.max };
      const limit = Math.min(Math.max(stats.limit, stats.min), stats.max);
      if (limit !== stats.limit) pool.setLimit(limit, 'operator', why);
    },
    pause: () => calls.push('pause'),
    resume: () => calls.push('resume'),
    reconnect: () => calls.push('reconnect'),
  };
  const take = (key: 'maxWaitMs' | 'peakInUse' | 'serverFull'): number => {
    const value = pool[key];
    pool[key] = 0;
    return value;
  };
  return pool;
}

export function fakeClient(changes: Partial<ClientStats> = {}): ClientStats {
  return {
    id: 7,
    database: 'shop',
    user: 'app',
    state: 'active',
    host: '10.0.0.9',
    port: 50123,
    hasTls: true,
    applicationName: 'web',
    connectedAtMs,
    requestAtMs: connectedAtMs + 1000,
    waitMs: 0,
    serverId: 3,
    node: 'db1',
    pins: ['LISTEN', 'temporary table'],
    preparedStatements: 5,
    lastRoute: 'primary db1: writes public.users',
    ...changes,
  };
}

export function fakeServer(changes: Partial<ServerStats> = {}): ServerStats {
  return {
    id: 3,
    database: 'shop',
    user: 'app',
    node: 'db1',
    state: 'active',
    host: '10.0.0.1',
    port: 5432,
    processId: 4711,
    hasTls: false,
    connectedAtMs,
    requestAtMs: connectedAtMs,
    clientId: 7,
    preparedStatements: 8,
    isCloseNeeded: true,
    serverVersion: '18.4',
    ...changes,
  };
}

export function fakeNode(changes: Partial<NodeState> = {}): NodeState {
  const name = changes.name ?? 'db1';
  return {
    config: { name, host: name, port: 5432, database: 'shop', user: undefined, password: 'geheim', weight: 1 },
    name,
    role: 'primary',
    isUp: true,
    isDraining: false,
    ejectedUntilMs: 0,
    lsn: 0x1_0000_00ff,
    lagMs: 0,
    lagBytes: 0,
    slowStart: 1,
    problem: undefined,
    connectionLimit: 97,
    serverVersion: '18.4',
    load: { outstanding: 2, ewma: 1.25, ewmaAtMs: 0, fallbackReads: 0, fallbackRoom: Infinity, answered: 0, trials: 0 },
    ...changes,
  };
}

export function fakeDatabaseStats(changes: Partial<DatabaseStats> = {}): DatabaseStats {
  const byLabel = new Float64Array(24);
  byLabel.set([10, 1, 0, 0, 5, 0], 0); // primary: hit ok, hit error, ...
  byLabel.set([0, 0, 40, 2, 0, 0], 6); // replica
  byLabel.set([30, 0, 0, 0, 0, 0], 12); // cache
  const durations = Array.from({ length: 5 }, () => new Float64Array(durationBoundsSeconds.length + 1));
  durations[0]?.set([4, 3, 2, 1]);
  const last = durations[1];
  if (last !== undefined) last[durationBoundsSeconds.length] = 1;
  return {
    database: 'shop',
    xacts: 60,
    queries: 88,
    receivedBytes: 1000,
    sentBytes: 2000,
    xactMs: 120,
    queryMs: 88,
    serverMs: 80,
    waitMs: 12.5,
    misroutes: 1,
    unserved: 2,
    ignoredHints: 0,
    recoveryConflicts: 0,
    logins: 12,
    replications: 0,
    clientParses: 7,
    serverParses: 3,
    binds: 9,
    byLabel,
    durations,
    durationSums: Float64Array.from([0.001, 12, 0, 0, 0]),
    tagged: [],
    ...changes,
  };
}

export function fakeProcess(changes: Partial<ProcessFigures> = {}): ProcessFigures {
  return {
    authFailures: { password: 2 },
    ejections: { connect: 1 },
    resizes: {},
    unexpectedErrors: 0,
    eventLoop: { quantiles: new Map([[0.99, 0.004]]), sum: 1.5, count: 300 },
    busy: { average: 0.2, peak: 0.25, observedMs: 90_000 },
    cpuSeconds: 12.5,
    startedAtSeconds: connectedAtMs / 1000,
    residentBytes: 90_000_000,
    heapUsedBytes: 30_000_000,
    externalBytes: 4_000_000,
    openFiles: 25,
    ...changes,
  };
}

export function fakeMemory(changes: Partial<MemoryFigures> = {}): MemoryFigures {
  return {
    state: 'normal',
    share: 0.25,
    usedBytes: 64_000_000,
    limitBytes: 256_000_000,
    limitFrom: 'memory_limit',
    residentBytes: 90_000_000,
    heapUsedBytes: 30_000_000,
    heapLimitBytes: 2_000_000_000,
    cacheShare: 1,
    waitingClients: 0,
    shedClients: { unread: 3, statement: 2, prepared: 1 },
    refusedClients: 4,
    ...changes,
  };
}

export function fakeForecast(changes: Partial<ForecastFigures> = {}): ForecastFigures {
  return {
    ...{ database: 'shop', user: 'app', node: 'db1', now: 4, predicted: 34, atMs: connectedAtMs, confidence: 0.8649 },
    ...{ warmed: 34, why: 'at 09:00 UTC this pool usually needs 34 (confidence 0.86)', day: [4, 34, 4] },
    ...changes,
  };
}

export function fakeStatement(changes: Partial<StatementFigures> = {}): StatementFigures {
  const durations = new Float64Array(statementBoundsMs.length + 1);
  durations[statementBucketOf(1)] = 90;
  durations[statementBucketOf(30)] = 10;
  return {
    ...{ database: 'shop', user: 'app', queryId: '00c0ffee00c0ffee', query: 'SELECT * FROM a WHERE id = ?' },
    ...{ calls: 100, errors: 2, rows: 99, totalMs: 390, maxMs: 31, waitMs: 40, serverMs: 350 },
    ...{ cacheHits: 30, cacheMisses: 10, durations, nodes: { db1: 20, db2: 50, cache: 30 }, sinceMs: connectedAtMs },
    ...changes,
  };
}

export function fakeWorker(changes: Partial<WorkerFigures> = {}): WorkerFigures {
  return {
    number: 1,
    pid: 4242,
    state: 'ready',
    startedAtMs: connectedAtMs,
    restarts: 0,
    deaths: 0,
    version: '0.1.0',
    clients: 2,
    servers: 1,
    process: fakeProcess(),
    memory: fakeMemory(),
    ...changes,
  };
}

const database: DatabaseRow = {
  name: 'shop',
  host: 'db1',
  port: 5432,
  serverDatabase: 'shop',
  forceUser: undefined,
  defaultPoolSize: 20,
  minPoolSize: 0,
  maxPoolSize: 100,
  serverLifetimeMs: 3_600_000,
  poolMode: 'transaction',
  loadBalanceHosts: 'least-load',
  isResizing: true,
  maxDbConnections: 0,
  maxDbClientConnections: 0,
  reservePoolSize: 0,
  isPaused: false,
  isDisabled: false,
  problem: undefined,
  replicas: 1,
};

const settings: SettingRow[] = [
  { key: 'max_client_conn', value: '10000', default: '10000', isChangeable: true },
  { key: 'listen', value: '127.0.0.1:6432', default: '127.0.0.1:6432', isChangeable: false },
  { key: 'cache.ttl', value: '60s', default: '60s', isChangeable: true },
];

export const fakeDecoding = (): DecodingFigures => ({
  database: 'shop',
  state: 'reading',
  problem: undefined,
  lagMs: 120,
  tables: 7,
});

export interface FakeSources extends ConsoleSources {
  /** What was asked for, in order: "resizePool {...}". */
  readonly asked: string[];
}

/** Replace any part; actions are written to `asked` and succeed. */
export function fakeSources(changes: Partial<ConsoleSources> = {}): FakeSources {
  const asked: string[] = [];
  const note = async (what: string, ...args: unknown[]): Promise<void> => {
    asked.push([what, ...args.map((arg) => JSON.stringify(arg) ?? 'everything')].join(' '));
    await Promise.resolve();
  };
  const replica = fakeNode({ name: 'db2', role: 'replica', lagMs: Infinity, isUp: false, lsn: 0, problem: 'refused' });
  const snapshot: TopologySnapshot = {
    database: 'shop',
    primary: fakeNode(),
    replicas: [replica],
    nodes: [fakeNode(), replica],
    epoch: 1,
  };
  const pool = fakePool();
  return {
    asked,
    version: '0.1.0',
    maxClientConn: 10_000,
    isDraining: false,
    isSuspended: false,
    pools: () => [pool],
    clients: () => [fakeClient(), fakeClient({ id: 8, state: 'idle', serverId: 0, node: '', pins: [], lastRoute: '' })],
    servers: () => [fakeServer()],
    replicationServers: () => [],
    databases: () => [database],
    topologies: () => [{ database: 'shop', snapshot: () => snapshot }],
    databaseStats: () => [fakeDatabaseStats()],
    settings: () => settings,
    users: () => ['app', 'weir'],
    workers: () => [fakeWorker()],
    preparedStatements: () => [{ database: 'shop', user: 'app', query: 'SELECT $1', clients: 2, servers: 1 }],
    console: () => ({ clients: [], logins: 0, queries: 0 }),
    memory: () => fakeMemory(),
    connectionBudget: () => [fakeConnectionBudget()],
    limits: () => [fakeLimit()],
    budgets: () => [fakeBudget()],
    decodings: () => [fakeDecoding()],
    forecast: () => [fakeForecast()],
    statements: () => [fakeStatement()],
    stuck: () => ({
      ...{ client_waiting: 0, client_asleep: 0, client_paused: 0, answer_lost: 1 },
      ...{ server_paused: 0, server_unheld: 0, server_owes_nobody: 0 },
    }),
    cacheStats: () => ({
      isEnabled: true,
      entries: 3,
      bytes: 4096,
      maxBytes: 1 << 27,
      hits: 30,
      hitsSecondLevel: 4,
      misses: 10,
      stores: 9,
      evictions: 1,
      invalidations: { local: 5, peer: 2 },
      hasLease: true,
      writesHeld: 0,
      writesUnannounced: 0,
      redisLosses: 0,
      undecided: 0,
      malformed: 0,
      redis: 'up',
      redisProblem: undefined,
      workersProblem: undefined,
      workers: 'off' as const,
    }),
    pause: (name) => note('pause', name),
    suspend: () => note('suspend'),
    endSuspend: () => note('end suspend'),
    resume: (name) => note('resume', name),
    disable: (name) => note('disable', name),
    enable: (name) => note('enable', name),
    reconnect: (name) => note('reconnect', name),
    waitClose: (name) => note('waitClose', name),
    killDatabase: (name) => note('killDatabase', name),
    shutdown: (mode) => note('shutdown', mode),
    async restart() {
      await note('restart');
      return { restart: fakeRestart({ state: 'running', replaced: 1, finishedAtMs: undefined }), isJoined: true };
    },
    restarts: () => Promise.resolve([fakeRestart(), fakeRestart({ number: 2, state: 'failed', problem: 'crashed' })]),
    setSetting: (key, value) => note('setSetting', key, value),
    async tryNode(added) {
      await note('tryNode', added);
      return { ...added, name: added.name ?? 'db4' };
    },
    async changeNodes(change) {
      await note('changeNodes', change);
      return [];
    },
    async invalidate(request) {
      await note('invalidate', request);
      return { tags: 2, entries: 3 };
    },
    resetStatements: () => note('resetStatements'),
    async reload() {
      await note('reload');
      return ['listen cannot be changed while Weir runs'];
    },
    async killClient(id) {
      await note('killClient', id);
      return id === 7;
    },
    async setDraining(node, isDraining) {
      await note('setDraining', node, isDraining);
      return node === 'db2';
    },
    async resizePool(request) {
      await note('resizePool', request);
      return [{ database: 'shop', user: 'app', node: 'db1', before: 20, after: 40, min: 0, max: 40 }];
    },
    async explainRoute(request) {
      await note('explainRoute', request);
      return [{ item: 'route', value: 'replica db2' }];
    },
    ...changes,
  };
}

export function fakeConnectionBudget(more: Partial<ConnectionBudgetFigures> = {}): ConnectionBudgetFigures {
  return {
    ...{ server: 'db1:5432', budget: 80, from: 'budget.max_connections', share: 0.25, limit: 8, open: 5, weirs: 3 },
    ...{ state: 'granted', why: 'fair share', refusals: { 'fair share': 4 } },
    ...more,
  };
}

export function fakeLimit(changes: Partial<LimitFigures> = {}): LimitFigures {
  const sinceMs = Date.UTC(2026, 10, 21, 12, 4, 18);
  return {
    ...{ name: 'user=*', kind: 'statements', rate: '500/s', burst: 1000, buckets: 1, refused: 3, sinceMs },
    problem: undefined,
    whom: [{ whom: 'user=app', tokens: 12.5, refused: 3, sinceMs }],
    ...changes,
  };
}

export function fakeBudget(changes: Partial<BudgetFigures> = {}): BudgetFigures {
  return {
    ...{ database: 'shop', budget: 'reads_p95', objective: 'p95 <= 50ms', unit: 'seconds', limit: 0.05, value: 0.0382 },
    ...{ burn5m: 2.5, burn1h: 0.4, observedMs: 3_600_000, state: 'burning', why: '12.5% of 800 reads' },
    actions: ['raise_pool'],
    ...changes,
  };
}
