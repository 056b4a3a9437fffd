/**
 * Judges a budget by its window: burn rates over 5 minutes and an hour, the state, and why in words. What is not known is never
 * "ok". Pure. Called by tracker.ts.
 */
import { objectiveText, percentText, valueText } from './objectives.ts';
import type { BudgetFigures, BudgetState, Gauge, Objective } from './types.ts';
import { fiveMinutesMs, hourMs, type BudgetWindow, type Sums } from './window.ts';

const unobserved = 'not observed yet';

/** @param window undefined: it is not observed */
export function judge(
  database: string,
  objective: Objective,
  window: BudgetWindow | undefined,
  now: Gauge,
  nowMs: number,
): BudgetFigures {
  const { name: budget, unit, limit } = objective;
  const about = { database, budget, objective: objectiveText(objective), unit, limit };
  if (window === undefined)
    return { ...about, value: null, burn5m: null, burn1h: null, observedMs: 0, state: 'unknown', why: unobserved };
  const observedMs = nowMs - window.sinceMs;
  const short = window.sums(nowMs, fiveMinutesMs);
  const long = window.sums(nowMs, hourMs);
  const [burn5m, burn1h] = [burn(short, objective), burn(long, objective)];
  const verdict = verdictOf({ objective, short, long, burn5m, burn1h, observedMs, now });
  return { ...about, value: 'value' in now ? now.value : null, burn5m, burn1h, observedMs, ...verdict };
}

function burn({ missed, total }: Sums, { share }: Objective): number | null {
  return total === 0 ? null : Math.round((missed / total / share) * 100) / 100;
}

interface Facts {
  readonly objective: Objective;
  readonly short: Sums;
  readonly long: Sums;
  readonly burn5m: number | null;
  readonly burn1h: number | null;
  readonly observedMs: number;
  readonly now: Gauge;
}

interface Verdict {
  readonly state: BudgetState;
  readonly why: string;
}

function verdictOf(facts: Facts): Verdict {
  const { objective, short, long, burn5m, burn1h, observedMs } = facts;
  if (burn1h === null) return { state: 'unknown', why: nothingCounted(facts, 'hour') };
  // Of the budget of a whole hour, if the rest of it is as busy.
  const used = burn1h * Math.min(1, observedMs / hourMs);
  if (used >= 1) {
    const times = used < 2 ? '' : `, ${Math.floor(used)} times`;
    return { state: 'spent', why: `${said(objective, long, 'hour')}: the budget of an hour is used up${times}` };
  }
  if (burn5m === null) return { state: 'unknown', why: nothingCounted(facts, '5 minutes') };
  if (burn5m > 1)
    return { state: 'burning', why: `${said(objective, short, '5 minutes')}: ${burn5m} times as fast as allowed` };
  if (observedMs >= hourMs) return { state: 'ok', why: said(objective, long, 'hour') };
  return { state: 'unknown', why: `${said(objective, long, 'hour')}, ${observed(observedMs)}` };
}

function observed(observedMs: number): string {
  const seconds = Math.floor(observedMs / 1000);
  return `but observed for ${seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`} only`;
}

function nothingCounted({ objective: { key }, now, observedMs }: Facts, last: string): string {
  const gauge = key === 'pool_utilisation' || key === 'replica_lag';
  if (gauge) return 'unknown' in now ? now.unknown : `it was not known in the last ${last}`;
  const what = key === 'errors' ? 'statements' : key;
  return `no ${what} in the last ${last}${observedMs < hourMs ? `, ${observed(observedMs)}` : ''}`;
}

function said({ key, unit, limit, share }: Objective, { missed, total }: Sums, last: string): string {
  const [part, may, bound] = [percentText(missed / total), percentText(share), valueText(limit, unit)];
  switch (key) {
    case 'reads':
    case 'writes':
      return `${part} of ${Math.round(total)} ${key} in the last ${last} took longer than ${bound}, ${may} may`;
    case 'errors':
      return `${part} of ${Math.round(total)} statements in the last ${last} could not be served, ${may} may`;
    case 'pool_utilisation':
      return `above ${bound} in ${part} of the last ${last}, ${may} may be`;
    case 'replica_lag':
      return `a replica lagged by more than ${bound} in ${part} of the last ${last}, ${may} may be`;
  }
}
