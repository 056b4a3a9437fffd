/**
 * This Weir among those that share the Redis: its lease, its writes that are under way, and those that it has inherited. Puts
 * together what `hello` says and hears. Made and driven by in-step.ts.
 */
import { Announcements, type AnnouncementRules } from './announcements.ts';
import { Inheritance, type InheritanceRules } from './inheritance.ts';
import { Lease } from './lease.ts';
import type { PeersOptions } from './parts.ts';
import type { HelloReply, HelloRequest } from './transport.ts';

export type MembershipLinks = Pick<AnnouncementRules, 'send' | 'link' | 'tooSlow' | 'unannounced'> &
  Pick<InheritanceRules, 'opened'>;

export class Membership {
  readonly lease: Lease;
  readonly announcements: Announcements;
  readonly inheritance: Inheritance;
  private readonly options: PeersOptions;

  constructor(options: PeersOptions, links: MembershipLinks) {
    const { settings, log, now, rules, table, undecided } = options;
    this.options = options;
    this.lease = new Lease(settings.leaseMs, settings.memberTimeoutMs, now());
    const { lease } = this;
    this.announcements = new Announcements({ ...links, lease, log, now, ignoresLeases: rules.ignoresOthersLeases });
    const { opened } = links;
    this.inheritance = new Inheritance({ table, log, undecided, opened, ignoresOrphans: rules.ignoresOrphans });
  }

  request(rotate: boolean): HelloRequest {
    return { ...this.lease.request(rotate), open: this.announcements.tokens, orphans: this.inheritance.known };
  }

  heard(reply: HelloReply): void {
    this.lease.heard(reply, this.options);
    this.inheritance.learn(reply);
  }
}
