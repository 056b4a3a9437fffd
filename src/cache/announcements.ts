/**
 * Our writes that are under way: the word that their tags are closed goes to Redis before they are sent, and again before it
 * lapses. What cannot be announced is held until nobody can have a lease any more. Made by membership.ts.
 */
import type { Log } from '../observability/types.ts';
import type { Tag } from '../binding/plan.ts';
import type { Lease } from './lease.ts';
import { markerMs } from './transport.ts';
import { within } from './within.ts';

interface OpenGuard {
  readonly names: readonly Tag[];
  readonly note: string;
  sentAtMs: number;
  /** Redis has confirmed it, on this connection or one before. */
  isKnown: boolean;
}

export interface AnnouncementRules {
  readonly lease: Lease;
  readonly log: Log;
  now(): number;
  /** Sends the word; resolves to whether Redis has confirmed it, never rejects. */
  send(names: readonly Tag[], token: string, note: string): Promise<boolean>;
  /** Number of the connection in use, 0 = none. */
  link(): number;
  /** Redis is too slow on that connection. */
  tooSlow(link: number): void;
  /** A write goes on without having been announced. */
  unannounced(): void;
  /** Rule taken out by tests: nobody's lease is waited for. */
  readonly ignoresLeases: boolean;
}

/** How long a write waits for Redis to know of it; then Redis counts as lost. */
export const announceDeadlineMs = 1_000;
/** How often a write that is held looks whether it may go on. */
const lookMs = 20;

export class Announcements {
  private readonly rules: AnnouncementRules;
  private readonly open = new Map<string, OpenGuard>();
  /** Of this loss of Redis it was said in the log that writes wait. */
  private saidOfLink = -1;
  readonly figures = { writesHeld: 0, writesUnannounced: 0 };
  private links = 0;

  constructor(rules: AnnouncementRules) {
    this.rules = rules;
  }

  /** Resolves when the write may be sent. `note` is for the others, should we be killed. */
  async announce(token: string, names: readonly Tag[], note: string): Promise<void> {
    const guard = { names, note, sentAtMs: this.rules.now(), isKnown: false };
    this.open.set(token, guard);
    const link = this.rules.link();
    if (link !== 0) {
      await within(this.send(token, guard), announceDeadlineMs);
      if (guard.isKnown) return;
      this.rules.tooSlow(link);
    }
    await this.untilNobodyServes(token, guard);
  }

  ended(token: string): void {
    this.open.delete(token);
  }

  /** Again those whose markers have lapsed by a third; `all` after a loss, by which they may be gone. */
  renew(all: boolean): void {
    const now = this.rules.now();
    if (all) this.links++;
    for (const [token, guard] of this.open)
      if (all || now - guard.sentAtMs >= markerMs / 3) void this.send(token, guard);
  }

  get size(): number {
    return this.open.size;
  }

  get tokens(): readonly string[] {
    return [...this.open.keys()];
  }

  private async send(token: string, guard: OpenGuard): Promise<void> {
    guard.sentAtMs = this.rules.now();
    if (await this.rules.send(guard.names, token, guard.note)) guard.isKnown = true;
  }

  private async untilNobodyServes(token: string, guard: OpenGuard): Promise<void> {
    const { rules } = this;
    let isHeld = false;
    while (!guard.isKnown && this.open.get(token) === guard) {
      const leftMs = rules.ignoresLeases ? 0 : rules.lease.othersEndMs - rules.now();
      if (!(leftMs > 0)) {
        this.figures.writesUnannounced++;
        return rules.unannounced();
      }
      if (!isHeld) this.hold(leftMs);
      isHeld = true;
      await new Promise((resolve) => setTimeout(resolve, Math.min(leftMs, lookMs)));
    }
  }

  private hold(leftMs: number): void {
    this.figures.writesHeld++;
    if (this.saidOfLink === this.links) return;
    this.saidOfLink = this.links;
    const text = `writes wait ${Math.ceil(leftMs)} ms until no other Weir can show cached answers, then go on unannounced`;
    this.rules.log('warn', 'cache_redis', text);
  }
}
