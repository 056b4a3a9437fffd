/**
 * The transport over Redis: one connection for commands, one for the subscription (ioredis). Connects again by itself
 * for ever, with back-off; keeps no queue while it is down. Decides nothing: peers.ts does.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Log } from '../observability/types.ts';
import type { Tag } from '../routing/plan.ts';
import { scripts } from './scripts.ts';
import type { ScriptName } from './scripts.ts';
import { stampText } from './transport.ts';
import type { EntryWrite, HelloReply, OpenReply, ReadReply, Transport, TransportEvents } from './transport.ts';

export interface RedisTransportOptions {
  /** redis:// or rediss:// (TLS), with user, password and database number as in the URL scheme's registration. */
  readonly url: string;
  readonly instanceId: string;
  readonly maxEntryBytes: number;
  readonly log: Log;
}

type Argument = string | Buffer | number;

/** First of every key and of the channel; in braces so that a cluster would keep all of them together. */
const space = '{weir1}';
const tagPrefix = `${space}:t:`;

const shas: Readonly<Record<ScriptName, string>> = {
  hello: sha1(scripts.hello),
  read: sha1(scripts.read),
  close: sha1(scripts.close),
  open: sha1(scripts.open),
  store: sha1(scripts.store),
};

const mostProblems = 20;
/** Connections closed without a reason before that itself is said. */
const closesBeforeWord = 4;

/** What follows from a problem that has been said. */
const secondTry = 'second try';
const connectionClosed = 'connection closed';
const consequences: ReadonlySet<string> = new Set([secondTry, connectionClosed, 'Connection is closed.']);

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

function listOf(value: unknown, length: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length < length) throw new Error('an answer of another shape than expected');
  return value;
}

function textOf(value: unknown): string {
  if (!Buffer.isBuffer(value)) throw new Error('an answer without its incarnation');
  return value.toString('latin1');
}

function numberOf(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw new Error('an answer whose number is none');
  return value as number;
}

export class RedisTransport implements Transport {
  private readonly options: RedisTransportOptions;
  private readonly commands: Redis;
  private readonly subscription: Redis;
  private readonly channel: string;
  private readonly proposalBase = randomBytes(16).toString('hex');
  private proposals = 0;
  private runId = '';
  private events: TransportEvents | undefined = undefined;
  private isConnected = false;
  private isStopped = false;
  /** Distinguishes this attempt to connect from those before it. */
  private attempt = 0;
  /** Said since it was last connected: a Redis that is down says the same things at every attempt. */
  private readonly said = new Set<string>();
  private closes = 0;

  constructor(options: RedisTransportOptions) {
    this.options = options;
    this.commands = this.connection('commands');
    this.subscription = this.connection('invalidations');
    // Channels are not separated by database number, keys are.
    this.channel = `${space}:inv:${this.commands.options.db ?? 0}`;
  }

  start(events: TransportEvents): void {
    this.events = events;
    for (const client of [this.commands, this.subscription]) {
      client.on('ready', () => void this.tryHandshake());
      client.on('close', () => this.lost(connectionClosed));
      client.on('error', (error: Error) => this.problem(error.message));
      client.connect().catch((error: Error) => this.problem(error.message));
    }
    this.subscription.on('message', (channel: string, text: string) => {
      if (channel === this.channel && this.isConnected) this.events?.onMessage(text);
    });
  }

  async hello(rotate: boolean): Promise<HelloReply> {
    const isRunUnknown = this.runId === unknownRun;
    const reply = listOf(await this.run('hello', [], [rotate || isRunUnknown ? '1' : '0']), 2);
    return { incarnation: textOf(reply[0]), messages: numberOf(reply[1]) };
  }

  async read(tags: readonly Tag[], entryName: string): Promise<ReadReply> {
    const most = this.options.maxEntryBytes * 2 + 65_536;
    const reply = listOf(await this.run('read', [entryKey(entryName), ...tagKeys(tags)], [most]), 5);
    return {
      incarnation: textOf(reply[0]),
      isClosed: reply[1] !== 0,
      stamps: listOf(reply[2], tags.length).map(numberOf),
      entry: Buffer.isBuffer(reply[3]) ? reply[3] : undefined,
      ttlMs: numberOf(reply[4]),
    };
  }

