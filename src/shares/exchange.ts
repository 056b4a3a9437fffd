/**
 * Talks to the other Weirs about one server: every second, and at once when connections are short, it says in Redis what this
 * Weir has and needs, and looks at the server who else is there. Made by app/shared-budget.ts.
 */
import { lookSql, othersIn, seenIn, shownName } from './look.ts';
import type { Terms } from './own-share.ts';
import type { SayOptions, Saying, ShareKeeper } from './share-book.ts';
import type { Answer, Said, Seen, ShareReason, ShareState } from './types.ts';

export interface ExchangeOptions {
  /** host:port */
  readonly server: string;
  /** What the server is to all Weirs; undefined: not known yet. */
  identity(): string | undefined;
  readonly keeper: ShareKeeper;
  terms(): Terms;
  readonly ledgers: {
    readonly problem: string | undefined;
    exchange(identity: string, said: Said): Promise<Answer | undefined>;
  };
  /** Asks the server on the connection of the monitor. */
  ask(sql: string, values: readonly unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  readonly nowMs: () => number;
  /** Says once how things stand now. */
  onState(state: ShareState, why: string): void;
  /** Pools have needed more than the Weir may have, in the last second. */
  onShort(reason: ShareReason | ShareState): void;
}

export interface Standing {
  readonly state: ShareState;
  readonly limit: number;
  readonly open: number;
  readonly answer: Answer | undefined;
  readonly problem: string | undefined;
}

const everyMs = 1_000;
/** Between two exchanges that are asked for. */
const leastMs = 100;

export class Exchange {
  private readonly options: ExchangeOptions;
  private timer: NodeJS.Timeout | undefined;
  private urgent: NodeJS.Timeout | undefined;
  private underWay: Promise<void> | undefined;
  private isLooking = false;
  private lastMs = -Infinity;
  private answer: { readonly what: Answer; readonly atMs: number } | undefined;
  private seen: Seen | undefined;
  private problem: string | undefined;
  private last: Saying | undefined;
  private saidState: ShareState = 'starting';

  constructor(options: ExchangeOptions) {
    this.options = options;
  }

  start(): void {
    this.timer = setInterval(() => this.tick(), everyMs).unref();
    this.tick();
  }

  stop(): void {
    clearInterval(this.timer);
    clearTimeout(this.urgent);
    this.timer = this.urgent = undefined;
  }

  get standing(): Standing {
    const { last, answer, problem } = this;
    const open = last?.said.open ?? 0;
    return { state: last?.state ?? 'starting', limit: last?.limit ?? 0, open, answer: answer?.what, problem };
  }

  /** Connections are short here. */
  hurry(): void {
    if (this.urgent !== undefined || this.timer === undefined) return;
    const waitMs = Math.max(0, this.lastMs + leastMs - this.options.nowMs());
    this.urgent = setTimeout(() => {
      this.urgent = undefined;
      void this.exchange(false);
    }, waitMs).unref();
  }

  /** The last word: this Weir opens no connections any more. */
  async leave(): Promise<void> {
    this.stop();
    await this.underWay;
    await this.exchange(true);
  }

  private tick(): void {
    void this.exchange(false).then(() => this.noteShortage());
    void this.look();
  }

  private exchange(isLeaving: boolean): Promise<void> {
    if (this.underWay !== undefined) return this.underWay;
    this.lastMs = this.options.nowMs();
    this.underWay = this.sayAndHear(isLeaving)
      .catch((error: unknown) => void (this.problem = (error as Error).message))
      .finally(() => (this.underWay = undefined));
    return this.underWay;
  }

  private async sayAndHear(isLeaving: boolean): Promise<void> {
    const { keeper, server, ledgers, nowMs } = this.options;
    const identity = this.options.identity();
    const isRedisGone = ledgers.problem !== undefined || this.problem !== undefined;
    const options: SayOptions = { terms: this.options.terms(), seen: this.seen, isLeaving, isRedisGone };
    const saying = await keeper.say(server, options);
    this.last = saying;
    this.tell(saying.state);
    if (identity === undefined) return;
    const what = await ledgers.exchange(identity, saying.said);
    this.seen = undefined;
    this.problem = undefined;
    if (what === undefined) return;
    this.answer = { what, atMs: nowMs() };
    await keeper.hear(server, saying.said.seq, what);
    this.last = { ...saying, limit: what.limit, state: 'granted' };
    this.tell('granted');
  }

  private noteShortage(): void {
    const { last, answer } = this;
    if (last === undefined || last.said.need <= last.limit) return;
    this.options.onShort(last.state === 'granted' ? (answer?.what.why ?? 'fair share') : last.state);
  }

  private tell(state: ShareState): void {
    if (state === this.saidState) return;
    this.saidState = state;
    this.options.onState(state, this.options.ledgers.problem ?? this.problem ?? '');
  }

  /** Shows the other Weirs that this one is there, and sees which are. */
  private async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    const { keeper, server, ask, nowMs } = this.options;
    const { answer } = this;
    try {
      const { shown, atMs, pids } = await keeper.show(server);
      const rows = await ask(lookSql, [shownName(shown)]);
      await keeper.shown(server, atMs, othersIn(rows, shown.id, pids));
      if (answer !== undefined) this.seen = seenIn(rows, answer.what, nowMs() - answer.atMs, shown.id, pids);
    } catch {
      // Not logged in, or the server is down: then nothing was shown and nothing seen.
    } finally {
      this.isLooking = false;
    }
  }
}
