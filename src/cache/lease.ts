/**
 * Until when this Weir may show cached answers, and when no other Weir may any more (docs/consistency.md, "Leases";
 * rules 14 to 16). All times are of this process's monotonic clock; a time of Redis is only sent back to Redis.
 * Changed by redis-sync.ts.
 */
import type { Log } from '../observability/types.ts';
import type { StoreWords } from './store-words.ts';
import type { HelloReply, HelloRequest } from './transport.ts';

/** A lease that Redis has granted. */
interface Grant {
  readonly untilMs: number;
  /** Number of the last message published before the grant: the lease is valid only when all up to it have arrived. */
  readonly messages: number;
}

interface Listener {
  readonly log: Log;
  readonly words: StoreWords;
  readonly instanceId: string;
  /** cache.enabled: else nobody misses the lease. */
  readonly isEnabled: boolean;
  now(): number;
}

/** Clocks run at different speeds: an interval measured by another process may be this much longer here. */
const drift = 1.1;

export class Lease {
  /** Each cache hit compares this with the clock. */
  untilMs = -Infinity;
  readonly lengthMs: number;
  private readonly memberTimeoutMs: number;
  /** From the last answer of Redis. Sent back, it proves that the answer has arrived. */
  private echo = '';
  /** Granted leases, oldest first, that wait for messages published before them. */
  private readonly grants: Grant[] = [];
  /** When the last answer arrived; until the first one, when this process started. */
  private heardMs: number;
  private members: readonly string[] = [];
  /** The missing Weirs of the last answer, as logged. */
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

  /** An answer to `hello` has arrived, on any connection. */
  heard(reply: HelloReply, { now, log, words, instanceId, isEnabled }: Listener): void {
    this.echo = reply.echo;
    this.heardMs = now();
    this.members = reply.members;
    const missing = reply.missing.filter((id) => id !== instanceId).join(', ');
    if (missing === this.missing) return;
    this.missing = missing;
    const level = missing === '' ? 'info' : 'warn';
    const text =
      missing === ''
        ? `all ${words.sharers} are heard of`
        : `${words.sharers} are missing, so nothing is cached for now: ${missing}`;
    log(isEnabled ? level : 'debug', 'cache_members', text);
  }

  /**
   * Commands and messages use different connections, so an answer to a command proves nothing about messages. The
   * lease therefore counts only after `arrived` has reported all messages published before it.
   * @param sentAtMs when the lease was requested; Redis counts from a later moment
   */
  granted(reply: HelloReply, sentAtMs: number): void {
    // Drops leases that have ended, so that the list stays short even if messages arrive late.
    while (this.grants.length > 0 && this.grants[0]!.untilMs <= sentAtMs) this.grants.shift();
    const untilMs = sentAtMs + Math.min(reply.leaseMs, this.lengthMs);
    this.grants.push({ untilMs, messages: reply.messages });
  }

  /** @param last all messages up to this number have arrived */
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
   * From this time on no other Weir has a valid lease, unless Redis hears from this one again: Redis grants none later
   * than `lengthMs` after the newest answer that this Weir has reported as received (`echo`), which is no later than
   * `heardMs`, and none is longer than `lengthMs`.
   */
  get othersEndMs(): number {
    return this.heardMs + 2 * this.lengthMs * drift;
  }
}
