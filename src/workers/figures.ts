/**
 * Everything that a worker shows of itself, as plain data that another process can be sent. collectFigures() makes it;
 * figure-rules.ts says how those of several workers become one.
 */
import type { BudgetFigures } from '../budgets/types.ts';
import type { CacheStats } from '../cache/types.ts';
import type { ConsoleFigures, ConsoleSources, DatabaseRow, PreparedRow, SettingRow } from '../console/sources.ts';
import type { StatsPeriod } from '../console/stats-types.ts';
import type { MemoryFigures } from '../memory/types.ts';
import type { ForecastFigures } from '../forecast/types.ts';
import type { DecodingFigures } from '../decoding/types.ts';
import type { ConnectionBudgetFigures } from '../shares/types.ts';
import type { LimitFigures } from '../limits/types.ts';
import { notableClients } from '../observability/notable-clients.ts';
import type { Slot } from '../observability/page/slot-types.ts';
import type { FiguresDetail, ProcessFigures, ServingState } from '../observability/types.ts';
import type { PoolStats, ServerStats, WaitHistogram } from '../pool/types.ts';
import type { ClientStats, DatabaseStats, StuckKind } from '../session/types.ts';
import type { StatementFigures } from '../statements/types.ts';
import type { NodeState } from '../topology/types.ts';

export interface PoolFigures {
  readonly stats: PoolStats;
  readonly waits: WaitHistogram;
}

/** Clients that differ in nothing that is counted, or a single one. */
export interface ClientTally {
  readonly client: ClientStats;
  readonly count: number;
}

export interface TopologyFigures {
  readonly database: string;
  readonly isSettled: boolean;
  readonly epoch: number;
  /** Names of nodes. */
  readonly primary: string | undefined;
  readonly replicas: readonly string[];
  readonly nodes: readonly NodeState[];
}

export interface Figures {
  /** Monotonic ms of the worker: times in `topologies` are relative to it. */
  readonly atMs: number;
  readonly version: string;
  readonly maxClientConn: number;
  readonly pools: readonly PoolFigures[];
  readonly clients: readonly ClientTally[];
  readonly servers: readonly ServerStats[];
  readonly replicationServers: readonly ServerStats[];
  readonly databases: readonly DatabaseRow[];
  readonly databaseStats: readonly DatabaseStats[];
  readonly topologies: readonly TopologyFigures[];
  readonly cacheStats: CacheStats;
  readonly stuck: Readonly<Record<StuckKind, number>>;
  readonly limits: readonly LimitFigures[];
  readonly connectionBudget: readonly ConnectionBudgetFigures[];
  readonly budgets: readonly BudgetFigures[];
  readonly decodings: readonly DecodingFigures[];
  readonly forecast: readonly ForecastFigures[];
  /** Undefined: they are off, were not asked for, or a worker of an older version does not know them. */
  readonly statements?: readonly StatementFigures[] | undefined;
  readonly settings: readonly SettingRow[];
  readonly users: readonly string[];
  readonly prepared: readonly PreparedRow[];
  /** A worker of an older version does not say. */
  readonly console?: ConsoleFigures | undefined;
  readonly periods: readonly StatsPeriod[];
  readonly process: ProcessFigures;
  readonly memory: MemoryFigures;
  readonly serving: ServingState;
  /** Noted for the page in the last half minute; the supervisor adds them up (history-of-all.ts). */
  readonly slots?: readonly Slot[] | undefined;
}

/** Where a worker reads its own figures. */
export interface OwnFigures {
  readonly sources: ConsoleSources;
  process(): ProcessFigures;
  /** The last period of the averages of SHOW STATS. */
  period(): StatsPeriod;
  serving(): ServingState;
  /** What was noted for the page in the last half minute. */
  slots(): readonly Slot[];
  nowMs(): number;
}

/** counts: only what is counted since the start, for a supervisor that looks now and then. */
export type AskedFigures = FiguresDetail | 'counts';

const isForPage = (detail: AskedFigures): boolean => detail === 'page' || detail === 'page-full';

