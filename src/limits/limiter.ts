/**
 * Decides whether a statement or a new connection is within the limits, and counts what is refused. Asked by sessions
 * (request/limited.ts) and log-ins, never waits, and knows no other process: what was spent goes to them through `onSpent`.
 * Made by app/limits.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import { formatSize } from '../util/format-size.ts';
import type { Bucket } from './bucket.ts';
import { Buckets } from './buckets.ts';
import type { Account, BucketFigures, Hold, Limit, LimitFigures, LimitKind, StatementLimiter, Who } from './types.ts';
import { holdsOf, idOf, idOfKey, whomOf } from './whom.ts';

export interface LimiterOptions {
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly epochMs: () => number;
  readonly log: Log;
  /** Something was spent of the bucket. */
  onSpent?(bucket: Bucket): void;
  /** Why limits cannot be known, if that is to be an error (limits_fail: closed). */
  unknownWhy?(): string | undefined;
  readonly mostBuckets?: number;
}

/** What is counted of a limit. */
interface Tally {
  readonly limit: Limit;
  readonly sinceMs: number;
  refused: number;
  /** When a refusal was logged last, and how many there were then. */
  loggedAtMs: number;
  logged: number;
}

/** Why something is refused. */
interface Obstacle {
  readonly hold: Hold;
  readonly bucket: Bucket | undefined;
  readonly waitMs: number;
  /** The limits are not known. */
  readonly unknownWhy: string | undefined;
}

const unitMs: Readonly<Record<Limit['unit'], number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const logEveryMs = 60_000;
/** In SHOW LIMITS, of each limit. */
const mostShown = 100;

export const perMsOf = ({ amount, unit }: Limit): number => amount / unitMs[unit];
export const rateOf = ({ kind, amount, unit }: Limit): string =>
  kind === 'bytes' ? `${formatSize(amount)}/${unit}` : `${amount} ${kind}/${unit}`;

export class Limiter implements StatementLimiter {
  private readonly options: LimiterOptions;
  private readonly buckets: Buckets;
  private tallies: ReadonlyMap<string, Tally> = new Map();
  private limits: readonly Limit[] = [];
  private version = 0;

  constructor(limits: readonly Limit[], options: LimiterOptions) {
    this.options = options;
    this.buckets = new Buckets(options.mostBuckets);
    this.change(limits);
  }

  /** A limit that stays as it is keeps its buckets and its counts. */
  change(limits: readonly Limit[]): void {
    const now = this.options.epochMs();
    const fresh = (limit: Limit): Tally => ({ limit, sinceMs: now, refused: 0, loggedAtMs: -Infinity, logged: 0 });
    this.tallies = new Map(
      limits.map((limit) => {
        const id = idOf(limit);
        return [id, this.tallies.get(id) ?? fresh(limit)];
      }),
    );
    this.limits = limits;
    this.version++;
    this.buckets.keep((key) => this.tallies.has(idOfKey(key)));
  }

  accountOf(who: Who, known: Account | undefined): Account {
    if (known?.version === this.version) return known;
    const holds = holdsOf(this.limits, who);
    const ofKind = (kind: LimitKind): Hold[] => holds.filter(({ limit }) => limit.kind === kind);
    return { version: this.version, statements: ofKind('statements'), bytes: ofKind('bytes') };
  }

  tryTake(account: Account, statements: number): boolean {
    return this.takeOrSay(account, statements) === undefined;
  }

  take(account: Account, statements: number): WeirError | undefined {
    const obstacle = this.takeOrSay(account, statements);
    return obstacle === undefined ? undefined : this.refuse(obstacle, 'limit_reached');
  }

  private takeOrSay({ statements: own, bytes }: Account, statements: number): Obstacle | undefined {
    if (own.length === 0 && bytes.length === 0) return undefined;
    const now = this.options.nowMs();
    const obstacle = this.obstacle(own, now) ?? this.obstacle(bytes, now);
    if (obstacle === undefined) this.spendOf(own, statements, now);
    return obstacle;
  }

  spend(account: Account, statements: number): void {
    this.spendOf(account.statements, statements, this.options.nowMs());
  }

  spendBytes(account: Account, bytes: number): void {
    this.spendOf(account.bytes, bytes, this.options.nowMs());
  }

