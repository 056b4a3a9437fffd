/**
 * The rate limits in force: makes the limiter from the settings, and shares its buckets with the other workers or, over
 * Redis, with other Weirs. Made by parts.ts; a reload changes it.
 */
import type { LimitSettings } from '../config/config.ts';
import { Exchange } from '../limits/exchange.ts';
import { Limiter } from '../limits/limiter.ts';
import { RedisBuckets } from '../limits/redis-buckets.ts';
import type { LimitFigures, LimitsInForce, SharedBuckets } from '../limits/types.ts';
import type { Log } from '../observability/types.ts';
import type { WorkerLink } from '../workers/worker-link.ts';

export interface LimitsOptions {
  /** Undefined: this process is the whole Weir. */
  readonly worker: Pick<WorkerLink, 'channel'> | undefined;
  readonly log: Log;
  readonly nowMs: () => number;
  readonly epochMs: () => number;
}

const consequences = {
  open: 'until then, limits hold for each Weir by itself',
  closed: 'until then, whom a limit concerns is refused',
} as const;

export class Limits implements LimitsInForce {
  /** undefined: there are none. */
  active: Limiter | undefined;
  private readonly options: LimitsOptions;
  private readonly workers: SharedBuckets | undefined;
  private redis: RedisBuckets | undefined;
  private exchange: Exchange | undefined;
  private settings: Omit<LimitSettings, 'rules'> = { redis: undefined, fail: 'open' };

  constructor(options: LimitsOptions) {
    this.options = options;
    const { worker } = options;
    this.workers = worker === undefined ? undefined : { exchange: (spent) => worker.channel.ask('limits', spent) };
  }

  /** Limits that stay as they are keep their buckets. */
  apply({ rules, redis, fail }: LimitSettings): void {
    const wanted = rules.length === 0 ? undefined : redis;
    if (wanted !== this.settings.redis || fail !== this.settings.fail) this.connect(wanted, fail);
    if (rules.length === 0) {
      this.active = undefined;
      this.exchange?.stop();
      this.exchange = undefined;
    } else if (this.active === undefined) this.active = this.make(rules);
    else this.active.change(rules);
  }

  figures(): LimitFigures[] {
    return this.active?.figures(this.redis?.problem) ?? [];
  }

  stop(): void {
    this.exchange?.stop();
    this.redis?.stop();
  }

  private connect(url: string | undefined, fail: LimitSettings['fail']): void {
    this.redis?.stop();
    this.settings = { redis: url, fail };
    const { log } = this.options;
    this.redis = url === undefined ? undefined : new RedisBuckets({ url, consequence: consequences[fail], log });
  }

  private make(rules: LimitSettings['rules']): Limiter {
    const { nowMs, epochMs, log } = this.options;
    const exchange = new Exchange({ shared: () => this.shared(), nowMs });
    this.exchange = exchange;
    const unknownWhy = (): string | undefined => (this.settings.fail === 'closed' ? this.redis?.problem : undefined);
    const isAlone = (): boolean => this.redis === undefined && this.workers === undefined;
    return new Limiter(rules, {
      nowMs,
      epochMs,
      log,
      unknownWhy,
      onSpent: (bucket) => {
        if (isAlone()) bucket.unshared = 0;
        else exchange.onSpent(bucket);
      },
    });
  }

  /** Without Redis, or while it is gone, the workers of this Weir have their buckets together. */
  private shared(): SharedBuckets | undefined {
    return this.redis?.isReady === true ? this.redis : this.workers;
  }
}
