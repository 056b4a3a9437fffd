/**
 * Everything of a Weir between the log-in of a client and the log-in to a server, as app.ts puts it together, with
 * connections in memory and a FakePostgres behind each: sessions, pools, routing over a primary and a replica.
 */
import type { Socket } from 'node:net';
import { SharedBySessions } from '../../src/session/shared-by-sessions.ts';
import { ServerConnection } from '../../src/backend/server.ts';
import { createCache } from '../../src/cache/cache.ts';
import type { PoolMode, PoolSettings } from '../../src/config/config.ts';
import { TurnWriter } from '../../src/net/turn.ts';
import { NodeBudget } from '../../src/pool/budget.ts';
import { Pool } from '../../src/pool/pool.ts';
import { createBinder } from '../../src/binding/binder.ts';
import { createLatencyBaselines } from '../../src/routing/latency.ts';
import { ClientSession } from '../../src/request/client.ts';
import type { Database, Parked, Services } from '../../src/session/context.ts';
import { newDatabaseStats } from '../../src/session/database-stats.ts';
import { Preferences } from '../../src/session/preferences.ts';
import { Settings } from '../../src/session/settings.ts';
import { SessionState } from '../../src/session/state.ts';
import { Statements } from '../../src/statements/watch.ts';
import { StatementBook } from '../../src/session/statements.ts';
import { statusesOf } from '../../src/session/learned.ts';
import { greeting } from '../../src/session/welcome.ts';
import type { Classifier } from '../../src/sql/facts.ts';
import { UnreadTexts } from '../../src/sql/unread-texts.ts';
import { createTicker } from '../../src/topology/ticker.ts';
import type { NodeState, Topology } from '../../src/topology/types.ts';
import { catalog } from '../binding/example-catalog.ts';
import { defaults } from '../config/defaults.ts';
import { node as nodeState, snapshot } from '../routing/route-fixture.ts';
import { FakePostgres } from './fake-postgres.ts';
import type { Mind } from './fake-postgres.ts';
import { socketPair } from './memory-socket.ts';

export interface WorldOptions {
  readonly classifier: Classifier;
  readonly poolMode?: PoolMode;
  readonly poolSize?: number;
  readonly maxPreparedStatements?: number;
  readonly withReplica?: boolean;
  readonly withCache?: boolean;
  /** Instead of the clock of the machine. */
  readonly nowMs?: () => number;
  /** Asked about every message of every server. */
  readonly mind?: Mind;
}

export interface World {
  /** The client's end of a connection on which the log-in is over. */
  connect(): Socket;
  readonly sessions: ReadonlySet<ClientSession>;
  pools(): Iterable<Pool>;
  settings(): PoolSettings;
  readonly unexpected: Error[];
  readonly servers: FakePostgres[];
  readonly executed: ReadonlyMap<string, number>;
  /** What is not as it should be when no client is connected; empty: all is well. */
  problems(): string[];
  /** Pool deadlines and retries, as the app's clock would. */
  sweep(): void;
  /** Puts the clock of this world forward. */
  pass(ms: number): void;
  stop(): void;
}

