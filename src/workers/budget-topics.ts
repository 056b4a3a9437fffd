/**
 * What the lead says to the other workers about budgets that burn, through the supervisor. Types only.
 */
import type { ActionInForce } from '../budgets/types.ts';

export interface BudgetTopicsOfWorker {
  /** All actions that are in force; said again every few seconds. */
  readonly budgetActions: {
    readonly body: { readonly term: number; readonly actions: readonly ActionInForce[] };
    readonly reply: void;
  };
}

export interface BudgetTopicsOfSupervisor {
  readonly budgetActions: { readonly body: readonly ActionInForce[]; readonly reply: void };
}
