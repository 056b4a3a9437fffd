/**
 * The budgets of all databases: takes a sample of each every few seconds, and judges them when asked. Its time and its samples
 * are arguments. Made by app/budgets.ts.
 */
import { DatabaseBudgets } from './database-budgets.ts';
import { judge } from './judge.ts';
import { calledFor } from './actions.ts';
import type { BudgetAction, BudgetFigures, Objective, Reading } from './types.ts';

/** Bounds memory: clients choose the names of databases under "*". Each budget takes 6 KB. */
export const mostDatabases = 100;

type ObjectivesOf = (database: string) => readonly Objective[];

export class BudgetTracker {
  private readonly bounds: readonly number[];
  private readonly databases = new Map<string, DatabaseBudgets>();

  /** @param bounds of the histograms, in seconds */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
  }

  sample(readings: Iterable<Reading>, objectivesOf: ObjectivesOf, nowMs: number): void {
    const wanted = new Map(Array.from(readings, (reading) => [reading.database, reading]));
    for (const database of this.databases.keys()) if (!wanted.has(database)) this.databases.delete(database);
    for (const [database, reading] of wanted) {
      const objectives = objectivesOf(database);
      if (objectives.length > 0) this.of(database)?.sample(reading, objectives, nowMs);
      else this.databases.delete(database);
    }
  }

  /** Another process takes the samples from now on, or there are no budgets any more. */
  forget(): void {
    this.databases.clear();
  }

  /** @param names of databases to be shown besides those that were sampled */
  figures(
    names: Iterable<string>,
    objectivesOf: ObjectivesOf,
    nowMs: number,
    actionsOf: (database: string) => readonly BudgetAction[] = () => [],
  ): BudgetFigures[] {
    const all = new Set([...names, ...this.databases.keys()]);
    return [...all].flatMap((database) => {
      const budgets = this.databases.get(database);
      const wanted = actionsOf(database);
      return objectivesOf(database).map((objective) => {
        const now = budgets?.valueOf(objective) ?? { unknown: '' };
        const judged = judge(database, objective, budgets?.windowOf(objective), now, nowMs);
        const row = { ...judged, actions: calledFor(objective.key, judged.burn5m, wanted) };
        if (budgets !== undefined || this.databases.size < mostDatabases) return row;
        return { ...row, why: `not observed: there are more than ${mostDatabases} databases with budgets` };
      });
    });
  }

  private of(database: string): DatabaseBudgets | undefined {
    const known = this.databases.get(database);
    if (known !== undefined || this.databases.size >= mostDatabases) return known;
    const made = new DatabaseBudgets(this.bounds);
    this.databases.set(database, made);
    return made;
  }
}
