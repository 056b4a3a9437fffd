/**
 * /scale: how full nodes and Weir are, with advice, as JSON for an autoscaler or a script. The form is stable: docs/scaling.md.
 * Called by http.ts.
 */
import { DOWN_BELOW, UP_ABOVE, saturationRows, type Advice, type SaturationRow } from './saturation.ts';
import type { StatsSources } from './types.ts';

export interface ScaleAnswer {
  readonly advice: Advice;
  readonly reason: string;
  readonly upAbove: number;
  readonly downBelow: number;
  readonly signals: readonly SaturationRow[];
}

export function scaleJson(sources: StatsSources, nowMs: number): ScaleAnswer {
  const signals = saturationRows(sources, nowMs);
  return { ...overall(signals), upAbove: UP_ABOVE, downBelow: DOWN_BELOW, signals };
}

const nameOf = ({ database, node }: SaturationRow): string => (database === '' ? node : `${database} on ${node}`);

/** Up if one says so; down only if all do. */
function overall(signals: readonly SaturationRow[]): { readonly advice: Advice; readonly reason: string } {
  const ups = signals.filter(({ advice }) => advice === 'up');
  if (ups.length > 0) return { advice: 'up', reason: ups.map((row) => `${nameOf(row)}: ${row.reason}`).join('; ') };
  const holding = signals.find(({ advice }) => advice === 'hold');
  if (holding !== undefined) return { advice: 'hold', reason: `${nameOf(holding)}: ${holding.reason}` };
  return { advice: 'down', reason: 'all nodes and Weir itself had little to do in the last minute' };
}
