/**
 * A pair of connections to Redis, one for commands and one for the subscription, that live and die together. The next pair
 * is made by itself, for ever: soon after a loss, ever later while Redis refuses what is needed. Knows the scripts only to
 * load them. Made and driven by redis.ts.
 */
import type { Log } from '../observability/types.ts';
import { ProtocolError, RedisLink } from './redis-link.ts';
import type { RedisAddress } from './redis-link.ts';
import { textOf } from './redis-replies.ts';
import { RespError } from './resp.ts';
import type { Reply } from './resp.ts';
import { scripts } from './scripts.ts';
import type { TransportEvents } from './transport.ts';

export interface RedisPairOptions {
  readonly address: RedisAddress;
  readonly channel: string;
  /** Longest answer to a command, without its frame. */
  readonly maxValueBytes: number;
  readonly log: Log;
}

/** The run id of a server that hides it. */
export const unknownRun = 'unknown';

const mostProblems = 20;
/** A connection, its log-in and its scripts: longer than this, and the next try has better chances. */
const handshakeMs = 2_000;
/** Whoever is out of reach, or was there a moment ago, may be back at any moment. */
const soonMs = 100;
const unreachableMs = 500;
/** A server that refuses will refuse again. */
const longestBackoffMs = 30_000;
/** Messages of Weirs are shorter (messages.ts). */
const maxMessageBytes = 1_100_000;
const restBytes = 1_000_000;
/** Settings of Redis are looked at so often; bad ones, until somebody has mended them. */
const settingsMs = 10_000;
const badSettingsMs = 1_000;

/** The two connections of one life; `ready` once Redis has accepted all that is needed. */
interface Pair {
  readonly commands: RedisLink;
  readonly subscription: RedisLink;
  state: 'connecting' | 'ready' | 'lost';
  /** Redis answered, but not as it should. */
  isRefused: boolean;
  readonly deadline: NodeJS.Timeout;
}

export class RedisPair {
  private readonly options: RedisPairOptions;
  /** Which server process it is connected to. */
  runId = '';
  private events: TransportEvents | undefined = undefined;
  private pair: Pair | undefined = undefined;
  private retry: NodeJS.Timeout | undefined = undefined;
  private refusals = 0;
  /** Said since it was last connected: a Redis that is down says the same things at every attempt. */
  private readonly said = new Set<string>();
  /** Why it cannot be used now. */
  private why: string | undefined = 'not connected yet';
  /** It can be used, but is set up so that it loses what Weirs keep in it. */
  private badSetting: string | undefined;
  private settingsAtMs = 0;

  constructor(options: RedisPairOptions) {
    this.options = options;
  }

  get problem(): string | undefined {
    return this.why ?? this.badSetting;
  }

  /** Once Redis has accepted all that is needed. */
  get commands(): RedisLink | undefined {
    return this.pair?.state === 'ready' ? this.pair.commands : undefined;
  }

  start(events: TransportEvents): void {
    this.events = events;
    this.connect();
  }

  /** Connects anew; after a refusal not at once. */
  reset(why: string, isRefused: boolean): void {
    const { pair } = this;
    if (pair === undefined) return;
    if (isRefused) pair.isRefused = true;
    pair.commands.end(new Error(why));
  }

  settled(): void {
    this.refusals = 0;
  }

  /** The last pair: nobody is told of its loss, and no other follows. */
  stopRetrying(): void {
    this.events = undefined;
    clearTimeout(this.retry);
  }

  end(): void {
    this.pair?.commands.end(new Error('stopped'));
  }

  /** Looks at the settings of Redis if that is due. */
  watchSettings(): void {
    const everyMs = this.badSetting === undefined ? settingsMs : badSettingsMs;
    const { commands } = this;
    if (commands !== undefined && performance.now() - this.settingsAtMs > everyMs) void this.readSettings(commands);
  }

  private connect(): void {
    const onLost = (link: RedisLink, error: Error): void => {
      if (link === pair.commands || link === pair.subscription) this.lost(pair, error);
    };
    const onMessage = (channel: string, text: string): void => {
      if (channel === this.options.channel && pair.state === 'ready') this.events?.onMessage(text);
    };
    const link = (maxBytes: number): RedisLink =>
      new RedisLink(this.options.address, { maxBytes }, { onLost, onMessage });
    const pair: Pair = {
      commands: link(this.options.maxValueBytes + restBytes),
      subscription: link(maxMessageBytes),
      state: 'connecting',
      isRefused: false,
      deadline: setTimeout(() => pair.commands.end(new Error('it does not answer')), handshakeMs),
    };
    this.pair = pair;
    void this.shakeHands(pair);
  }

