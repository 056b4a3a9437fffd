/**
 * Runs scripts in Redis on one connection, and makes the next one a second after it is lost. Redis may refuse, send nonsense or
 * be silent: then it counts as gone until it has passed the check of the owner. Used by limits/ and shares/.
 */
import { addressOf, RedisLink } from './redis-link.ts';
import type { Reply } from './resp.ts';

/** After so long without an answer, Redis counts as gone. */
const answerWithinMs = 1_000;
const againAfterMs = 1_000;

export interface RedisCallerOptions {
  readonly url: string;
  /** For CLIENT LIST. */
  readonly clientName: string;
  readonly maxReplyBytes: number;
  /** Asks something that Redis must be able to answer, by `call`. */
  check(): Promise<unknown>;
  /** It answers, for the first time or again. */
  onReady(isAgain: boolean): void;
  /** It does not any more. */
  onGone(why: string): void;
}

export class RedisCaller {
  private readonly options: RedisCallerOptions;
  private link: RedisLink | undefined;
  private retry: NodeJS.Timeout | undefined;
  private state: 'starting' | 'ready' | 'gone' | 'stopped' = 'starting';
  private why = '';

  constructor(options: RedisCallerOptions) {
    this.options = options;
  }

  get isReady(): boolean {
    return this.state === 'ready';
  }

  /** Why Redis cannot be used; undefined: it can, or is only just being asked for the first time. */
  get problem(): string | undefined {
    return this.state === 'gone' ? this.why : undefined;
  }

  start(): void {
    this.connect();
  }

  /** @param read throws if the answer is none: then the connection is given up */
  async call<T>(
    script: string,
    keys: readonly string[],
    values: readonly string[],
    read: (reply: Reply) => T,
  ): Promise<T> {
    const { link } = this;
    if (link === undefined) throw new Error('not connected');
    const deadline = setTimeout(() => link.end(new Error('it does not answer')), answerWithinMs).unref();
    try {
      return read(await link.call(['EVAL', script, keys.length, ...keys, ...values]));
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
    const { maxReplyBytes: maxBytes, clientName } = this.options;
    const link = new RedisLink(
      address,
      { maxBytes },
      { onLost: (lost, error) => lost === this.link && this.lost(error), onMessage: () => undefined },
    );
    this.link = link;
    const refused = (error: Error): void => link.end(error);
    if (password !== '') link.call(user === '' ? ['AUTH', password] : ['AUTH', user, password]).catch(refused);
    if (db !== 0) link.call(['SELECT', db]).catch(refused);
    // The name is only for CLIENT LIST, so a refusal of this command does not matter.
    link.call(['CLIENT', 'SETNAME', clientName]).catch(() => undefined);
    this.options.check().then(
      () => this.ready(link),
      () => undefined,
    );
  }

  private ready(link: RedisLink): void {
    if (this.state === 'stopped' || link !== this.link) return;
    const isAgain = this.state === 'gone';
    this.state = 'ready';
    this.options.onReady(isAgain);
  }

  private lost(error: Error): void {
    this.link = undefined;
    if (this.state === 'stopped') return;
    const isNew = this.state !== 'gone';
    this.state = 'gone';
    this.why = error.message;
    if (isNew) this.options.onGone(error.message);
    this.retry = setTimeout(() => this.connect(), againAfterMs).unref();
  }
}
