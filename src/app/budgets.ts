/**
 * Samples the budgets (budgets/) every five seconds, if there are any. With several workers the lead does it, by the figures of
 * all; another lead begins anew. Made by parts.ts, started and stopped by lifecycle.ts.
 */
import { objectivesOf } from '../budgets/objectives.ts';
import { BudgetTracker } from '../budgets/tracker.ts';
import type { BudgetFigures, Objective } from '../budgets/types.ts';
import type { Config } from '../config/config.ts';
import { budgetReadings } from '../observability/budget-readings.ts';
import type { StatsSources } from '../observability/types.ts';
import { durationBoundsSeconds } from '../session/types.ts';
import { ChannelClosed } from '../workers/channel.ts';

export const sampleEveryMs = 5_000;

export interface BudgetsOptions {
  config(): Config;
  /** The figures of this process. */
  own(): StatsSources;
  /** Those of all workers; undefined: this process is the whole Weir. */
  readonly gather: (() => Promise<StatsSources>) | undefined;
  /** Number of the time for which this worker is the lead; undefined: it is not. 0 where there is one process. */
  leadTerm(): number | undefined;
  nowMs(): number;
  onError(error: unknown): void;
}

export class Budgets {
  private readonly options: BudgetsOptions;
  private readonly tracker = new BudgetTracker(durationBoundsSeconds);
  private term: number | undefined;
  private isAsking = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: BudgetsOptions) {
    this.options = options;
  }

  start(): void {
    if (this.timer !== undefined) return;
    this.timer = setInterval(() => void this.tick(), sampleEveryMs).unref();
    void this.tick();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Of every database; those that this process does not sample are unknown. */
  figures(): BudgetFigures[] {
    if (!this.isWanted()) return [];
    const { own, nowMs } = this.options;
    const names = Array.from(own().databases(), ({ name }) => name);
    return this.tracker.figures(names, (name) => this.objectivesOf(name), nowMs());
  }

  async tick(): Promise<void> {
    const term = this.isWanted() ? this.options.leadTerm() : undefined;
    if (term === undefined || term !== this.term) this.tracker.forget();
    this.term = term;
    if (term === undefined || this.isAsking) return;
    this.isAsking = true;
    try {
      const { own, gather, nowMs } = this.options;
      const sources = gather === undefined ? own() : await gather();
      // Meanwhile another worker may have become the lead.
      if (this.term === term && this.options.leadTerm() === term)
        this.tracker.sample(budgetReadings(sources, nowMs()), (name) => this.objectivesOf(name), nowMs());
    } catch (error) {
      if (!(error instanceof ChannelClosed)) this.options.onError(error);
    } finally {
      this.isAsking = false;
    }
  }

  private isWanted(): boolean {
    const { pool, databases } = this.options.config();
    if (objectivesOf(pool.budgets).length > 0) return true;
    for (const database of databases.values()) if (objectivesOf(database.pool.budgets).length > 0) return true;
    return false;
  }

  private objectivesOf(name: string): readonly Objective[] {
    const { databases } = this.options.config();
    const database = databases.get(name) ?? databases.get('*');
    return database === undefined ? [] : objectivesOf(database.pool.budgets);
  }
}