  /** Logs in, loads the scripts, learns which server process this is, subscribes. */
  private async shakeHands(pair: Pair): Promise<void> {
    const { commands, subscription } = pair;
    try {
      const logIns = [this.logIn(commands, 'commands'), this.logIn(subscription, 'invalidations')];
      await Promise.all(logIns);
      const steps: Promise<Reply>[] = [subscription.call(['SUBSCRIBE', this.options.channel])];
      for (const script of Object.values(scripts)) steps.push(commands.call(['SCRIPT', 'LOAD', script]));
      const settings = this.readSettings(commands);
      const [info] = await Promise.all([commands.call(['INFO', 'server']), ...steps]);
      this.runId = runIdOf(textOf(info));
      await settings;
    } catch (error) {
      const { message } = error as Error;
      // Still loading its data, it will not refuse for long.
      if (error instanceof RespError && !message.startsWith('LOADING')) pair.isRefused = true;
      return commands.end(new Error(`it refuses what the cache needs: ${message}`));
    }
    if (pair.state !== 'connecting') return;
    pair.state = 'ready';
    clearTimeout(pair.deadline);
    this.said.clear();
    this.why = undefined;
    this.events?.onConnected();
  }

  /** Anybody may change them at any time. */
  private async readSettings(commands: RedisLink): Promise<void> {
    this.settingsAtMs = performance.now();
    // A Redis that does not tell may be set up well.
    const memory = await commands.call(['INFO', 'memory']).then(textOf, () => '');
    const policy = /^maxmemory_policy:(allkeys-[\w-]+)/m.exec(memory)?.[1];
    const hasLimit = !/^maxmemory:0\s*$/m.test(memory);
    const before = this.badSetting;
    this.badSetting = policy === undefined || !hasLimit ? undefined : badPolicy(policy);
    if (this.badSetting !== undefined && this.badSetting !== before) this.warn(this.badSetting);
  }

  private async logIn(link: RedisLink, purpose: string): Promise<void> {
    const { user, password, db } = this.options.address;
    const steps: Promise<Reply>[] = [];
    if (password !== '') steps.push(link.call(user === '' ? ['AUTH', password] : ['AUTH', user, password]));
    if (db !== 0) steps.push(link.call(['SELECT', db]));
    // The name is only for CLIENT LIST: a Redis that refuses the command serves all the same.
    link.call(['CLIENT', 'SETNAME', `weir-${purpose}`]).catch(() => undefined);
    await Promise.all(steps);
  }

  private lost(pair: Pair, error: Error): void {
    if (pair.state === 'lost') return;
    const wasReady = pair.state === 'ready';
    pair.state = 'lost';
    clearTimeout(pair.deadline);
    pair.commands.end(error);
    pair.subscription.end(error);
    if (this.events === undefined) return;
    this.why = error.message;
    if (!wasReady) this.complain(error.message);
    if (error instanceof ProtocolError) pair.isRefused = true;
    if (pair.isRefused) this.refusals++;
    const refusedMs = Math.min(500 * 2 ** (this.refusals - 1), longestBackoffMs);
    const waitMs = pair.isRefused ? refusedMs : wasReady ? soonMs : unreachableMs;
    this.retry = setTimeout(() => this.connect(), waitMs);
    this.retry.unref();
    if (wasReady) this.events.onLost(error.message);
  }

  private complain(why: string): void {
    if (this.events === undefined || this.said.size >= mostProblems || this.said.has(why)) return;
    this.said.add(why);
    this.warn(why);
  }

  private warn(why: string): void {
    const { host, port } = this.options.address;
    this.options.log('warn', 'cache_redis', `Redis at ${host}:${port}: ${why}`);
  }
}

const badPolicy = (policy: string): string =>
  `its maxmemory-policy is ${policy}, so that it throws away what Weir keeps there when it is full, and nothing stays cached: set maxmemory-policy to noeviction or volatile-lru`;

/** A server that hides its run id is not trusted over a reconnect: `hello` always rotates then. */
function runIdOf(info: string): string {
  return /^run_id:(\w+)/m.exec(info)?.[1] ?? unknownRun;
}
