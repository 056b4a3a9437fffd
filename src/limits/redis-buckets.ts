/**
 * Buckets that several Weirs have together in Redis. Keeps one connection, and makes the next one a second after it is lost.
 * Redis may refuse, send nonsense or be silent: then it counts as gone until an exchange has worked. Made by app/limits.ts.
 */
import { createHash } from 'node:crypto';
import { addressOf, RedisLink } from '../cache/redis-link.ts';
import type { Reply } from '../cache/resp.ts';
import type { Log } from '../observability/types.ts';
import { keyPrefix, script } from './redis-script.ts';
import type { SharedBuckets, Spent } from './types.ts';

/** After so long without an answer, Redis counts as gone. */
const answerWithinMs = 1_000;
const againAfterMs = 1_000;
/** Of one exchange: 1000 numbers. */
const maxReplyBytes = 64 * 1024;

export interface RedisBucketsOptions {
  readonly url: string;
  /** What follows while Redis is gone, in words. */
  readonly consequence: string;
  readonly log: Log;
}

export class RedisBuckets implements SharedBuckets {
  private readonly options: RedisBucketsOptions;
  private link: RedisLink | undefined;
  private retry: NodeJS.Timeout | undefined;
  private state: 'starting' | 'ready' | 'gone' | 'stopped' = 'starting';
  private why = '';

  constructor(options: RedisBucketsOptions) {
    this.options = options;
    this.connect();
  }

  get isReady(): boolean {
    return this.state === 'ready';
  }

  /** Why Redis cannot be used; undefined: it can, or is only just being asked for the first time. */
  get problem(): string | undefined {
    return this.state === 'gone' ? this.why : undefined;
  }

  async exchange(spent: readonly Spent[]): Promise<readonly number[]> {
    const { link } = this;
    if (link === undefined) throw new Error('not connected');
    const keys = spent.map(({ key }) => keyPrefix + createHash('sha256').update(key).digest('base64url'));
    const values = spent.flatMap(({ spent: count, left, perMs, burst }) => [count, left, perMs, burst].map(String));
    const deadline = setTimeout(() => link.end(new Error('it does not answer')), answerWithinMs).unref();
    try {
      return numbersOf(await link.call(['EVAL', script, keys.length, ...keys, ...values]), spent.length);
    } catch (error) {
      link.end(error as Error);
      throw error;
    } finally {
      clearTimeout(deadline);
    }
  }

  stop(): void {
    this.state = 'stopped';
    clearTimeout(this.retry);
    this.link?.end(new Error('stopped'));
  }

  private connect(): void {
    const address = addressOf(this.options.url);
    const { user, password, db } = address;
    const link = new RedisLink(
      address,
      { maxBytes: maxReplyBytes },
      { onLost: (lost, error) => lost === this.link && this.lost(error), onMessage: () => undefined },
    );
    this.link = link;
    const refused = (error: Error): void => link.end(error);
    if (password !== '') link.call(user === '' ? ['AUTH', password] : ['AUTH', user, password]).catch(refused);
    if (db !== 0) link.call(['SELECT', db]).catch(refused);
    // The name is only for CLIENT LIST, so a refusal of this command does not matter.
    link.call(['CLIENT', 'SETNAME', 'weir-limits']).catch(() => undefined);
    this.exchange([]).then(
      () => this.ready(),
      () => undefined,
    );
  }

  private ready(): void {
    if (this.state === 'stopped') return;
    if (this.state === 'gone') this.say('info', 'answers again: limits are shared');
    this.state = 'ready';
  }

  private lost(error: Error): void {
    this.link = undefined;
    if (this.state === 'stopped') return;
    const isNew = this.state !== 'gone';
    this.state = 'gone';
    this.why = error.message;
    if (isNew) this.say('warn', `${error.message}; ${this.options.consequence}`);
    this.retry = setTimeout(() => this.connect(), againAfterMs).unref();
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