const reported = new Map([
  ['server_version', '18.1'],
  ['client_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
  ['application_name', 'weir'],
]);
const user = 'app';

function describeServer({ isQuiet, isAlive, sharers, state, txStatus }: ServerConnection): string {
  return JSON.stringify({ isQuiet, isAlive, sharers, state, txStatus });
}

export function makeWorld(options: WorldOptions): World {
  const { classifier, poolMode = 'transaction', poolSize = 4, maxPreparedStatements = 3 } = options;
  const settings: PoolSettings = {
    ...defaults.pool,
    poolMode,
    defaultPoolSize: poolSize,
    minPoolSize: 0,
    maxPoolSize: poolSize,
    maxDbConnections: 0,
    queryWaitTimeoutMs: 60_000,
    serverLifetimeMs: 3_600_000,
    serverIdleTimeoutMs: 600_000,
    serverRoundRobin: false,
    serverConnectTimeoutMs: 5_000,
    serverLoginRetryMs: 10,
    clientIdleTimeoutMs: 0,
    idleTransactionTimeoutMs: 0,
    maxPreparedStatements,
  };
  const machineMs = options.nowMs ?? ((): number => performance.now());
  let passedMs = 0;
  const nowMs = (): number => machineMs() + passedMs;
  const unexpected: Error[] = [];
  const servers: FakePostgres[] = [];
  const executed = new Map<string, number>();
  const sessions = new Set<ClientSession>();
  const parked = new Set<Parked>();
  const byProcessId = new Map<number, FakePostgres>();
  const pools = new Map<string, { pool: Pool; budget: NodeBudget }>();
  let isStopped = false;
  let lastId = 0;

  const log = (): void => undefined;
  const cache = createCache({
    settings: {
      ...defaults.cache,
      enabled: options.withCache ?? false,
      mode: 'session',
      ttlMs: 60_000,
      maxMemoryBytes: 1 << 24,
      maxEntrySizeBytes: 1 << 20,
      leaseMs: 1_000,
      memberTimeoutMs: 60_000,
      redis: undefined,
      tables: [],
    },
    log,
    now: nowMs,
  });
  const routing = {
    ...defaults.routing,
    loadBalanceHosts: 'least-load',
    maxReplicaLagMs: 1_000,
    consistency: 'eventual',
    readOnlyFunctions: [],
    primaryReads: 'when-needed',
  } as const;
  const functionCall = classifier.classify(Buffer.from('CALL function_call()'));
  const services: Services = {
    turn: new TurnWriter(),
    classifier,
    binder: createBinder({ readOnlyFunctions: [], cacheTables: [] }),
    cache,
    book: new StatementBook(),
    limits: { active: undefined },
    statements: new Statements({
      settings: { enabled: true, max: 100, logMinDurationMs: -1, logSampleRate: 0 },
      ...{ log, epochMs: Date.now, random: Math.random },
    }),
    budgetActions: { why: () => undefined },
    baselines: createLatencyBaselines(),
    functionCall,
    unread: new UnreadTexts(classifier, functionCall),
    sqlPrepared: classifier.classify(Buffer.from('EXECUTE "\u0001"')),
    nowMs,
    random: Math.random,
    routing: () => routing,
    priorityOf: () => 'normal',
    maxEntrySizeBytes: () => 1 << 20,
    unexpected: (error) => unexpected.push(error),
    log,
  };

  const primary = nodeState('primary', { role: 'primary', lagMs: 0, lsn: 1_000 });
  const replica = nodeState('replica', { lsn: 1_000, caughtUpAtMs: Infinity });
  const nodes = snapshot(options.withReplica === false ? [] : [replica], primary);
  const ticker = createTicker(() => {
    setImmediate(() => ticker.finish(ticker.begin(), 1_000));
  });
  cache.attach(catalog.tagPrefix, ticker);
  const topology: Topology = {
    database: 'shop',
    ticker,
    schema: { next: 1, confirmed: 1, hurry: () => undefined },
    isSettled: true,
    snapshot: () => nodes,
    catalog: () => catalog,
    lastCatalog: () => undefined,
    catalogChanged: () => undefined,
    reportFailure: () => undefined,
    reportSuccess: () => undefined,
    suspectRole: () => undefined,
    setNodes: () => false,
    tryNode: async () => ({ problem: undefined, isAnswer: true }),
    setDraining: () => false,
    whenGone: () => Promise.resolve(),
    whenForeignGone: () => Promise.resolve(),
    onChange: () => () => undefined,
    ask: () => Promise.resolve([]),
    loginsChanged: () => undefined,
    use: () => Promise.resolve(),
    askNow: () => () => undefined,
    start: () => undefined,
    stop: () => Promise.resolve(),
  };

  function open(node: NodeState, onClosed: (server: ServerConnection) => void): Promise<ServerConnection> {
    const [ours, theirs] = socketPair();
    const processId = ++lastId;
    const fake = new FakePostgres(theirs, processId, executed, options.mind);
    fake.isReplica = node.role === 'replica';
    servers.push(fake);
    byProcessId.set(processId, fake);
    theirs.once('close', () => {
      byProcessId.delete(processId);
      servers.splice(servers.indexOf(fake), 1);
    });
    const secretKey = Buffer.alloc(4);
    const link = { socket: ours, leftover: Buffer.alloc(0), notices: [], processId, secretKey, hasTls: false };
    return Promise.resolve(
      new ServerConnection({
        id: processId,
        node: node.config,
        link: { ...link, parameters: new Map(reported) },
        turn: services.turn,
        maxPreparedStatements,
        nowMs: nowMs(),
        owner: { closed: onClosed, unexpected: services.unexpected },
      }),
    );
  }

  function poolOf(node: NodeState): Pool {
    let found = pools.get(node.name);
    if (found === undefined) {
      const budget = new NodeBudget();
      const pool = new Pool({
        database: 'shop',
        user,
        node: node.name,
        settings,
        budget,
        nowMs,
        random: Math.random,
        connect: (onClosed) => open(node, onClosed),
        onResize: () => undefined,
        onOverload: () => undefined,
      });
      pools.set(node.name, (found = { pool, budget }));
    }
    return found.pool;
  }

  const database: Database = {
    defaultsChanged: () => undefined,
    defaultsKnown: () => Promise.resolve(),
    defaultsKey: () => undefined,
    name: 'shop',
    topology,
    stats: newDatabaseStats('shop'),
    common: new SharedBySessions(),
    settings: () => settings,
    serverUser: () => user,
    pool: (node) => poolOf(node),
    roomLeft: () => undefined,
    cancel(server) {
      const arrived = new Promise<void>((resolve) => {
        setImmediate(() => {
          byProcessId.get(server.processId)?.cancel();
          resolve();
        });
      });
      server.cancelSent(arrived);
      return arrived;
    },
    park(who) {
      parked.add(who);
      return () => void parked.delete(who);
    },
    tagPrefix: () => catalog.tagPrefix,
  };

  function connect(): Socket {
    const [ours, theirs] = socketPair();
    const identity = { id: ++lastId, user, remoteAddress: '', remotePort: 0, hasTls: false, connectedAtMs: nowMs() };
    const secret = Buffer.alloc(4);
    const session = new ClientSession(
      ours,
      { ...identity, secret },
      database,
      services,
      new SessionState(Settings.none, reported),
      Preferences.none,
      (closed) => void sessions.delete(closed),
    );
    sessions.add(session);
    session.say(greeting(statusesOf(reported), identity.id, secret));
    session.wire.start(Buffer.alloc(0));
    return theirs;
  }

  function problems(): string[] {
    const found = unexpected.map((error) => `unexpected: ${error.stack ?? error.message}`);
    if (sessions.size > 0) found.push(`${sessions.size} sessions are left`);
    if (parked.size > 0) found.push(`${parked.size} still wait for a node`);
    for (const [name, { pool, budget }] of pools) {
      const { active, idle, login, resetting, waiting } = pool.stats();
      if (active + login + resetting + waiting > 0) found.push(`${name}: ${JSON.stringify(pool.stats())}`);
      if (budget.used !== idle) found.push(`${name}: ${budget.used} places taken for ${idle} servers`);
      for (const server of pool.servers()) {
        if (server.state !== 'idle') found.push(`${name}: server ${server.id} is ${server.state}`);
        if (!server.isQuiet || server.sharers !== 0 || !server.isAlive)
          found.push(`${name}: server ${server.id} is not free: ${describeServer(server)}`);
        const unrest = byProcessId.get(server.processId)?.unrest ?? 'it is gone';
        if (unrest !== '') found.push(`${name}: server ${server.id}: ${unrest}`);
      }
    }
    for (const { load, name } of nodes.nodes)
      if (load.outstanding !== 0) found.push(`${name}: ${load.outstanding} out`);
    if (servers.length !== [...pools.values()].reduce((sum, { pool }) => sum + pool.servers().size, 0))
      found.push(`${servers.length} servers run`);
    return found;
  }

  const sweeper = setInterval(() => sweep(), 20);
  function sweep(): void {
    if (!isStopped) for (const { pool } of pools.values()) pool.sweep();
  }
  return {
    connect,
    sessions,
    pools: () => [...pools.values()].map(({ pool }) => pool),
    settings: () => settings,
    unexpected,
    servers,
    executed,
    problems,
    sweep,
    pass: (ms) => void (passedMs += ms),
    stop() {
      isStopped = true;
      clearInterval(sweeper);
      for (const { pool } of pools.values()) pool.close();
      for (const server of [...servers]) server.end();
      void cache.stop();
    },
  };
}
