/**
 * Two connections to Redis, one for commands and one for the subscription, that end together. Makes the next pair by
 * itself: soon after a loss, with growing delays while Redis refuses what is needed. Loads the scripts. Made by
 * redis.ts.
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
  /** Maximum size of an answer to a command, without its framing. */
  readonly maxValueBytes: number;
  readonly log: Log;
}

/** Run id of a server that does not reveal its own. */
export const unknownRun = 'unknown';

const mostProblems = 20;
/** Time limit for connecting, log-in and loading the scripts; after that a new attempt is more likely to succeed. */
const handshakeMs = 2_000;
/** A server that was just connected, or cannot be reached, may be back at any moment. */
const soonMs = 100;
const unreachableMs = 500;
/** A server that refuses is likely to refuse again. */
const longestBackoffMs = 30_000;
/** Larger than any message of a Weir (messages.ts). */
const maxMessageBytes = 1_100_000;
const restBytes = 1_000_000;
/** How often the settings of Redis are checked, and how often while they are bad. */
const settingsMs = 10_000;
const badSettingsMs = 1_000;

/** Two connections; `ready` once Redis has accepted log-in, scripts and subscription. */
interface Pair {
  readonly commands: RedisLink;
  readonly subscription: RedisLink;
  state: 'connecting' | 'ready' | 'lost';
  /** Redis refused something, or sent an invalid answer. */
  isRefused: boolean;
  readonly deadline: NodeJS.Timeout;
}

export class RedisPair {
  private readonly options: RedisPairOptions;
  /** Run id of the server process that it is connected to. */
  runId = '';
  private events: TransportEvents | undefined = undefined;
  private pair: Pair | undefined = undefined;
  private retry: NodeJS.Timeout | undefined = undefined;
  private refusals = 0;
  /** Problems logged since the last connection: a Redis that is down causes the same ones at every attempt. */
  private readonly said = new Set<string>();
  /** Why Redis cannot be used now. */
  private why: string | undefined = 'not connected yet';
  /** Redis can be used, but its configuration makes it lose what Weir stores. */
  private badSetting: string | undefined;
  private settingsAtMs = 0;

  constructor(options: RedisPairOptions) {
    this.options = options;
  }

  get problem(): string | undefined {
    return this.why ?? this.badSetting;
  }

  /** undefined until Redis has accepted log-in, scripts and subscription. */
  get commands(): RedisLink | undefined {
    return this.pair?.state === 'ready' ? this.pair.commands : undefined;
  }

  start(events: TransportEvents): void {
    this.events = events;
    this.connect();
  }

  /** Reconnects; after a refusal with a delay. */
  reset(why: string, isRefused: boolean): void {
    const { pair } = this;
    if (pair === undefined) return;
    if (isRefused) pair.isRefused = true;
    pair.commands.end(new Error(why));
  }

  settled(): void {
    this.refusals = 0;
  }

  /** Makes no further pair, and does not report the loss of this one. */
  stopRetrying(): void {
    this.events = undefined;
    clearTimeout(this.retry);
  }

  end(): void {
    this.pair?.commands.end(new Error('stopped'));
  }

  /** Checks the settings of Redis if that is due. */
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

  /** Logs in, loads the scripts, reads the run id, subscribes. */
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
      // Not while it loads its data, because then it will not refuse for long.
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

  /** Repeated, because the settings may change at any time. */
  private async readSettings(commands: RedisLink): Promise<void> {
    this.settingsAtMs = performance.now();
    // A Redis that refuses INFO may still be configured well.
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
    // The name is only for CLIENT LIST, so a refusal of this command does not matter.
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

/** Without a run id, a restart of the server cannot be recognized: then `hello` always rotates. */
function runIdOf(info: string): string {
  return /^run_id:(\w+)/m.exec(info)?.[1] ?? unknownRun;
}
