/**
 * Resizes all pools every half second: reads the figures of each pool, lets pressure.ts decide what it wants, divides
 * what each node can spare (share-out.ts) and sets the limits. The pool itself keeps a limit within min_pool_size,
 * max_pool_size and the bounds of RESIZE POOL. Made by the app.
 */
import type { PoolControl, PoolStats, ResizeReason } from '../pool/types.ts';
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import type { Clock } from '../util/clock.ts';
import { assess, newPoolMemory } from './pressure.ts';
import type { Demand, PoolMemory, PoolSample, ResizeSettings } from './pressure.ts';
import { shareOut } from './share-out.ts';

export interface ResizeSources {
  pools(): Iterable<PoolControl>;
  topologies(): Iterable<{ readonly database: string; snapshot(): TopologySnapshot }>;
  /** The current settings; a reload may change them. */
  settings(): ResizeSettings;
  poolSettings(database: string): { readonly defaultPoolSize: number; readonly maxDbConnections: number };
}

export interface ResizeLoopOptions {
  readonly sources: ResizeSources;
  readonly clock: Clock;
  /** The loop goes on after an error, which should not happen. */
  onError(error: unknown): void;
}

export interface ResizeLoop {
  /** Resizes all pools once. The timer calls it, and tests. */
  tick(): void;
  start(): void;
  stop(): void;
}

const tickMs = 500;

/**
 * How many connections the pools of this process may open on a node: the server's limit less a tenth (at least two) for
 * probes, other programs and other proxies; at most max_db_connections.
 * @param maxDbConnections 0: no bound
 * @returns undefined if the limit of the server is not known yet
 */
export function nodeCapacity(
  node: Pick<NodeState, 'connectionLimit'> | undefined,
  maxDbConnections: number,
): number | undefined {
  const limit = node?.connectionLimit ?? 0;
  const spare = limit === 0 ? undefined : Math.max(1, limit - Math.max(2, Math.ceil(limit / 10)));
  if (maxDbConnections === 0) return spare;
  return spare === undefined ? maxDbConnections : Math.min(spare, maxDbConnections);
}

/** A pool, during one tick. */
interface Entry {
  readonly pool: PoolControl;
  readonly stats: PoolStats;
  readonly demand: Demand;
  /** nodeKey: host:port, the same for all databases of a server. databaseKey: with the database. */
  readonly nodeKey: string;
  readonly databaseKey: string;
  readonly node: NodeState | undefined;
  readonly maxDbConnections: number;
  want: number;
  /** What its node can spare, as text: part of the reason for a growth. */
  room: string;
}

export function createResizeLoop(options: ResizeLoopOptions): ResizeLoop {
  const { sources, clock } = options;
  const memories = new WeakMap<PoolControl, PoolMemory>();
  let timer: NodeJS.Timeout | undefined;

  const sampleAndAssess = (pool: PoolControl, settings: ResizeSettings, nodes: NodesByPool, nowMs: number): Entry => {
    const stats = pool.stats();
    const { defaultPoolSize, maxDbConnections } = sources.poolSettings(stats.database);
    const sample = takeSample(pool, stats, defaultPoolSize);
    const memory = memories.get(pool) ?? newPoolMemory(sample, settings, nowMs);
    memories.set(pool, memory);
    const demand = assess(sample, memory, settings, nowMs);
    const node = nodes.get(`${stats.database}\0${stats.node}`);
    const nodeKey = node === undefined ? `${stats.database}\0${stats.node}` : `${node.config.host}:${node.config.port}`;
    const databaseKey = `${stats.database}\0${nodeKey}`;
    return { pool, stats, demand, nodeKey, databaseKey, node, maxDbConnections, want: demand.want, room: '' };
  };

  const decide = (): void => {
    const settings = sources.settings();
    if (!settings.enabled) return;
    const nodes = nodesByPool(sources);
    const nowMs = clock.nowMs();
    const entries = Array.from(sources.pools(), (pool) => sampleAndAssess(pool, settings, nodes, nowMs));
    for (const group of groupBy(entries, (entry) => entry.databaseKey)) {
      const cap = group[0]?.maxDbConnections ?? 0;
      if (cap > 0) divide(group, cap, 'max_db_connections leaves');
    }
    for (const group of groupBy(entries, (entry) => entry.nodeKey)) divideNode(group);
    for (const entry of entries) apply(entry);
  };

  const tick = (): void => {
    try {
      decide();
    } catch (error) {
      options.onError(error);
    }
  };

  return {
    tick,
    start: () => void (timer ??= setInterval(tick, tickMs).unref()),
    stop() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}

function takeSample(pool: PoolControl, stats: PoolStats, defaultSize: number): PoolSample {
  const taken = {
    maxWaitMs: pool.takeMaxWaitMs(),
    peakInUse: pool.takePeakInUse(),
    serverFull: pool.takeServerFull(),
  };
  return { stats, ...taken, defaultSize };
}

type NodesByPool = ReadonlyMap<string, NodeState>;

function nodesByPool(sources: ResizeSources): NodesByPool {
  const nodes = new Map<string, NodeState>();
  for (const topology of sources.topologies()) {
    for (const node of topology.snapshot().nodes) nodes.set(`${topology.database}\0${node.name}`, node);
  }
  return nodes;
}

function groupBy(entries: readonly Entry[], key: (entry: Entry) => string): Iterable<Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const group = groups.get(key(entry));
    if (group === undefined) groups.set(key(entry), [entry]);
    else group.push(entry);
  }
  return groups.values();
}

/** If every database on the node has a max_db_connections, the largest of them also bounds the node as a whole. */
function divideNode(group: Entry[]): void {
  const node = group.find((entry) => entry.node !== undefined && entry.node.connectionLimit > 0)?.node;
  const bounds = group.map((entry) => entry.maxDbConnections);
  const capacity = nodeCapacity(node, bounds.includes(0) ? 0 : Math.max(...bounds));
  if (capacity !== undefined) {
    divide(group, capacity, `node ${group[0]?.stats.node ?? ''} can spare`);
    return;
  }
  // The limit of the server is not known yet: no pool may grow, and none has to shrink.
  for (const entry of group) entry.want = Math.min(entry.want, entry.stats.limit);
}

function divide(group: readonly Entry[], cap: number, room: string): void {
  const claims = group.map(({ demand, stats, want }) => ({
    floor: demand.floor,
    need: Math.min(demand.need, want),
    want,
    limit: stats.limit,
    busy: demand.busy,
  }));
  const spare = Math.max(0, cap - claims.reduce((sum, claim) => sum + Math.max(claim.limit, claim.busy), 0));
  shareOut(claims, cap).forEach((target, index) => {
    const entry = group[index] as Entry;
    entry.want = target;
    entry.room = `${room} ${spare}`;
  });
}

function apply({ pool, stats, demand, want, room }: Entry): void {
  if (want === stats.limit) return;
  if (want > stats.limit) {
    const reason: ResizeReason = demand.reason ?? 'budget';
    pool.setLimit(want, reason, [demand.why || 'its minimum is more', room].filter(Boolean).join('; '));
  } else if (want === demand.want && demand.reason !== undefined) {
    pool.setLimit(want, demand.reason, demand.why);
  } else {
    pool.setLimit(want, 'budget', `all pools together want more than there is: ${room}`);
  }
}
