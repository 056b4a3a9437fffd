/**
 * How the figures of several workers become one: a rule for each field of each row. A field that is added to a row and not
 * to these tables does not compile.
 */
import type { CacheStats, StoreState } from '../cache/types.ts';
import type { ConsoleFigures, DatabaseRow, PreparedRow } from '../console/sources.ts';
import type { Counts, ProcessFigures } from '../observability/types.ts';
import type { PoolStats, ResizeRecord, WaitHistogram } from '../pool/types.ts';
import type { DatabaseStats, StuckKind, TaggedStats } from '../session/types.ts';
import type { NodeLoad, NodeState } from '../topology/types.ts';
import type { Figures, PoolFigures, TopologyFigures } from './figures.ts';
import { byKey, count, countArray, countArrays, countList, counts, each, earliest, ifAnySays } from './merge-rules.ts';
import {
  joined,
  known,
  ifAll,
  ifAny,
  ifBoth,
  largest,
  row,
  same,
  sharedCounts,
  smallest,
  sum,
  sumIfKnown,
  union,
} from './merge-rules.ts';
import type { Rule, Rules } from './merge-rules.ts';
import { budgets, connectionBudget, decodings, forecast, limits, memory, statements } from './pressure-rules.ts';
const lastResize: Rule<ResizeRecord | undefined> = {
  join: (a, b) => ((b?.atMs ?? 0) > (a?.atMs ?? 0) ? b : a),
  after: (now) => now,
};

/** Limits are those of the whole Weir, in every worker. */
const pool: Rules<PoolStats> = {
  database: same(),
  user: same(),
  node: same(),
  poolMode: same(),
  limit: largest,
  min: largest,
  max: largest,
  active: sum,
  idle: sum,
  login: sum,
  resetting: sum,
  pinned: sum,
  waiting: sum,
  maxWaitMs: largest,
  load: sum,
  // At most: the workers need not have had their peaks at the same time.
  peakLoad: sum,
  loadObservedMs: smallest,
  isPaused: ifAny,
  // Each worker has its own; together they may have no limit if one has none.
  atOnce: sumIfKnown,
  isOverloaded: ifAny,
  checkouts: count,
  waitedTotalMs: count,
  waits: count,
  waitTimeouts: count,
  earlyRefusals: count,
  heldTotalMs: count,
  connects: count,
  connectFailures: count,
  connectProblem: known(),
  lastResize,
  resizes: sharedCounts(),
};

const waits: Rules<WaitHistogram> = { boundsSeconds: same(), counts: countList, sumSeconds: count, count };

export const poolKey = ({ stats: { database, user, node } }: PoolFigures): string => joined(database, user, node);

const pools = byKey<PoolFigures>(poolKey, row({ stats: row(pool), waits: row(waits) }));

const database: Rules<DatabaseRow> = {
  name: same(),
  host: same(),
  port: same(),
  serverDatabase: same(),
  forceUser: same(),
  defaultPoolSize: same(),
  minPoolSize: same(),
  maxPoolSize: same(),
  serverLifetimeMs: same(),
  poolMode: same(),
  loadBalanceHosts: same(),
  maxDbConnections: same(),
  maxDbClientConnections: same(),
  isResizing: same(),
  reservePoolSize: same(),
  isPaused: ifAny,
  isDisabled: ifAny,
  problem: known(),
  replicas: same(),
};

const tagged: Rules<TaggedStats> = {
  tag: same(),
  statements: count,
  unserved: count,
  reads: countArray,
  writes: countArray,
};

const databaseStats: Rules<DatabaseStats> = {
  database: same(),
  xacts: count,
  queries: count,
  receivedBytes: count,
  sentBytes: count,
  xactMs: count,
  queryMs: count,
  serverMs: ifBoth(count),
  waitMs: count,
  misroutes: count,
  unserved: ifBoth(count),
  ignoredHints: ifBoth(count),
  recoveryConflicts: count,
  logins: ifBoth(count),
  replications: count,
  clientParses: count,
  serverParses: count,
  binds: count,
  byLabel: countArray,
  durations: countArrays,
  durationSums: countArray,
  tagged: ifBoth(byKey(({ tag }) => tag, row(tagged))),
};

const load: Rules<NodeLoad> = {
  outstanding: sum,
  ewma: largest,
  ewmaAtMs: same(),
  fallbackReads: sum,
  fallbackRoom: sum,
  answered: sum,
  trials: sum,
  isFull: ifAny,
  isGone: ifAny,
};

/** Of the worker that knows more about the nodes, and what each worker adds. */
const node: Rules<NodeState> = {
  config: same(),
  name: same(),
  role: same(),
  isUp: same(),
  isDraining: ifAny,
  ejectedUntilMs: largest,
  // Replaced by those of the worker whose circuit is furthest from closed.
  circuit: same(),
  circuitSinceMs: same(),
  circuitWhy: same(),
  lsn: same(),
  lagMs: same(),
  lagBytes: same(),
  caughtUpAtMs: same(),
  isLagging: same(),
  isCatchingUp: same(),
  timeline: same(),
  isUnheard: same(),
  isLagUnproven: same(),
  slowStart: same(),
  problem: known(),
  connectionLimit: same(),
  systemId: same(),
  serverId: known(),
  serverVersion: known(),
  load: row(load),
};

