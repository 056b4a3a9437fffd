/**
 * Metrics of clients and pools. Dashboards and alerts of users depend on the names and labels: a change needs a line in
 * the CHANGELOG. No label has SQL text or a client's address; label-limiter.ts bounds users and databases.
 */
import type { Registry } from 'prom-client';
import type { PoolStats } from '../pool/types.ts';
import type { ClientState } from '../session/types.ts';
import { createLabelLimiter } from './label-limiter.ts';
import { pulled, pulledHistogram, summed } from './pulled-metric.ts';
import type { Labels } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

const clientStates: readonly ClientState[] = ['idle', 'active', 'waiting', 'idle_in_transaction', 'login'];
const serverStates = ['active', 'idle', 'login', 'resetting'] as const;

export function registerClients(registry: Registry, sources: StatsSources): void {
  const limiter = createLabelLimiter();
  pulled(registry, 'gauge', 'weir_client_connections', 'Clients by what they are doing', () => {
    const counts = new Map<string, { labels: { database: string; user: string }; states: Map<ClientState, number> }>();
    for (const client of sources.clients()) {
      const labels = limiter.pair(client.database, client.user);
      const key = `${labels.database}\0${labels.user}`;
      const entry = counts.get(key) ?? { labels, states: new Map(clientStates.map((state) => [state, 0])) };
      counts.set(key, entry);
      entry.states.set(client.state, (entry.states.get(client.state) ?? 0) + 1);
    }
    return [...counts.values()].flatMap(({ labels, states }) =>
      [...states].map(([state, value]) => ({ labels: { ...labels, state }, value })),
    );
  });
}

/** A figure of each pool. */
interface PoolMetric {
  readonly type: 'gauge' | 'counter';
  readonly name: string;
  readonly help: string;
  readonly value: (stats: PoolStats) => number;
}

const poolMetrics: readonly PoolMetric[] = [
  {
    type: 'gauge',
    name: 'weir_pool_size_limit',
    help: 'Connections a pool may have now',
    value: (stats) => stats.limit,
  },
  {
    type: 'gauge',
    name: 'weir_pool_waiting',
    help: 'Clients waiting for a server connection',
    value: (stats) => stats.waiting,
  },
  {
    type: 'gauge',
    name: 'weir_pool_max_wait_seconds',
    help: 'How long the first in line has waited',
    value: (stats) => stats.maxWaitMs / 1000,
  },
  {
    type: 'gauge',
    name: 'weir_pool_pinned',
    help: 'Server connections that a pin keeps with their client',
    value: (stats) => stats.pinned,
  },
  {
    type: 'counter',
    name: 'weir_pool_checkouts_total',
    help: 'Times a server connection was given to a client',
    value: (stats) => stats.checkouts,
  },
  {
    type: 'counter',
    name: 'weir_pool_wait_timeouts_total',
    help: 'Clients that waited longer than query_wait_timeout',
    value: (stats) => stats.waitTimeouts,
  },
  {
    type: 'gauge',
    name: 'weir_pool_statement_limit',
    help: 'Statements that may run at once: fewer than connections, if resize.mode is on and more would do no more',
    value: (stats) => stats.atOnce ?? stats.limit,
  },
  {
    type: 'gauge',
    name: 'weir_pool_overloaded',
    help: '1: the pool has more work than it can do, and refuses early those who have waited longest',
    value: (stats) => (stats.isOverloaded ? 1 : 0),
  },
  {
    type: 'counter',
    name: 'weir_pool_early_refusals_total',
    help: 'Clients that were told early to come back, in an overload',
    value: (stats) => stats.earlyRefusals,
  },
  {
    type: 'counter',
    name: 'weir_server_connects_total',
    help: 'Server connections opened',
    value: (stats) => stats.connects,
  },
  {
    type: 'counter',
    name: 'weir_server_connect_failures_total',
    help: 'Server connections that could not be opened',
    value: (stats) => stats.connectFailures,
  },
];

export function registerPools(registry: Registry, sources: StatsSources): void {
  const limiter = createLabelLimiter();
  const labelsOf = ({ database, user, node }: Pick<PoolStats, 'database' | 'user' | 'node'>): Labels => ({
    ...limiter.pair(database, user),
    node,
  });
  const allStats = (): PoolStats[] => Array.from(sources.pools(), (pool) => pool.stats());

  pulled(registry, 'gauge', 'weir_server_connections', 'Server connections by what they are doing', () =>
    summed([
      ...allStats().flatMap((stats) => [
        ...serverStates.map((state) => ({ labels: { ...labelsOf(stats), state }, value: stats[state] })),
        { labels: { ...labelsOf(stats), state: 'replication' }, value: 0 },
      ]),
      // Replication connections belong to no pool, so they have a state of their own.
      ...Array.from(sources.replicationServers(), (server) => ({
        labels: { ...labelsOf(server), state: 'replication' },
        value: 1,
      })),
    ]),
  );
  for (const { type, name, help, value } of poolMetrics) {
    pulled(registry, type, name, help, () =>
      summed(allStats().map((stats) => ({ labels: labelsOf(stats), value: value(stats) }))),
    );
  }
  pulledHistogram(registry, 'weir_pool_wait_seconds', 'How long clients waited that had to wait', function* () {
    for (const pool of sources.pools()) {
      const { boundsSeconds, counts, sumSeconds, count } = pool.waitHistogram();
      yield { labels: labelsOf(pool.stats()), boundsSeconds, counts, sum: sumSeconds, count };
    }
  });
}
