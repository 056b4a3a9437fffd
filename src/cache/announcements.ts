/**
 * Announces this Weir's writes to the others: before a write is sent to PostgreSQL, Redis is told that its tags are
 * closed, and told again before that marker lapses. If Redis cannot be told, the write waits until no other Weir can
 * have a lease. Made by membership.ts.
 */
import type { Log } from '../observability/types.ts';
import type { Tag } from '../binding/plan.ts';
import { waitAtMost } from './deadlines.ts';
import type { Lease } from './lease.ts';
import type { StoreWords } from './store-words.ts';
import { markerMs } from './transport.ts';

/** A write between close and outcome. */
interface OpenWrite {
  readonly tags: readonly Tag[];
  readonly note: string;
  sentAtMs: number;
  /** Redis has confirmed the announcement, on this connection or an earlier one. */
  isAnnounced: boolean;
}

export interface AnnouncementRules {
  readonly lease: Lease;
  readonly log: Log;
  readonly words: StoreWords;
  now(): number;
  /** Sends the announcement; resolves to true if Redis has confirmed it. Never rejects. */
  send(tags: readonly Tag[], token: string, note: string): Promise<boolean>;
  /** Number of the current connection to Redis; 0: none. */
  connection(): number;
  /** How often Redis was lost. */
  losses(): number;
  /** Redis did not confirm in time on that connection. */
  tooSlow(connection: number): void;
  /** A write goes on without having been announced. */
  unannounced(): void;
  /** For tests that take this rule out: the write does not wait for the leases of the others. */
  readonly ignoresLeases: boolean;
}

/** How long a write waits for Redis to confirm. After that, Redis counts as lost. */
export const announceDeadlineMs = 1_000;
/** How often a waiting write checks whether it may go on. */
const checkMs = 20;

export class Announcements {
  private readonly rules: AnnouncementRules;
  private readonly open = new Map<string, OpenWrite>();
  readonly figures = { writesHeld: 0, writesUnannounced: 0 };
  /** Number of losses of Redis at the last log line about waiting writes. */
  private loggedLoss = -1;

  constructor(rules: AnnouncementRules) {
    this.rules = rules;
  }

  /**
   * Resolves when the write may be sent. @param note tells other Weirs where the write runs, in case this process dies
   */
  async announce(token: string, tags: readonly Tag[], note: string): Promise<void> {
    const write = { tags, note, sentAtMs: this.rules.now(), isAnnounced: false };
    this.open.set(token, write);
    const connection = this.rules.connection();
    if (connection !== 0) {
      await waitAtMost(this.send(token, write), announceDeadlineMs);
      if (write.isAnnounced) return;
      this.rules.tooSlow(connection);
    }
    await this.holdUntilNoLease(token, write);
  }

  ended(token: string): void {
    this.open.delete(token);
  }

  /**
   * Repeats announcements that are a third of a marker's life old; `all`, if Redis may have lost the others, those of
   * every open write.
   */
  renew(all: boolean): void {
    const now = this.rules.now();
    for (const [token, write] of this.open)
      if (all || now - write.sentAtMs >= markerMs / 3) void this.send(token, write);
  }

  get size(): number {
    return this.open.size;
  }

  get tokens(): readonly string[] {
    return [...this.open.keys()];
  }

  private async send(token: string, write: OpenWrite): Promise<void> {
    write.sentAtMs = this.rules.now();
    if (await this.rules.send(write.tags, token, write.note)) write.isAnnounced = true;
  }

  private async holdUntilNoLease(token: string, write: OpenWrite): Promise<void> {
    const { rules } = this;
    let isHeld = false;
    while (!write.isAnnounced && this.open.get(token) === write) {
      const leftMs = rules.ignoresLeases ? 0 : rules.lease.othersEndMs - rules.now();
      if (!(leftMs > 0)) {
        this.figures.writesUnannounced++;
        return rules.unannounced();
      }
      if (!isHeld) this.noteHeld(leftMs);
      isHeld = true;
      await new Promise((resolve) => setTimeout(resolve, Math.min(leftMs, checkMs)));
    }
  }

  private noteHeld(leftMs: number): void {
    this.figures.writesHeld++;
    const losses = this.rules.losses();
    if (this.loggedLoss === losses) return;
    this.loggedLoss = losses;
    const { event, peer } = this.rules.words;
    const text = `writes wait ${Math.ceil(leftMs)} ms until no other ${peer} can show cached answers, then go on unannounced`;
    this.rules.log('warn', event, text);
  }
}
