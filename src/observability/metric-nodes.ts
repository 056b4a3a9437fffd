/**
 * Metrics of the nodes of each database. Dashboards and alerts of users depend on the names and labels: a change needs
 * a line in the CHANGELOG. Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import type { CircuitState, NodeState } from '../topology/types.ts';
import { pulled } from './pulled-metric.ts';
import type { Sample } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

/** `value` is NaN or Infinity if it is not known. */
interface NodeMetric {
  readonly name: string;
  readonly help: string;
  readonly value: (node: NodeState) => number;
}

const nodeMetrics: readonly NodeMetric[] = [
  { name: 'weir_node_up', help: 'The node answers probes', value: (node) => (node.isUp ? 1 : 0) },
  {
    name: 'weir_node_is_primary',
    help: 'The node is the primary',
    value: (node) => (node.role === 'primary' ? 1 : 0),
  },
  {
    name: 'weir_replica_lag_bytes',
    help: 'WAL that a replica has not replayed yet',
    value: (node) => (node.role === 'replica' ? node.lagBytes : NaN),
  },
  {
    name: 'weir_replica_lag_seconds',
    help: 'Upper bound of the age of what a replica shows',
    value: (node) => (node.role === 'replica' ? node.lagMs / 1000 : NaN),
  },
  {
    name: 'weir_node_outstanding_requests',
    help: 'Requests sent and not yet answered',
    value: (node) => node.load.outstanding,
  },
  {
    name: 'weir_node_slowdown_ratio',
    help: 'Latency relative to the usual one of the same statements',
    value: (node) => node.load.ewma,
  },
];

const circuitStates: readonly CircuitState[] = ['closed', 'open', 'half-open'];

export function registerNodes(registry: Registry, sources: StatsSources): void {
  registerCircuit(registry, sources);
  for (const { name, help, value } of nodeMetrics) {
    pulled(registry, 'gauge', name, help, function* (): Generator<Sample> {
      for (const topology of sources.topologies()) {
        for (const node of topology.snapshot().nodes) {
          // An unknown value has no sample, because 0 would look like "no lag at all".
          const now = value(node);
          if (Number.isFinite(now)) yield { labels: { database: topology.database, node: node.name }, value: now };
        }
      }
    });
  }
}

/** One sample for each state, 1 for the present one: a label that changes would leave the old series behind. */
function registerCircuit(registry: Registry, sources: StatsSources): void {
  pulled(registry, 'gauge', 'weir_node_circuit', 'State of the circuit breaker: 1', function* (): Generator<Sample> {
    for (const topology of sources.topologies()) {
      for (const { name: node, circuit = 'closed' } of topology.snapshot().nodes) {
        for (const state of circuitStates)
          yield { labels: { database: topology.database, node, state }, value: state === circuit ? 1 : 0 };
      }
    }
  });
}
