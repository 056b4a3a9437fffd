/**
 * What is done while a budget burns, if the configuration asks for it: which budgets call for which action, and what is in force in
 * this process. One process decides for all (app/budgets.ts) and says so again every few seconds; what is not said again ends.
 */
import type { ActionInForce, BudgetAction, BudgetFigures, BudgetKey } from './types.ts';

/** More than twice the time between two samples. */
const validMs = 15_000;

/** An action that cannot help is not taken: a lagging replica does not lag less because of fewer statements of low priority. */
const calledBy: Readonly<Record<BudgetAction, readonly BudgetKey[]>> = {
  prefer_cache: ['reads', 'errors', 'pool_utilisation'],
  shed_low_priority: ['reads', 'writes', 'errors', 'pool_utilisation'],
  raise_pool: ['reads', 'writes', 'pool_utilisation'],
};

/** @param burn5m of a budget of this kind. @returns which of the wanted actions it calls for */
export function calledFor(
  key: BudgetKey,
  burn5m: number | null,
  wanted: readonly BudgetAction[],
): readonly BudgetAction[] {
  return burn5m === null || burn5m <= 1 ? [] : wanted.filter((action) => calledBy[action].includes(key));
}

/** The first budget that calls for an action is its reason. */
export function actionsOf(rows: readonly BudgetFigures[]): ActionInForce[] {
  const found = new Map<string, ActionInForce>();
  for (const { database, budget, actions = [], why } of rows)
    for (const action of actions) {
      const key = `${action} ${database}`;
      if (!found.has(key)) found.set(key, { database, action, why: `budget ${budget} burns: ${why}` });
    }
  return [...found.values()];
}

export class ActionsInForce {
  private readonly nowMs: () => number;
  private list: readonly ActionInForce[] = [];
  private untilMs = 0;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** All that are in force from now on. */
  set(list: readonly ActionInForce[]): void {
    this.list = list;
    this.untilMs = this.nowMs() + validMs;
  }

  get all(): readonly ActionInForce[] {
    return this.list.length === 0 || this.nowMs() < this.untilMs ? this.list : [];
  }

  /** @returns why the action is in force; undefined: it is not */
  why(action: BudgetAction, database: string): string | undefined {
    if (this.list.length === 0) return undefined;
    return this.all.find((each) => each.action === action && each.database === database)?.why;
  }
}
