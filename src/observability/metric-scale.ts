/**
 * Metrics for autoscalers: how full each node of each database is. Autoscalers of users depend on names and labels: a change
 * needs a line in the CHANGELOG. Called by metrics.ts.
 */
import { performance } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import { pulled, type Sample } from './pulled-metric.ts';
import { saturationRows, type SaturationRow } from './saturation.ts';
import type { StatsSources } from './types.ts';

const adviceNumber = { down: -1, hold: 0, up: 1 } as const;

export function registerScale(registry: Registry, sources: StatsSources): void {
  const gauge = (name: string, help: string, value: (row: SaturationRow) => number | null): void =>
    pulled(registry, 'gauge', name, help, function* (): Generator<Sample> {
      for (const row of saturationRows(sources, performance.now())) {
        // An unknown value has no sample: 0 would be a reason to scale down.
        const now = value(row);
        if (now !== null) yield { labels: { database: row.database, node: row.node }, value: now };
      }
    });
  gauge('weir_saturation', 'Connections in use and wanted, of what may be opened: 0 to 1', (row) => row.saturation);
  gauge('weir_saturation_peak', 'The largest weir_saturation of the last minute', (row) => row.peak);
  gauge(
    'weir_scale_advice',
    '1: more is needed, -1: less would do, 0: neither, or not known',
    (row) => adviceNumber[row.advice],
  );
}
