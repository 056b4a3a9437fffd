/**
 * Samples the budgets (budgets/) every five seconds, if there are any. With several workers the lead does it, by the figures of
 * all; another lead begins anew. Made by parts.ts, started and stopped by lifecycle.ts.
 */
import { actionsOf, type ActionsInForce } from '../budgets/actions.ts';
import { objectivesOf } from '../budgets/objectives.ts';
import { BudgetTracker } from '../budgets/tracker.ts';
import type { ActionInForce, BudgetAction, BudgetFigures, BudgetSettings, Objective } from '../budgets/types.ts';
import type { Config } from '../config/config.ts';
import { budgetReadings } from '../observability/budget-readings.ts';
import type { Log, StatsSources } from '../observability/types.ts';
import { durationBoundsSeconds } from '../session/types.ts';
import { ChannelClosed } from '../workers/channel.ts';
import type { WorkerLink } from '../workers/worker-link.ts';

export const sampleEveryMs = 5_000;

export interface BudgetsOptions {
  config(): Config;
  /** The figures of this process. */
  own(): StatsSources;
  /** Those of all workers; undefined: this process is the whole Weir. */
  readonly gather: (() => Promise<StatsSources>) | undefined;
  /** Number of the time for which this worker is the lead; undefined: it is not. 0 where there is one process. */
  leadTerm(): number | undefined;
  /** To the other workers; undefined: this process is the whole Weir. */
  readonly channel: WorkerLink['channel'] | undefined;
  readonly inForce: ActionsInForce;
  readonly log: Log;
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
    options.channel?.on('budgetActions', (actions) => options.inForce.set(actions));
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
    return this.tracker.figures(
      names,
      (name) => this.objectivesOf(name),
      nowMs(),
      (name) => this.actionsOf(name),
    );
  }

  /** After a reload: what it has taken back ends now, not with the next sample. */
  apply(): void {
    if (!this.isWanted()) return this.endActions();
    const term = this.options.leadTerm();
    if (term !== undefined && term === this.term) this.decide(term);
  }

  async tick(): Promise<void> {
    const isWanted = this.isWanted();
    if (!isWanted) this.endActions();
    const term = isWanted ? this.options.leadTerm() : undefined;
    if (term === undefined || term !== this.term) this.tracker.forget();
    this.term = term;
    if (term === undefined || this.isAsking) return;
    this.isAsking = true;
    try {
      const { own, gather } = this.options;
      const sources = gather === undefined ? own() : await gather();
      // Meanwhile another worker may have become the lead.
      if (this.term === term && this.options.leadTerm() === term) this.sample(sources, term);
    } catch (error) {
      if (!(error instanceof ChannelClosed)) this.options.onError(error);
    } finally {
      this.isAsking = false;
    }
  }

  private sample(sources: StatsSources, term: number): void {
    const { nowMs } = this.options;
    this.tracker.sample(budgetReadings(sources, nowMs()), (name) => this.objectivesOf(name), nowMs());
    this.decide(term);
  }

  private decide(term: number): void {
    const { inForce, channel } = this.options;
    const actions = actionsOf(this.figures());
    this.logChanges(inForce.all, actions);
    // Said for as long as one is in force, and once more: nobody has to remember what was said before.
    if (actions.length > 0 || inForce.all.length > 0) channel?.tell('budgetActions', { term, actions });
    inForce.set(actions);
  }

  /** A reload has taken back all budgets: each process ends for itself what is in force. */
  private endActions(): void {
    const { inForce, leadTerm } = this.options;
    if (leadTerm() !== undefined) this.logChanges(inForce.all, []);
    if (inForce.all.length > 0) inForce.set([]);
  }

  private logChanges(before: readonly ActionInForce[], now: readonly ActionInForce[]): void {
    const { log } = this.options;
    const isIn = (list: readonly ActionInForce[], { database, action }: ActionInForce): boolean =>
      list.some((each) => each.database === database && each.action === action);
    for (const each of now) {
      const { database, action, why } = each;
      if (!isIn(before, each))
        log('warn', 'budget_action', `${action} is in force for ${database}: ${why}`, { database, action });
    }
    for (const each of before) {
      const { database, action } = each;
      if (!isIn(now, each))
        log('info', 'budget_action', `${action} is no longer in force for ${database}`, { database, action });
    }
  }

  private isWanted(): boolean {
    const { pool, databases } = this.options.config();
    if (objectivesOf(pool.budgets).length > 0) return true;
    for (const database of databases.values()) if (objectivesOf(database.pool.budgets).length > 0) return true;
    return false;
  }

  private objectivesOf(name: string): readonly Objective[] {
    return objectivesOf(this.settingsOf(name));
  }

  private actionsOf(name: string): readonly BudgetAction[] {
    return this.settingsOf(name).actions ?? [];
  }

  private settingsOf(name: string): BudgetSettings {
    const { databases } = this.options.config();
    return (databases.get(name) ?? databases.get('*'))?.pool.budgets ?? {};
  }
}
