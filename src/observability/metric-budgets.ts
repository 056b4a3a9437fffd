/**
 * Metrics of budgets (service levels). The rules that `weir budgets --rules` prints ask for them (budgets/rules.ts). The labels
 * are names of databases and of the settings; at most 100 databases are observed. Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import { pulled, type Sample } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

export function registerBudgets(registry: Registry, sources: StatsSources): void {
  pulled(
    registry,
    'gauge',
    'weir_budget_burn_rate',
    'How fast a budget is used up: 1 is exactly as fast as allowed',
    function* (): Generator<Sample> {
      for (const { database, budget, burn5m, burn1h } of sources.budgets()) {
        // Nothing to count is no sample: 0 would say that all is well.
        if (burn5m !== null) yield { labels: { database, budget, window: '5m' }, value: burn5m };
        if (burn1h !== null) yield { labels: { database, budget, window: '1h' }, value: burn1h };
      }
    },
  );
  pulled(
    registry,
    'gauge',
    'weir_budget_action',
    'Actions in force because a budget burns',
    function* (): Generator<Sample> {
      const inForce = new Map<string, Sample['labels']>();
      for (const { database, actions = [] } of sources.budgets())
        for (const action of actions) inForce.set(`${action} ${database}`, { database, action });
      for (const labels of inForce.values()) yield { labels, value: 1 };
    },
  );
  for (const unit of ['seconds', 'ratio'] as const) {
    const name = unit === 'seconds' ? 'weir_budget_objective_seconds' : 'weir_budget_objective_ratio';
    pulled(registry, 'gauge', name, 'What a budget is about: the limit that is to be kept', function* () {
      for (const { database, budget, limit, ...row } of sources.budgets())
        if (row.unit === unit && row.observedMs > 0) yield { labels: { database, budget }, value: limit };
    });
  }
}
