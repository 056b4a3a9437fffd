/**
 * Buckets that several Weirs have together in Redis. Redis may refuse, send nonsense, be silent or take no writes: then it counts
 * as gone until an exchange has worked. Made by app/limits.ts.
 */
import { createHash } from 'node:crypto';
import { RedisCaller } from '../cache/redis-caller.ts';
import { addressOf } from '../cache/redis-link.ts';
import type { Reply } from '../cache/resp.ts';
import type { Log } from '../observability/types.ts';
import { keyPrefix, probeKey, script } from './redis-script.ts';
import type { SharedBuckets, Spent } from './types.ts';

/** So long an answering Redis must go on before the log says that it is back, and a loss is a new one. */
const defaultSteadyMs = 10_000;
/** An exchange that reads and writes like every other one, of a bucket that Redis forgets after a second. */
const probe: Spent = { key: 'probe', perMs: 1, burst: 1, spent: 0, left: 1 };
/** Of one exchange: 1000 numbers. */
const maxReplyBytes = 64 * 1024;

export interface RedisBucketsOptions {
  readonly url: string;
  /** What follows while Redis is gone, in words. */
  readonly consequence: string;
  readonly log: Log;
  readonly steadyMs?: number;
}

export class RedisBuckets implements SharedBuckets {
  private readonly options: RedisBucketsOptions;
  private readonly redis: RedisCaller;
  /** The log's last word is that Redis is gone. */
  private isSaidGone = false;
  private steady: NodeJS.Timeout | undefined;

  constructor(options: RedisBucketsOptions) {
    this.options = options;
    this.redis = new RedisCaller({
      url: options.url,
      clientName: 'weir-limits',
      maxReplyBytes,
      check: () => this.run([probe], [probeKey]),
      onReady: () => this.isBack(),
      onGone: (why) => this.isGone(why),
    });
    this.redis.start();
  }

  get isReady(): boolean {
    return this.redis.isReady;
  }

  /** Why Redis cannot be used; undefined: it can, or is only just being asked for the first time. */
  get problem(): string | undefined {
    return this.redis.problem;
  }

  exchange(spent: readonly Spent[]): Promise<readonly number[]> {
    const keys = spent.map(({ key }) => keyPrefix + createHash('sha256').update(key).digest('base64url'));
    return this.run(spent, keys);
  }

  stop(): void {
    clearTimeout(this.steady);
    this.redis.stop();
  }

  private run(spent: readonly Spent[], keys: readonly string[]): Promise<readonly number[]> {
    const values = spent.flatMap(({ spent: count, left, perMs, burst }) => [count, left, perMs, burst].map(String));
    return this.redis.call(script, keys, values, (reply) => numbersOf(reply, spent.length));
  }

  private isBack(): void {
    if (!this.isSaidGone) return;
    this.steady = setTimeout(() => {
      this.isSaidGone = false;
      this.say('info', 'answers again: limits are shared');
    }, this.options.steadyMs ?? defaultSteadyMs).unref();
  }

  private isGone(why: string): void {
    clearTimeout(this.steady);
    if (!this.isSaidGone) this.say('warn', `${why}; ${this.options.consequence}`);
    this.isSaidGone = true;
  }

  private say(level: 'info' | 'warn', what: string): void {
    const { host, port } = addressOf(this.options.url);
    this.options.log(level, 'limits_redis', `Redis at ${host}:${port}: ${what}`);
  }
}

/** @throws Error if that is not what the script answers */
function numbersOf(reply: Reply, count: number): number[] {
  if (!Array.isArray(reply) || reply.length !== count) throw new Error('it sends something else than was asked for');
  return (reply as readonly Reply[]).map((each) => {
    const number = Buffer.isBuffer(each) && each.length < 40 ? Number(each.toString('latin1')) : NaN;
    if (!Number.isFinite(number)) throw new Error('it sends numbers that are none');
    return number;
  });
}
