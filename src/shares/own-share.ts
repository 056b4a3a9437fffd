/**
 * How many connections this Weir may have to one server at this moment: what Redis has granted, while its answer is fresh; else
 * what is safe without it. Time is monotonic, of this machine, and a grant counts from before it was asked for, so that no clock
 * that jumps matters. Pure. Kept by whoever hands out the places: share-book.ts.
 */
import { shownMs, validMs } from './decide.ts';
import { unknownMs } from './look.ts';
import type { Answer, Others, Said, Seen, ShareReason, ShareState, Shown, Usage } from './types.ts';

/** What the Weir may have by its configuration. */
export interface Terms {
  /** For all Weirs together; undefined: not known yet. */
  readonly budget: number | undefined;
  /** For this one, without Redis. */
  readonly fixed: number;
}

/** So long a Weir shows the others what it is going to take without Redis, before it takes it. */
const announceMs = 4_000;

export interface OwnShareState {
  readonly id: string;
  readonly seq: number;
  readonly lease: number;
  readonly validUntilMs: number;
  readonly shownUntilMs: number;
}

export class OwnShare {
  readonly id: string;
  /** Of the last answer. */
  answer: Answer | undefined;
  /** Redis is known to be gone. */
  isRedisGone = false;
  private seq = 0;
  private lease = 0;
  private validUntilMs = -Infinity;
  private shownUntilMs = -Infinity;
  /** When the question was asked that has no answer yet. */
  private askedMs: number | undefined;
  private plan: { readonly limit: number; readonly sinceMs: number } | undefined;
  private lastSeen: { readonly ids: ReadonlySet<string>; readonly goneMs: number } | undefined;
  private terms: Terms = { budget: undefined, fixed: 0 };

  /** @param state of the supervisor whose place this one takes */
  constructor(id: string, state?: OwnShareState) {
    this.id = state?.id ?? id;
    if (state === undefined) return;
    this.seq = state.seq;
    this.lease = state.lease;
    this.validUntilMs = state.validUntilMs;
    this.shownUntilMs = state.shownUntilMs;
  }

  /** It had as many before it was shared. */
  keep(open: number): void {
    this.lease = open;
  }

  /** For the next supervisor. The question that is under way is given up. */
  handOver(): OwnShareState {
    const { id, seq, lease, validUntilMs, shownUntilMs } = this;
    return { id, seq, lease, validUntilMs, shownUntilMs };
  }

  /** @param open connections now: those above the limit stay, but are not replaced */
  limit(nowMs: number, open: number): number {
    if (nowMs < this.validUntilMs) return this.lease;
    if (nowMs >= this.shownUntilMs) this.lease = Math.min(this.lease, open);
    const growTo = nowMs < this.shownUntilMs ? this.terms.fixed : 0;
    return Math.min(this.lease, Math.max(open, growTo));
  }

  state(nowMs: number): ShareState {
    if (nowMs < this.validUntilMs) return 'granted';
    if (!this.isRedisGone && this.answer === undefined) return 'starting';
    return nowMs < this.shownUntilMs ? 'without Redis' : 'unseen';
  }

  get why(): ShareReason | undefined {
    return this.answer?.why;
  }

  /** The configuration, or what the server can spare, is another one. */
  setTerms(terms: Terms): void {
    this.terms = terms;
  }

  /** What to say to the others. The answer to what was said before does not count any more. */
  say(nowMs: number, usage: Usage, seen: Seen | undefined, isLeaving: boolean): Said {
    const { open, need, want } = usage;
    // What stands between Weir and PostgreSQL may answer with numbers of its own.
    const pids = usage.pids.filter((pid) => pid > 0);
    this.askedMs = nowMs;
    // The grant before holds on, at most as it is now.
    const limit = isLeaving ? 0 : Math.max(this.limit(nowMs, open), nowMs < this.shownUntilMs ? this.lease : 0);
    return { id: this.id, seq: ++this.seq, limit, open, need, want, budget: this.terms.budget, pids, isLeaving, seen };
  }

  /** @param seq of what was said */
  hear(seq: number, answer: Answer, nowMs: number, open: number): void {
    if (seq !== this.seq || this.askedMs === undefined) return;
    this.limit(nowMs, open);
    // Longer ago than the answer is good for: others may have taken this Weir for gone.
    if (nowMs - this.askedMs >= validMs) return;
    this.answer = answer;
    this.isRedisGone = false;
    this.plan = undefined;
    this.lease = Math.min(answer.limit, this.terms.budget ?? Infinity);
    this.validUntilMs = this.askedMs + validMs;
    this.askedMs = undefined;
  }

  /** What the monitor shows the others. */
  toShow(nowMs: number, open: number): Shown {
    const limit = Math.max(this.limit(nowMs, open), this.lease, open, this.plan?.limit ?? 0);
    return { id: this.id, limit, open };
  }

  /**
   * The server has answered the monitor, which has shown toShow().
   * @param askedMs before it was asked
   */
  shown(askedMs: number, nowMs: number, open: number, others: Others): void {
    this.limit(nowMs, open);
    if (nowMs - askedMs >= shownMs) return;
    this.shownUntilMs = Math.max(this.shownUntilMs, askedMs + shownMs);
    if (this.isRedisGone && nowMs >= this.validUntilMs) this.takeWithoutRedis(nowMs, others);
    else this.plan = this.lastSeen = undefined;
  }

  /** A Weir that has nothing takes its fixed share, if the others leave it. */
  private takeWithoutRedis(nowMs: number, others: Others): void {
    const free = this.freeFor(nowMs, others);
    const { fixed } = this.terms;
    const limit = Math.min(fixed, Math.max(0, free));
    const isNew = this.answer === undefined || this.lease === 0;
    if (!isNew || limit <= this.lease) this.plan = undefined;
    else if (this.plan === undefined || this.plan.limit < limit) this.plan = { limit, sinceMs: nowMs };
    else if (nowMs - this.plan.sinceMs >= announceMs) {
      this.lease = limit;
      this.plan = undefined;
    }
  }

  /** What the others, dead ones included, leave of the budget. */
  private freeFor(nowMs: number, { monitors, connections }: Others): number {
    const ids = new Set(monitors.map(({ id }) => id));
    const isGone = this.lastSeen === undefined || [...this.lastSeen.ids].some((id) => !ids.has(id));
    const goneMs = isGone ? nowMs : (this.lastSeen?.goneMs ?? nowMs);
    this.lastSeen = { ids, goneMs };
    let limits = 0;
    let open = 0;
    for (const monitor of monitors) {
      limits += Math.max(monitor.limit, monitor.open);
      open += monitor.open;
    }
    const unknown = nowMs - goneMs < unknownMs ? Math.max(0, connections - open) : 0;
    return (this.terms.budget ?? 0) - limits - unknown;
  }
}
