/**
 * What the plans of a request may do, taken together: true if it is true of any plan. It is asked with every message, so nobody
 * looks through the plans for it.
 */
import type { Plan } from '../binding/plan.ts';

/** A bit for each of them. They mean what the fields of the same names mean in Plan. */
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
    (customSettings !== undefined && customSettings.asks.length > 0 ? asksCustom : 0)
  );
}

export class Planned {
  private bits = 0;
  /** The first reason why it is no read; undefined: all of it provably only reads. */
  private noReadWhy: string | undefined;

  /** @param before the plan before it */
  add(plan: Plan, before: Plan | undefined): void {
    this.bits |= bitsOf(plan);
    // What is behind a ROLLBACK is committed with the end of the request.
    if (before?.transaction === 'rollback') this.bits |= mayCommit;
    if (!plan.isRead && !plan.beginsReadOnly) this.noRead(plan.why);
  }

  /** It is no read. If there is a reason already, that stays. */
  noRead(why: string): void {
    this.noReadWhy ??= why;
  }

  /** A replica has refused it: it is no read, for this reason. */
  refusedAsRead(why: string): void {
    this.noReadWhy = why;
  }

  /** It may have a COPY FROM STDIN in it, though no plan says so: nobody has read its text. */
  noteCopyIn(): void {
    this.bits |= mayCopyIn;
  }

  get isRead(): boolean {
    return this.noReadWhy === undefined;
  }

  /** The first reason why it is no read, or "read". */
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

  /** It asks for custom settings (concerns/custom-settings.ts). */
  get asksCustom(): boolean {
    return (this.bits & asksCustom) !== 0;
  }
}
