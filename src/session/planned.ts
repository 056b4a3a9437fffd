/**
 * Properties of a request's plans taken together: true if true of any plan. Kept as bits, because they are tested with
 * every message.
 */
import type { Plan } from '../binding/plan.ts';

/** One bit per property; names as in Plan. */
const begins = 1;
const mayCommit = 2;
const mayCopyIn = 4;
const namesPid = 8;
const changesReading = 16;
const mayAdvanceSequences = 32;
const asksSequences = 64;
const asksByName = 128;
const asksCustom = 256;

function bitsOf(plan: Plan): number {
  const { customSettings } = plan;
  return (
    (plan.begins ? begins : 0) |
    (plan.mayCommit ? mayCommit : 0) |
    (plan.mayCopyIn ? mayCopyIn : 0) |
    (plan.namesPid ? namesPid : 0) |
    (plan.changesReading ? changesReading : 0) |
    (plan.mayAdvanceSequences ? mayAdvanceSequences : 0) |
    (plan.asksSequences ? asksSequences : 0) |
    (plan.asksByName ? asksByName : 0) |
    (customSettings !== undefined && (customSettings.asksAny || customSettings.asks.length > 0) ? asksCustom : 0)
  );
}

export class Planned {
  private bits = 0;
  /** The first reason why the request is not a read; undefined: it provably only reads. */
  private noReadWhy: string | undefined;

  /** @param before the preceding plan */
  add(plan: Plan, before: Plan | undefined): void {
    this.bits |= bitsOf(plan);
    // Statements after a ROLLBACK are committed at the end of the request.
    if (before?.transaction === 'rollback') this.bits |= mayCommit;
    if (!plan.isRead && !plan.beginsReadOnly) this.noRead(plan.why);
  }

  /** The request is not a read. An earlier reason is kept. */
  noRead(why: string): void {
    this.noReadWhy ??= why;
  }

  /** A replica refused it, so it is not a read; replaces an earlier reason. */
  refusedAsRead(why: string): void {
    this.noReadWhy = why;
  }

  /** Its text was not parsed, so it may contain a COPY FROM STDIN. */
  noteCopyIn(): void {
    this.bits |= mayCopyIn;
  }

  get isRead(): boolean {
    return this.noReadWhy === undefined;
  }

  /** The first reason why the request is not a read, or "read". */
  get why(): string {
    return this.noReadWhy ?? 'read';
  }

  get begins(): boolean {
    return (this.bits & begins) !== 0;
  }

  get mayCommit(): boolean {
    return (this.bits & mayCommit) !== 0;
  }

  get mayCopyIn(): boolean {
    return (this.bits & mayCopyIn) !== 0;
  }

  get namesPid(): boolean {
    return (this.bits & namesPid) !== 0;
  }

  get changesReading(): boolean {
    return (this.bits & changesReading) !== 0;
  }

  get mayAdvanceSequences(): boolean {
    return (this.bits & mayAdvanceSequences) !== 0;
  }

  get asksSequences(): boolean {
    return (this.bits & asksSequences) !== 0;
  }

  get asksByName(): boolean {
    return (this.bits & asksByName) !== 0;
  }

  /** It reads custom settings (concerns/custom-settings.ts). */
  get asksCustom(): boolean {
    return (this.bits & asksCustom) !== 0;
  }
}
