/**
 * Metrics of the connections that several Weirs have together. Dashboards and alerts of users depend on the names and labels: a
 * change needs a line in the CHANGELOG. Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import type { ConnectionBudgetFigures } from '../shares/types.ts';
import { pulled } from './pulled-metric.ts';
import type { Sample } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

type Each = (value: (row: ConnectionBudgetFigures) => number | undefined) => Sample[];

export function registerConnectionBudget(registry: Registry, sources: StatsSources): void {
  const each: Each = (value) =>
    Array.from(sources.connectionBudget(), (row) => {
      const known = value(row);
      return known === undefined || !Number.isFinite(known) ? [] : [{ labels: { server: row.server }, value: known }];
    }).flat();
  const gauge = (name: string, help: string, value: (row: ConnectionBudgetFigures) => number | undefined): void =>
    pulled(registry, 'gauge', `weir_connection_budget${name}`, help, () => each(value));
  gauge('', 'Connections that all Weirs together may have to the server', ({ budget }) => budget);
  gauge('_limit', 'Connections to the server that this Weir may have now', ({ limit }) => limit);
  gauge(
    '_open',
    'Connections to the server that this Weir has, those that are opened or closed included',
    (row) => row.open,
  );
  gauge('_weirs', 'Weirs that share the connections of the server', ({ weirs }) => weirs);
  gauge('_shared', 'Whether Redis answers: 1, or 0 while the Weir goes by what it had', ({ state }) =>
    state === 'fixed share' ? undefined : Number(state === 'granted'),
  );
  pulled(
    registry,
    'counter',
    'weir_connection_budget_short_total',
    'Seconds in which a pool wanted a connection that the budget did not allow, by reason',
    () =>
      Array.from(sources.connectionBudget(), ({ server, refusals }) =>
        Object.entries(refusals).map(([reason, value]) => ({ labels: { server, reason }, value })),
      ).flat(),
  );
}
