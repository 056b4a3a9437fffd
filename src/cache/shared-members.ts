/**
 * Which workers of one Weir share stamps, up to when each is known to have received answers, and who is granted a lease:
 * the script `hello` of scripts.ts, with the supervisor's clock in place of Redis's. In addition, a worker is known to have
 * ended, so nobody waits for it. Made and called by shared-memory.ts.
 */
import { Inheritance, ownerOf, type OpenWrites } from './open-writes.ts';
import type { HelloReply, HelloRequest } from './transport.ts';

interface Member {
  /** Time of the newest answer that is known to have reached it; until the first one, a time too old for any lease. */
  readonly seenMs: number;
  readonly leaseMs: number;
  /** An answer of this memory is known to have reached it. */
  readonly hasHeard: boolean;
}

/** What the answer to `hello` says of all members. */
export type Granted = Omit<HelloReply, 'incarnation' | 'messages'> & {
  /** One was removed that may have written without an announcement: a new incarnation is needed. */
  readonly hasLost: boolean;
};

/** Survives a structured clone. */
export type SharedMembersState = ReadonlyMap<string, Member>;

export interface SharedMembersOptions {
  /** Names this memory in each `echo`: an echo of another memory proves nothing. */
  readonly generation: string;
  readonly writes: OpenWrites;
  /** No lease is granted within one lease after this time: a member of an earlier memory may have one, or write. */
  readonly bornMs: number;
  /** Of another process, with the same clock. */
  readonly state?: SharedMembersState | undefined;
}

export class SharedMembers {
  private readonly options: SharedMembersOptions;
  private readonly members: Map<string, Member>;

  constructor(options: SharedMembersOptions) {
    this.options = options;
    this.members = new Map(options.state);
  }

  state(): SharedMembersState {
    return this.members;
  }

  hello(from: string, request: HelloRequest, nowMs: number): Granted {
    const { generation, writes } = this.options;
    const { leaseMs, echo } = request;
    const known = this.members.get(from);
    let seenMs = known?.seenMs ?? nowMs - leaseMs - 1;
    let [hasHeard, isOld] = [known?.hasHeard === true, false];
    const heardMs = heardIn(echo, generation);
    if (heardMs === undefined) this.restore(from, request, nowMs);
    else {
      // Sent on a connection that was given up, and carried out late: it does not know what was begun meanwhile.
      isOld = heardMs < seenMs;
      hasHeard ||= !isOld;
      seenMs = Math.max(seenMs, heardMs);
    }
    this.members.set(from, { seenMs, leaseMs, hasHeard });
    if (!isOld) writes.keepOnly(from, request.open);
    return this.answer(from, request, nowMs);
  }

  /** It has said that it leaves: it has no open write, and no write of it is unannounced. */
  leave(id: string): void {
    this.members.delete(id);
    this.options.writes.forget(id);
  }

  /**
   * Its process has ended. Its open writes are inherited at once, unless it had not been heard of for so long that it may
   * have sent a write unannounced: then it stays a missing member until `backendsGone`, or for cache.member_timeout.
   */
  ended(id: string, nowMs: number): void {
    const member = this.members.get(id);
    // A write is sent unannounced more than two leases after the last answer (lease.ts, othersEndMs).
    if (member !== undefined && !(member.hasHeard && nowMs - member.seenMs <= 2 * member.leaseMs)) return;
    this.members.delete(id);
    this.options.writes.markGone(id);
  }

  /**
   * Its process has ended, and so has each of its server connections: it cannot write any more.
   * @returns true if it was still a member, so that it may have written without an announcement
   */
  backendsGone(id: string): boolean {
    if (!this.members.delete(id)) return false;
    this.options.writes.markGone(id);
    return true;
  }

  private isHeard(id: string, nowMs: number, leases: number): boolean {
    const member = this.members.get(id);
    return member !== undefined && nowMs - member.seenMs <= leases * member.leaseMs;
  }

  /** The caller knows an earlier memory: takes from it what it knows of others. */
  private restore(from: string, { members, orphans, leaseMs }: HelloRequest, nowMs: number): void {
    const { writes } = this.options;
    for (const id of members) {
      if (this.members.has(id)) continue;
      this.members.set(id, { seenMs: nowMs - leaseMs - 1, leaseMs, hasHeard: false });
    }
    for (const { token, note } of orphans) {
      const owner = ownerOf(token);
      if (owner === undefined || owner === from || this.isHeard(owner, nowMs, 1)) continue;
      writes.add(owner, token, note);
      if (!this.members.has(owner)) writes.markGone(owner);
    }
  }

  private answer(from: string, { leaseMs, memberTimeoutMs }: HelloRequest, nowMs: number): Granted {
    const { generation, writes, bornMs } = this.options;
    const inheritance = new Inheritance();
    const members: string[] = [];
    const missing: string[] = [];
    let [shortestMs, hasLost] = [leaseMs, false];
    for (const [id, member] of this.members) {
      const silentMs = nowMs - member.seenMs;
      if (id !== from && silentMs > member.leaseMs + memberTimeoutMs) {
        this.members.delete(id);
        writes.markGone(id);
        hasLost = true;
        continue;
      }
      // Who is only late will answer for its writes itself.
      if (id !== from && silentMs > 2 * member.leaseMs) writes.inherit(id, inheritance);
      members.push(id);
      shortestMs = Math.min(shortestMs, member.leaseMs);
      if (silentMs > member.leaseMs) missing.push(id);
    }
    writes.inheritGone(inheritance, (id) => id === from || this.members.has(id));
    const { orphans, isWhole } = inheritance;
    const isGranted = missing.length === 0 && nowMs - bornMs > leaseMs && isWhole;
    const echo = `${generation} ${nowMs}`;
    return { echo, isGranted, leaseMs: shortestMs, members, missing, orphans, isWhole, hasLost };
  }
}

/** @returns the time in an echo of this generation; undefined for any other */
function heardIn(echo: string, generation: string): number | undefined {
  const [named, heard] = echo.split(' ');
  return named === generation ? Number(heard) : undefined;
}
