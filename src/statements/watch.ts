/**
 * Is told of the end of each statement (request/statement-ends.ts): counts it, and says whether it has to be logged or traced.
 * While nobody wants to know of statements, `active` is undefined, and a statement costs one look at it. Made by
 * app/services.ts; changed by a reload.
 */
import type { Log } from '../observability/types.ts';
import type { QueryFacts } from '../sql/facts.ts';
import { logStatement } from './log.ts';
import type { Account } from './stats.ts';
import { StatementStats } from './stats.ts';
import {
  nobody,
  sampleLog,
  slowLog,
  tracer,
  type StatementAccount,
  type StatementDetails,
  type StatementEnd,
  type StatementFigures,
  type StatementSettings,
  type StatementsInForce,
  type StatementTracer,
  type StatementWatch,
  type TraceComment,
} from './types.ts';

export interface WatchOptions {
  readonly settings: StatementSettings;
  readonly log: Log;
  readonly epochMs: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

export class Statements implements StatementsInForce, StatementWatch {
  active: StatementWatch | undefined;
  readsTraces = false;
  readonly end: StatementEnd = { waitMs: 0, serverMs: 0, rows: 0, hasError: false, cache: 'off', node: '' };
  private readonly options: WatchOptions;
  private readonly stats: StatementStats;
  private isCounting = false;
  /** Infinity: never. */
  private slowFromMs = Infinity;
  private sampleRate = 0;
  private tracer: StatementTracer | undefined;

  constructor(options: WatchOptions) {
    this.options = options;
    this.stats = new StatementStats(options.settings.max, options.epochMs);
    this.apply(options.settings);
  }

  apply({ enabled, max, logMinDurationMs, logSampleRate }: StatementSettings): void {
    this.isCounting = enabled;
    if (enabled) this.stats.resize(max);
    else this.stats.reset();
    this.slowFromMs = logMinDurationMs < 0 ? Infinity : logMinDurationMs;
    this.sampleRate = logSampleRate;
    this.decide();
  }

  /** @param traces undefined: spans are off */
  traceWith(traces: StatementTracer | undefined): void {
    this.tracer = traces;
    this.decide();
  }

  private decide(): void {
    this.readsTraces = this.tracer !== undefined || this.slowFromMs < Infinity || this.sampleRate > 0;
    this.active = this.isCounting || this.readsTraces ? this : undefined;
  }

  /** Undefined: they are off. */
  figures(): StatementFigures[] | undefined {
    return this.isCounting ? this.stats.figures() : undefined;
  }

  reset(): void {
    this.stats.reset();
  }

  accountOf(database: string, user: string): StatementAccount {
    return this.stats.accountOf(database, user);
  }

  ended(account: StatementAccount, facts: QueryFacts, at: number, trace: TraceComment | undefined): number {
    const { end, slowFromMs, sampleRate } = this;
    if (this.isCounting) this.stats.entryOf(account as Account, facts, at).count(end);
    let whom = nobody;
    if (end.waitMs + end.serverMs >= slowFromMs) whom = slowLog;
    else if (sampleRate > 0 && this.options.random() < sampleRate) whom = sampleLog;
    if (this.tracer?.wants(trace) === true) whom |= tracer;
    return whom;
  }

  tell(whom: number, facts: QueryFacts, at: number, details: StatementDetails): void {
    const text = this.stats.textOf(facts, at);
    if ((whom & (slowLog | sampleLog)) !== 0) logStatement(this.options.log, (whom & slowLog) !== 0, text, details);
    if ((whom & tracer) !== 0) this.tracer?.span(text, details);
  }
}