export function collectFigures(own: OwnFigures, detail: AskedFigures): Figures {
  const { sources } = own;
  return {
    atMs: own.nowMs(),
    version: sources.version,
    maxClientConn: sources.maxClientConn,
    pools: Array.from(sources.pools(), (pool) => ({ stats: pool.stats(), waits: pool.waitHistogram() })),
    clients: clientsOf(sources, detail),
    servers: detail === 'counts' ? [] : [...sources.servers()],
    replicationServers: detail === 'counts' ? [] : [...sources.replicationServers()],
    databases: [...sources.databases()],
    databaseStats: Array.from(sources.databaseStats(), (stats) => ({ ...stats })),
    topologies: Array.from(sources.topologies(), topologyFigures),
    cacheStats: { ...sources.cacheStats() },
    stuck: { ...sources.stuck() },
    limits: limitsOf(sources, detail),
    connectionBudget: [...sources.connectionBudget()],
    budgets: detail === 'counts' ? [] : [...sources.budgets()],
    decodings: detail === 'counts' ? [] : [...sources.decodings()],
    forecast: detail === 'counts' ? [] : [...sources.forecast()],
    statements: detail === 'statements' || detail === 'page-full' ? statementsOf(sources) : undefined,
    settings: isForPage(detail) || detail === 'counts' ? [] : [...sources.settings()],
    users: [...sources.users()],
    prepared: detail === 'rows' ? [...sources.preparedStatements()] : [],
    console: detail === 'counts' ? { ...sources.console(), clients: [] } : sources.console(),
    periods: [own.period()],
    process: own.process(),
    memory: sources.memory(),
    serving: own.serving(),
    slots: isForPage(detail) || detail === 'counts' ? own.slots() : undefined,
  };
}

/** Buckets come and go: what was counted in each is not kept when the worker has ended. */
function limitsOf(sources: ConsoleSources, detail: AskedFigures): readonly LimitFigures[] {
  const limits = [...sources.limits()];
  return detail === 'counts' ? limits.map((limit) => ({ ...limit, whom: [] })) : limits;
}

function statementsOf(sources: ConsoleSources): readonly StatementFigures[] | undefined {
  const figures = sources.statements();
  return figures && [...figures];
}

function clientsOf(sources: ConsoleSources, detail: AskedFigures): readonly ClientTally[] {
  switch (detail) {
    case 'counts':
      return [];
    case 'totals':
    case 'statements':
      return tallies(sources.clients());
    case 'rows':
      return Array.from(sources.clients(), one);
    case 'page':
    case 'page-full':
      return notableAndTallies([...sources.clients()]);
  }
}

const one = (client: ClientStats): ClientTally => ({ client, count: 1 });

function notableAndTallies(clients: readonly ClientStats[]): ClientTally[] {
  const notable = new Set(notableClients(clients, Date.now()));
  return [...Array.from(notable, one), ...tallies(clients.filter((client) => !notable.has(client)))];
}

function tallies(clients: Iterable<ClientStats>): ClientTally[] {
  const counts = new Map<string, { client: ClientStats; count: number }>();
  for (const client of clients) {
    const { database, user, node, state, replication = '', pins } = client;
    const key = [database, user, node, state, replication, pins.length > 0].join('\0');
    const found = counts.get(key);
    if (found === undefined) counts.set(key, { client, count: 1 });
    else found.count++;
  }
  return [...counts.values()];
}

type TopologySource = ReturnType<ConsoleSources['topologies']> extends Iterable<infer T> ? T : never;

function topologyFigures(topology: TopologySource): TopologyFigures {
  const { primary, replicas, nodes, epoch } = topology.snapshot();
  return {
    database: topology.database,
    isSettled: topology.isSettled ?? true,
    epoch,
    primary: primary?.name,
    replicas: replicas.map(({ name }) => name),
    // Passwords stay where they are used.
    nodes: nodes.map((node) => ({
      ...node,
      config: { ...node.config, password: undefined },
      load: { ...node.load },
    })),
  };
}

/** The same moment on the clock of this process. */
export function onClock(figures: Figures, nowMs: number): Figures {
  const shiftMs = nowMs - figures.atMs;
  const shifted = (node: NodeState): NodeState => ({
    ...node,
    ejectedUntilMs: node.ejectedUntilMs === 0 ? 0 : node.ejectedUntilMs + shiftMs,
    ...(node.circuitSinceMs === undefined ? {} : { circuitSinceMs: node.circuitSinceMs + shiftMs }),
    ...(node.caughtUpAtMs === undefined ? {} : { caughtUpAtMs: node.caughtUpAtMs + shiftMs }),
  });
  const topologies = figures.topologies.map((topology) => ({ ...topology, nodes: topology.nodes.map(shifted) }));
  return { ...figures, atMs: nowMs, topologies };
}
