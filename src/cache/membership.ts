/**
 * This Weir as a member of those that share the Redis: its lease, its announced writes, and the open writes of members
 * that are gone. Makes the request of `hello` and distributes its answer. Made and called by redis-sync.ts.
 */
import { Announcements, type AnnouncementRules } from './announcements.ts';
import { Lease } from './lease.ts';
import { OrphanedWrites, type OrphanRules } from './orphaned-writes.ts';
import type { PeersOptions } from './parts.ts';
import { storeWords, type StoreWords } from './store-words.ts';
import type { HelloReply, HelloRequest } from './transport.ts';

export type MembershipLinks = Pick<AnnouncementRules, 'send' | 'connection' | 'losses' | 'tooSlow' | 'unannounced'> &
  Pick<OrphanRules, 'opened'>;

export class Membership {
  readonly lease: Lease;
  readonly announcements: Announcements;
  readonly orphans: OrphanedWrites;
  private readonly options: PeersOptions;
  private readonly words: StoreWords;

  constructor(options: PeersOptions, links: MembershipLinks) {
    const { settings, log, now, rules, table, undecided } = options;
    this.options = options;
    const words = storeWords[options.transport.kind];
    this.words = words;
    this.lease = new Lease(settings.leaseMs, settings.memberTimeoutMs, now());
    const { lease } = this;
    this.announcements = new Announcements({
      ...links,
      lease,
      log,
      words,
      now,
      ignoresLeases: rules.ignoresOthersLeases,
    });
    const { opened } = links;
    this.orphans = new OrphanedWrites({ table, log, words, undecided, opened, ignoresOrphans: rules.ignoresOrphans });
  }

  request(rotate: boolean): HelloRequest {
    return { ...this.lease.request(rotate), open: this.announcements.tokens, orphans: this.orphans.known };
  }

  heard(reply: HelloReply): void {
    const { log, now, instanceId, settings } = this.options;
    this.lease.heard(reply, { log, words: this.words, instanceId, now, isEnabled: settings.enabled });
    this.orphans.learn(reply);
  }
}
