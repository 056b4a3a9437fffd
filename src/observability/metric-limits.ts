/**
 * Metrics of rate limits. The labels are names of rules, never those of clients. Dashboards and alerts of users depend on the
 * names and labels: a change needs a line in the CHANGELOG. Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import type { LimitFigures } from '../limits/types.ts';
import { pulled } from './pulled-metric.ts';
import type { Sample } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

export function registerLimits(registry: Registry, sources: StatsSources): void {
  const each = (value: (limit: LimitFigures) => number): Sample[] =>
    Array.from(sources.limits(), (limit) => ({ labels: { limit: limit.name, kind: limit.kind }, value: value(limit) }));
  pulled(
    registry,
    'counter',
    'weir_limit_refusals_total',
    'Statements and log-ins refused because of a rate limit',
    () => each(({ refused }) => refused),
  );
  pulled(registry, 'gauge', 'weir_limit_buckets', 'Users, databases and addresses that have used some of a limit', () =>
    each(({ buckets }) => buckets),
  );
}
