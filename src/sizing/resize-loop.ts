/**
 * Resizes all pools of this process every half second: reads the figures of each pool, lets controller.ts decide, and sets
 * the limits. Made by the app if the process is the whole Weir.
 */
import type { PoolSettings } from '../config/config.ts';
import type { PoolControl, PoolStats } from '../pool/types.ts';
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import type { Clock } from '../util/clock.ts';
import { ResizeController, type SampledPool } from './controller.ts';
import type { ForecastHost, ResizeSettings } from './types.ts';
import { serverKey } from '../util/server-key.ts';

/** Of a database. */
export type SizingSettings = Pick<
  PoolSettings,
  'defaultPoolSize' | 'maxDbConnections' | 'reservePoolSize' | 'reservePoolTimeoutMs'
>;

export interface PoolSources {
  pools(): Iterable<PoolControl>;
  topologies(): Iterable<{ readonly database: string; snapshot(): TopologySnapshot }>;
  poolSettings(database: string, user: string): SizingSettings;
  /** Servers are not asked how many connections they have: the settings alone bound the pools. Absent: they are. */
  isLimitUnasked?(): boolean;
}

export interface ResizeSources extends PoolSources {
  /** The current settings; a reload may change them. */
  settings(): ResizeSettings;
}

export interface ResizeLoopOptions {
  readonly sources: ResizeSources;
  readonly clock: Clock;
  /** Undefined: pools are never warmed. */
  readonly forecast?: ForecastHost;
  /** The loop goes on after an error, which should not happen. */
  onError(error: unknown): void;
}

export interface ResizeLoop {
  /** Resizes all pools once. The timer calls it, and tests. */
  tick(): void;
  start(): void;
  stop(): void;
}

export const resizeEveryMs = 500;

export function createResizeLoop(options: ResizeLoopOptions): ResizeLoop {
  const { sources, clock, forecast } = options;
  const controller = new ResizeController<PoolControl>();
  let timer: NodeJS.Timeout | undefined;

  const decide = (): void => {
    const settings = sources.settings();
    const nodeOf = findNodes(sources);
    const pools = Array.from(sources.pools(), (pool) => sampled(pool, sources, nodeOf));
    for (const { key, to, reason, why } of controller.decide(pools, settings, clock.nowMs(), forecast?.tick())) {
      key.setLimit(to, reason, why);
    }
    for (const { key } of pools) key.keepWarm(controller.warm.get(key) ?? 0);
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
    start: () => void (timer ??= setInterval(tick, resizeEveryMs).unref()),
    stop() {
      clearInterval(timer);
      timer = undefined;
      forecast?.rest();
    },
  };
}

function sampled(pool: PoolControl, sources: PoolSources, nodeOf: FindNode): SampledPool<PoolControl> {
  const stats = pool.stats();
  const { defaultPoolSize, maxDbConnections, reservePoolSize, reservePoolTimeoutMs } = sources.poolSettings(
    stats.database,
    stats.user,
  );
  const node = nodeOf(stats);
  return {
    key: pool,
    sample: {
      stats,
      maxWaitMs: pool.takeMaxWaitMs(),
      peakInUse: pool.takePeakInUse(),
      serverFull: pool.takeServerFull(),
      defaultSize: defaultPoolSize,
      reserveSize: reservePoolSize,
      reserveTimeoutMs: reservePoolTimeoutMs,
    },
    server: node === undefined ? undefined : serverKey(node.config),
    connectionLimit: (node?.connectionLimit ?? 0) || (sources.isLimitUnasked?.() === true ? Infinity : 0),
    maxDbConnections,
  };
}

/** Undefined: its database has no such node, or none yet. */
export type FindNode = (pool: Pick<PoolStats, 'database' | 'node'>) => NodeState | undefined;

export function findNodes(sources: Pick<PoolSources, 'topologies'>): FindNode {
  const nodes = new Map<string, NodeState>();
  for (const topology of sources.topologies()) {
    for (const node of topology.snapshot().nodes) nodes.set(`${topology.database}\0${node.name}`, node);
  }
  return ({ database, node }) => nodes.get(`${database}\0${node}`);
}
