/**
 * This Weir as a member of those that share the Redis: its lease, its announced writes, and the open writes of members
 * that are gone. Makes the request of `hello` and distributes its answer. Made and called by redis-sync.ts.
 */
import { Announcements, type AnnouncementRules } from './announcements.ts';
import { Lease } from './lease.ts';
import { OrphanedWrites, type OrphanRules } from './orphaned-writes.ts';
import type { PeersOptions } from './parts.ts';
import type { HelloReply, HelloRequest } from './transport.ts';

export type MembershipLinks = Pick<AnnouncementRules, 'send' | 'connection' | 'tooSlow' | 'unannounced'> &
  Pick<OrphanRules, 'opened'>;

export class Membership {
  readonly lease: Lease;
  readonly announcements: Announcements;
  readonly orphans: OrphanedWrites;
  private readonly options: PeersOptions;

  constructor(options: PeersOptions, links: MembershipLinks) {
    const { settings, log, now, rules, table, undecided } = options;
    this.options = options;
    this.lease = new Lease(settings.leaseMs, settings.memberTimeoutMs, now());
    const { lease } = this;
    this.announcements = new Announcements({ ...links, lease, log, now, ignoresLeases: rules.ignoresOthersLeases });
    const { opened } = links;
    this.orphans = new OrphanedWrites({ table, log, undecided, opened, ignoresOrphans: rules.ignoresOrphans });
  }

  request(rotate: boolean): HelloRequest {
    return { ...this.lease.request(rotate), open: this.announcements.tokens, orphans: this.orphans.known };
  }

  heard(reply: HelloReply): void {
    this.lease.heard(reply, this.options);
    this.orphans.learn(reply);
  }
}
