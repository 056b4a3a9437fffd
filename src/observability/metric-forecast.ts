/**
 * Metrics of what pools are predicted to need. Dashboards and alerts of users depend on the names and labels: a change needs a
 * line in the CHANGELOG. Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import type { ForecastFigures } from '../forecast/types.ts';
import { createLabelLimiter } from './label-limiter.ts';
import { pulled } from './pulled-metric.ts';
import type { Sample } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

/** Pools that have no name of their own any more among the labels are left out: neither figure can be added up. */
const mostPools = 500;

export function registerForecast(registry: Registry, sources: StatsSources): void {
  const limiter = createLabelLimiter(mostPools, mostPools);
  const each = (value: (forecast: ForecastFigures) => number | undefined): Sample[] => {
    const samples: Sample[] = [];
    for (const forecast of sources.forecast()) {
      const { database, user, node } = forecast;
      const found = value(forecast);
      const labels = limiter.pair(database, user);
      if (found !== undefined && labels.database === database && labels.user === user)
        samples.push({ labels: { ...labels, node }, value: found });
    }
    return samples;
  };
  pulled(
    registry,
    'gauge',
    'weir_forecast_connections',
    'Connections that the pool will need, as predicted from the time of day',
    () => each(({ predicted }) => predicted),
  );
  pulled(
    registry,
    'gauge',
    'weir_forecast_confidence',
    'How good predictions of the pool were over the last day, from 0 to 1',
    () => each(({ confidence }) => confidence),
  );
}
