/**
 * The transport over Redis: a pair of connections, one for commands and one for the subscription, that live and die
 * together. The next pair is made by itself, for ever: soon after a loss, ever later while Redis refuses what is needed.
 * Decides nothing: peers.ts does.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Log } from '../observability/types.ts';
import type { Tag } from '../binding/plan.ts';
import { addressOf, ProtocolError, RedisLink } from './redis-link.ts';
import type { Argument, RedisAddress } from './redis-link.ts';
import { RespError } from './resp.ts';
import type { Reply } from './resp.ts';
import { scripts } from './scripts.ts';
import type { ScriptName } from './scripts.ts';
import { stampText } from './transport.ts';
import type {
  EntryWrite,
  HelloReply,
  HelloRequest,
  OpenReply,
  Orphan,
  ReadReply,
  Transport,
  TransportEvents,
} from './transport.ts';
import { within } from './within.ts';

export interface RedisTransportOptions {
  /** redis:// or rediss:// (TLS), with user, password and database number as in the URL scheme's registration. */
  readonly url: string;
  readonly instanceId: string;
  readonly maxEntryBytes: number;
  readonly log: Log;
}

/** First of every key and of the channel; in braces so that a cluster would keep all of them together. */
const space = '{weir1}';
const tagPrefix = `${space}:t:`;
const membersKey = `${space}:members`;

const shas: Readonly<Record<ScriptName, string>> = {
  hello: sha1(scripts.hello),
  leave: sha1(scripts.leave),
  read: sha1(scripts.read),
  close: sha1(scripts.close),
  open: sha1(scripts.open),
  store: sha1(scripts.store),
};

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

/** Longest wait, when Weir stops, for the word to arrive that it leaves. */
const leaveMs = 500;

/** The two connections of one life; `ready` once Redis has accepted all that is needed. */
interface Pair {
  readonly commands: RedisLink;
  readonly subscription: RedisLink;
  state: 'connecting' | 'ready' | 'lost';
  /** Redis answered, but not as it should. */
  isRefused: boolean;
  readonly deadline: NodeJS.Timeout;
}

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

function namesOf(value: unknown): readonly string[] {
  const text = textOf(value);
  return text === '' ? [] : text.split(',');
}

function pairsOf(value: unknown): readonly Orphan[] {
  const orphans: Orphan[] = [];
  const list = listOf(value, 0);
  for (let i = 0; i + 1 < list.length; i += 2) {
    const [token, note] = [list[i], list[i + 1]];
    if (Buffer.isBuffer(token) && Buffer.isBuffer(note))
      orphans.push({ token: token.toString(), note: note.toString() });
  }
  return orphans;
}

export class RedisTransport implements Transport {
  private readonly options: RedisTransportOptions;
  private readonly address: RedisAddress;
  private readonly channel: string;
  private readonly proposalBase = randomBytes(16).toString('hex');
  private proposals = 0;
  private runId = '';
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

  constructor(options: RedisTransportOptions) {
    this.options = options;
    this.address = addressOf(options.url);
    // Channels are not separated by database number, keys are.
    this.channel = `${space}:inv:${this.address.db}`;
  }

  get problem(): string | undefined {
    return this.why ?? this.badSetting;
  }

  start(events: TransportEvents): void {
    this.events = events;
    this.connect();
  }

  async hello({ rotate, echo, leaseMs, memberTimeoutMs, members, open, orphans }: HelloRequest): Promise<HelloReply> {
    const isRotating = rotate || this.runId === unknownRun;
    const rest = [isRotating ? '1' : '0', echo, leaseMs, memberTimeoutMs, members.join(','), open.join(',')];
    const known = orphans.flatMap(({ token, note }) => [token, note]);
    const everyMs = this.badSetting === undefined ? settingsMs : badSettingsMs;
    const { pair } = this;
    if (pair?.state === 'ready' && performance.now() - this.settingsAtMs > everyMs)
      void this.readSettings(pair.commands);
    const reply = listOf(await this.run('hello', [membersKey], [...rest, ...known]), 9);
    return {
      incarnation: textOf(reply[0]),
      messages: numberOf(reply[1]),
      echo: textOf(reply[2]),
      isGranted: reply[3] === 1,
      leaseMs: numberOf(reply[4]),
      members: namesOf(reply[5]),
      missing: namesOf(reply[6]),
      orphans: pairsOf(reply[7]),
      isWhole: reply[8] === 1,
    };
  }