  /** A connection wants to log in. @returns why it may not; undefined: it was counted */
  connect(who: Who): WeirError | undefined {
    const holds = holdsOf(this.limits, who).filter(({ limit }) => limit.kind === 'connections');
    const now = this.options.nowMs();
    const obstacle = this.obstacle(holds, now);
    if (obstacle !== undefined) return this.refuse(obstacle, 'connection_limit_reached');
    this.spendOf(holds, 1, now);
    return undefined;
  }

  figures(problem: string | undefined): LimitFigures[] {
    const now = this.options.nowMs();
    const epoch = this.options.epochMs();
    this.buckets.sweep(now);
    const byLimit = new Map<string, Bucket[]>([...this.tallies.keys()].map((id) => [id, []]));
    for (const bucket of this.buckets.all()) byLimit.get(idOfKey(bucket.key))?.push(bucket);
    return [...this.tallies].map(([id, { limit, refused, sinceMs }]) => {
      const buckets = byLimit.get(id) ?? [];
      const { name, kind, amount, unit, burst } = limit;
      const shown = (bucket: Bucket): BucketFigures => ({
        whom: whomOf(limit, bucket.key),
        tokens: bucket.left(now),
        refused: bucket.refused,
        sinceMs: epoch - (now - bucket.sinceMs),
      });
      const whom = buckets
        .sort((a, b) => a.left(now) / a.burst - b.left(now) / b.burst)
        .slice(0, mostShown)
        .map(shown);
      const rate = `${kind === 'bytes' ? formatSize(amount) : amount}/${unit}`;
      return { name, kind, rate, burst, buckets: buckets.length, refused, sinceMs, problem, whom };
    });
  }

  /** Of the limits that are reached, the one for which it takes longest; undefined: none is. */
  private obstacle(holds: readonly Hold[], nowMs: number): Obstacle | undefined {
    const [first] = holds;
    if (first === undefined) return undefined;
    const unknownWhy = this.options.unknownWhy?.();
    if (unknownWhy !== undefined) return { hold: first, bucket: undefined, waitMs: 0, unknownWhy };
    let found: Obstacle | undefined;
    for (const hold of holds) {
      const bucket = this.buckets.find(hold.key);
      const waitMs = bucket?.waitMs(nowMs) ?? 0;
      if (waitMs > (found?.waitMs ?? 0)) found = { hold, bucket, waitMs, unknownWhy };
    }
    return found;
  }

  private spendOf(holds: readonly Hold[], count: number, nowMs: number): void {
    for (const { limit, key } of holds) {
      const bucket = this.buckets.open(key, perMsOf(limit), limit.burst, nowMs);
      bucket.spend(count, nowMs);
      this.options.onSpent?.(bucket);
    }
  }

  private refuse(obstacle: Obstacle, name: 'limit_reached' | 'connection_limit_reached'): WeirError {
    const { hold, bucket, waitMs, unknownWhy } = obstacle;
    this.count(obstacle);
    if (bucket !== undefined) bucket.refused++;
    if (unknownWhy !== undefined) return new WeirError('limits_unknown', { why: unknownWhy });
    const { limit, key } = hold;
    const values = { limit: limit.name, rate: rateOf(limit), whom: whomOf(limit, key), ms: Math.ceil(waitMs) };
    return new WeirError(name, values);
  }

  private count({ hold: { limit, key }, unknownWhy }: Obstacle): void {
    const tally = this.tallies.get(idOf(limit));
    if (tally === undefined) return;
    tally.refused++;
    const now = this.options.nowMs();
    if (now - tally.loggedAtMs < logEveryMs) return;
    const refused = tally.refused - tally.logged;
    tally.loggedAtMs = now;
    tally.logged = tally.refused;
    const whom = whomOf(limit, key);
    const what =
      unknownWhy === undefined
        ? `the limit "${limit.name}" of ${rateOf(limit)} is reached for ${whom}`
        : `the limit "${limit.name}" cannot be checked: ${unknownWhy}`;
    const fields = { limit: limit.name, kind: limit.kind, whom, refused };
    this.options.log(
      'warn',
      'limit_refused',
      `${what}; for each limit, there is one such line a minute at most`,
      fields,
    );
  }
}