const nodeRow = row(node);
const circuitRank = { closed: 0, 'half-open': 1, open: 2 } as const;
const rankOf = ({ circuit = 'closed' }: NodeState): number => circuitRank[circuit];

/** Each worker has a circuit of its own: state, time and reason are those of one of them. */
function joinNodes(a: NodeState, b: NodeState): NodeState {
  const { circuit, circuitSinceMs, circuitWhy } = rankOf(b) > rankOf(a) ? b : a;
  const joined = nodeRow.join(a, b);
  if (circuit === undefined || circuitSinceMs === undefined || circuitWhy === undefined) return joined;
  return { ...joined, circuit, circuitSinceMs, circuitWhy };
}

/** Of two, the one to be shown: settled, then of the later epoch. */
function leading(a: TopologyFigures, b: TopologyFigures): readonly [TopologyFigures, TopologyFigures] {
  const isBetter = a.isSettled === b.isSettled ? b.epoch > a.epoch : b.isSettled;
  return isBetter ? [b, a] : [a, b];
}

const topology: Rule<TopologyFigures> = {
  join(a, b) {
    const [shown, other] = leading(a, b);
    const others = new Map(other.nodes.map((each) => [each.name, each]));
    const nodes = shown.nodes.map((each) => {
      const seen = others.get(each.name);
      return seen === undefined ? each : joinNodes(each, seen);
    });
    return { ...shown, nodes };
  },
  after: (now) => now,
};

const prepared: Rules<PreparedRow> = { database: same(), user: same(), query: same(), clients: sum, servers: sum };

const worstStore: Rule<StoreState> = { join: (a, b) => (a === 'off' || b === 'down' ? b : a), after: (now) => now };

const cache: Rules<CacheStats> = {
  isEnabled: ifAny,
  entries: sum,
  bytes: sum,
  maxBytes: sum,
  hits: count,
  hitsSecondLevel: count,
  misses: count,
  stores: count,
  evictions: count,
  malformed: count,
  invalidations: counts(),
  hasLease: ifAll,
  // If a Weir or a worker is gone, all workers know of its write: their sum would count it several times.
  undecided: largest,
  redis: worstStore,
  workers: worstStore,
  workersProblem: known(),
  writesHeld: count,
  writesUnannounced: count,
  redisLosses: count,
  redisProblem: known(),
};

const largestEach: Rule<ReadonlyMap<number, number>> = {
  join: (a, b) => new Map(Array.from(a, ([quantile, value]) => [quantile, Math.max(value, b.get(quantile) ?? 0)])),
  after: (now) => now,
};

const countsIfKnown: Rule<Counts | undefined> = {
  join: (a, b) => (a === undefined || b === undefined ? (a ?? b) : counts().join(a, b)),
  after: (a, b) => (a === undefined || b === undefined ? (a ?? b) : counts().after(a, b)),
};

const processFigures: Rules<ProcessFigures> = {
  authFailures: counts(),
  ejections: counts(),
  peerCancels: countsIfKnown,
  droppedSpans: countsIfKnown,
  resizes: sharedCounts(),
  unexpectedErrors: count,
  eventLoop: row({ quantiles: largestEach, sum: count, count }),
  // Of all workers, each alone is asked for.
  busy: row({ average: largest, peak: largest, observedMs: smallest }),
  cpuSeconds: count,
  startedAtSeconds: earliest,
  residentBytes: sum,
  heapUsedBytes: sum,
  externalBytes: sum,
  openFiles: sumIfKnown,
};

const ofConsole = row<ConsoleFigures>({ clients: each(), logins: count, queries: count });
const consoleFigures: Rule<ConsoleFigures | undefined> = {
  join: (a, b) => (a === undefined || b === undefined ? (a ?? b) : ofConsole.join(a, b)),
  after: (a, b) => (a === undefined || b === undefined ? a : ofConsole.after(a, b)),
};

export const figureTable: Rules<Figures> = {
  atMs: same(),
  version: same(),
  maxClientConn: largest,
  pools,
  clients: each(),
  servers: each(),
  replicationServers: each(),
  databases: byKey(({ name }) => name, row(database)),
  databaseStats: byKey((stats) => stats.database, row(databaseStats)),
  topologies: byKey((each) => each.database, topology),
  cacheStats: row(cache),
  stuck: counts<StuckKind>(),
  limits,
  connectionBudget,
  budgets,
  decodings,
  forecast,
  statements,
  settings: same(),
  users: union,
  prepared: byKey((each) => joined(each.database, each.user, each.query), row(prepared)),
  console: consoleFigures,
  periods: each(),
  process: row(processFigures),
  memory,
  // While one worker is replaced, the others take new clients.
  serving: row({ isListening: ifAny, isDraining: ifAll, isSuspended: ifAnySays }),
  // The supervisor adds them up.
  slots: same(),
};

export const figureRules: Rule<Figures> = row(figureTable);
