/**
 * Makes objectives, and says them in words. Called by config/budgets.ts, which reads the setting, and when budgets are
 * judged and rules are made.
 */
import { budgetKeys, type BudgetKey, type BudgetSettings, type Objective } from './types.ts';

/** The share of statements that may be slower than each percentile. */
export const percentiles: Readonly<Record<string, number>> = {
  p50: 0.5,
  p90: 0.1,
  p95: 0.05,
  p99: 0.01,
  'p99.9': 0.001,
};

/** The share of the time in which utilisation or lag may be above the limit. */
export const shareOfTime = 0.01;

export function latency(key: BudgetKey, percentile: string, seconds: number): Objective {
  const share = percentiles[percentile] ?? NaN;
  return { name: `${key}_${percentile}`, key, percentile, unit: 'seconds', limit: seconds, share };
}

export function errorShare(share: number): Objective {
  return { name: 'errors', key: 'errors', unit: 'ratio', limit: share, share };
}

export function utilisation(limit: number): Objective {
  return { name: 'pool_utilisation', key: 'pool_utilisation', unit: 'ratio', limit, share: shareOfTime };
}

export function lag(seconds: number): Objective {
  return { name: 'replica_lag', key: 'replica_lag', unit: 'seconds', limit: seconds, share: shareOfTime };
}

/** The same for the statements with a tag only. */
export function ofTag(tag: string, objective: Objective): Objective {
  return { ...objective, tag, name: `${tag}:${objective.name}` };
}

export function objectivesOf(settings: BudgetSettings): readonly Objective[] {
  return [...budgetKeys.flatMap((key) => settings[key] ?? []), ...Object.values(settings.tags ?? {}).flat()];
}

/** At most four digits: "38.2ms", "0.05%". */
const digits = (value: number): string => String(Number(value.toPrecision(4)));

export function percentText(share: number): string {
  return `${digits(share * 100)}%`;
}

export function valueText(value: number, unit: Objective['unit']): string {
  if (unit === 'ratio') return percentText(value);
  return value < 1 ? `${digits(value * 1000)}ms` : `${digits(value)}s`;
}

export function objectiveText({ percentile, unit, limit }: Pick<Objective, 'percentile' | 'unit' | 'limit'>): string {
  return `${percentile === undefined ? '' : `${percentile} `}<= ${valueText(limit, unit)}`;
}