  async read(tags: readonly Tag[], entryName: string): Promise<ReadReply> {
    const reply = listOf(await this.run('read', [entryKey(entryName), ...tagKeys(tags)], [this.maxValueBytes]), 5);
    return {
      incarnation: textOf(reply[0]),
      isClosed: reply[1] !== 0,
      stamps: listOf(reply[2], tags.length).map(numberOf),
      entry: reply[3] === 1 ? 'foreign' : Buffer.isBuffer(reply[3]) ? reply[3] : undefined,
      ttlMs: numberOf(reply[4]),
    };
  }

  async close(tags: readonly Tag[], token: string, note: string): Promise<string> {
    return textOf(listOf(await this.run('close', tagKeys(tags), [token, note]), 1)[0]);
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

  async remove(entryName: string): Promise<void> {
    if (this.pair?.state !== 'ready') throw new Error('not connected');
    await this.pair.commands.call(['DEL', entryKey(entryName)]);
  }

  reset(why: string, isRefused: boolean): void {
    const { pair } = this;
    if (pair === undefined) return;
    if (isRefused) pair.isRefused = true;
    pair.commands.end(new Error(why));
  }

  settled(): void {
    this.refusals = 0;
  }

  async stop(isLeaving: boolean): Promise<void> {
    this.events = undefined;
    clearTimeout(this.retry);
    if (isLeaving) await within(this.run('leave', [membersKey], []), leaveMs).catch(() => undefined);
    this.pair?.commands.end(new Error('stopped'));
  }

  private get maxValueBytes(): number {
    return this.options.maxEntryBytes * 2 + 65_536;
  }

  private connect(): void {
    const onLost = (link: RedisLink, error: Error): void => {
      if (link === pair.commands || link === pair.subscription) this.lost(pair, error);
    };
    const onMessage = (channel: string, text: string): void => {
      if (channel === this.channel && pair.state === 'ready') this.events?.onMessage(text);
    };
    const link = (maxBytes: number): RedisLink => new RedisLink(this.address, { maxBytes }, { onLost, onMessage });
    const pair: Pair = {
      commands: link(this.maxValueBytes + restBytes),
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
      const steps: Promise<Reply>[] = [subscription.call(['SUBSCRIBE', this.channel])];
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
    const { user, password, db } = this.address;
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
    const { host, port } = this.address;
    this.options.log('warn', 'cache_redis', `Redis at ${host}:${port}: ${why}`);
  }

  private run(script: ScriptName, keys: readonly string[], rest: readonly Argument[]): Promise<Reply> {
    if (this.pair?.state !== 'ready') return Promise.reject(new Error('not connected'));
    const proposal = `${this.proposalBase}-${(++this.proposals).toString(36)}`;
    const common = [proposal, this.runId, this.channel, this.options.instanceId, tagPrefix.length];
    const args = [shas[script], keys.length + 1, `${space}:meta`, ...keys, ...common, ...rest];
    return this.pair.commands.call(['EVALSHA', ...args]);
  }
}

const badPolicy = (policy: string): string =>
  `its maxmemory-policy is ${policy}, so that it throws away what Weir keeps there when it is full, and nothing stays cached: set maxmemory-policy to noeviction or volatile-lru`;

const unknownRun = 'unknown';

/** A server that hides its run id is not trusted over a reconnect: `hello` always rotates then. */
function runIdOf(info: string): string {
  return /^run_id:(\w+)/m.exec(info)?.[1] ?? unknownRun;
}

const entryKey = (entryName: string): string => `${space}:e:${entryName}`;
const tagKeys = (tags: readonly Tag[]): string[] => tags.map((tag) => tagPrefix + tag);
