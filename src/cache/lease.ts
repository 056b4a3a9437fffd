/**
 * Until when this Weir may show cached answers, and from when on no other Weir may (docs/consistency.md, "Leases"; rules 14 to
 * 16). All times are of this process's monotonic clock; a time of the clock of Redis is only sent back to Redis. Changed by
 * redis-sync.ts.
 */
import type { Log } from '../observability/types.ts';
import type { HelloReply, HelloRequest } from './transport.ts';

/** A lease that Redis has granted. */
interface Grant {
  readonly untilMs: number;
  /** Number of the last message that was published before: those up to it must have arrived. */
  readonly messages: number;
}

interface Listener {
  readonly log: Log;
  readonly instanceId: string;
  now(): number;
}

/** Clocks run at different speeds: an interval that another process measures may be this much longer here. */
const drift = 1.1;

export class Lease {
  /** What each hit compares with the clock. */
  untilMs = -Infinity;
  readonly lengthMs: number;
  private readonly memberTimeoutMs: number;
  /** Part of the last answer of Redis. Sent back, it shows Redis that the answer has arrived. */
  private echo = '';
  /** Oldest first: granted, but not every message that was published before has arrived here. */
  private readonly grants: Grant[] = [];
  /** When the last answer arrived; until the first one, when this process started. */
  private heardMs: number;
  private members: readonly string[] = [];
  /** The missing Weirs of the last answer, as in the log. */
  private missing = '';

  constructor(lengthMs: number, memberTimeoutMs: number, nowMs: number) {
    this.heardMs = nowMs;
    this.lengthMs = lengthMs;
    this.memberTimeoutMs = memberTimeoutMs;
  }

  request(rotate: boolean): Omit<HelloRequest, 'open' | 'orphans'> {
    const { echo, lengthMs, memberTimeoutMs, members } = this;
    return { rotate, echo, leaseMs: lengthMs, memberTimeoutMs, members };
  }

  /** An answer has arrived, of whatever connection. */
  heard(reply: HelloReply, { now, log, instanceId }: Listener): void {
    this.echo = reply.echo;
    this.heardMs = now();
    this.members = reply.members;
    const missing = reply.missing.filter((id) => id !== instanceId).join(', ');
    if (missing === this.missing) return;
    this.missing = missing;
    if (missing === '') return log('info', 'cache_members', 'all Weirs that share the Redis are heard of');
    log('warn', 'cache_members', `Weirs that share the Redis are missing, so nothing is cached for now: ${missing}`);
  }

  /**
   * Commands and messages come on different connections: that commands are answered proves nothing about messages. So it counts
   * only when `arrived` says that all messages have come that were published before.
   * @param sentAtMs when it was asked for: Redis counts from later on
   */
  granted(reply: HelloReply, sentAtMs: number): void {
    // Leases that are over are of no use; without them the list stays short, also if messages arrive late.
    while (this.grants.length > 0 && this.grants[0]!.untilMs <= sentAtMs) this.grants.shift();
    const untilMs = sentAtMs + Math.min(reply.leaseMs, this.lengthMs);
    this.grants.push({ untilMs, messages: reply.messages });
  }

  /** @param last number of the last message up to which all have arrived */
  arrived(last: number): void {
    for (let next = this.grants[0]; next !== undefined && next.messages <= last; next = this.grants[0]) {
      this.untilMs = Math.max(this.untilMs, next.untilMs);
      this.grants.shift();
    }
  }

  drop(): void {
    this.untilMs = -Infinity;
    this.grants.length = 0;
  }

  /**
   * From then on nobody's lease is valid unless we are heard of again: Redis grants none later than `lengthMs` after what we
   * have told it last, which happened before it arrived here, and none is longer than `lengthMs`.
   */
  get othersEndMs(): number {
    return this.heardMs + 2 * this.lengthMs * drift;
  }
}