  async close(tags: readonly Tag[], token: string): Promise<string> {
    return textOf(listOf(await this.run('close', tagKeys(tags), [token]), 1)[0]);
  }

  async open(tags: readonly Tag[], token: string, bump: boolean): Promise<OpenReply> {
    const reply = listOf(await this.run('open', tagKeys(tags), [token, bump ? '1' : '0']), 2);
    return { incarnation: textOf(reply[0]), stamps: listOf(reply[1], tags.length).map(numberOf) };
  }

  async store(write: EntryWrite): Promise<boolean> {
    const stamps = stampText(write.incarnation, write.stamps);
    const keys = [entryKey(write.entryName), ...tagKeys(write.tags)];
    return (await this.run('store', keys, [stamps, write.payload, Math.ceil(write.ttlMs)])) === 1;
  }

  reset(why: string): void {
    if (this.isStopped) return;
    this.lost(why);
    for (const client of [this.commands, this.subscription]) {
      if (client.status === 'ready' || client.status === 'connect') client.disconnect(true);
    }
  }

  stop(): Promise<void> {
    this.isStopped = true;
    this.isConnected = false;
    this.events = undefined;
    this.commands.disconnect();
    this.subscription.disconnect();
    return Promise.resolve();
  }

  private connection(purpose: string): Redis {
    return new Redis(this.options.url, {
      lazyConnect: true,
      protocol: 2,
      connectionName: `weir-${purpose}`,
      enableOfflineQueue: false,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: null,
      connectTimeout: 3_000,
      keepAlive: 10_000,
      retryStrategy: (times) => (this.isStopped ? null : Math.min(100 * 2 ** Math.min(times, 6), 3_000)),
    });
  }

  /** Both connections are up: load the scripts, learn which server process this is, subscribe. */
  private async tryHandshake(): Promise<void> {
    if (this.isStopped || this.commands.status !== 'ready' || this.subscription.status !== 'ready') return;
    const attempt = ++this.attempt;
    try {
      await this.subscription.subscribe(this.channel);
      for (const script of Object.values(scripts)) await this.commands.call('SCRIPT', 'LOAD', script);
      this.runId = runIdOf(String(await this.commands.info('server')));
    } catch (error) {
      if (attempt !== this.attempt) return;
      this.problem(`it refuses what the cache needs: ${(error as Error).message}`);
      // Not at once: a server that refuses will refuse again.
      setTimeout(() => {
        if (attempt === this.attempt) this.reset(secondTry);
      }, 3_000).unref();
      return;
    }
    if (attempt !== this.attempt || this.isStopped) return;
    this.isConnected = true;
    this.closes = 0;
    this.said.clear();
    this.events?.onConnected();
  }

  private lost(why: string): void {
    this.attempt++;
    if (!this.isConnected) {
      this.problem(why);
      if (++this.closes >= closesBeforeWord && this.said.size === 0)
        this.problem('it closes every connection, or refuses the first command on it');
      return;
    }
    this.isConnected = false;
    this.events?.onLost(why);
  }

  private problem(why: string): void {
    if (this.isStopped || this.said.size >= mostProblems || this.said.has(why) || consequences.has(why)) return;
    this.said.add(why);
    const { host, port } = this.commands.options;
    this.options.log('warn', 'cache_redis', `Redis at ${host}:${port}: ${why}`);
  }

  private run(script: ScriptName, keys: readonly string[], rest: readonly Argument[]): Promise<unknown> {
    const proposal = `${this.proposalBase}-${(++this.proposals).toString(36)}`;
    const common = [proposal, this.runId, this.channel, this.options.instanceId, tagPrefix.length];
    const args = [shas[script], keys.length + 1, `${space}:meta`, ...keys, ...common, ...rest];
    return this.commands.callBuffer('EVALSHA', args);
  }
}

const unknownRun = 'unknown';

/** A server that hides its run id is not trusted over a reconnect: `hello` always rotates then. */
function runIdOf(info: string): string {
  return /^run_id:(\w+)/m.exec(info)?.[1] ?? unknownRun;
}

const entryKey = (entryName: string): string => `${space}:e:${entryName}`;
const tagKeys = (tags: readonly Tag[]): string[] => tags.map((tag) => tagPrefix + tag);
