/**
 * The Transport over Redis: sends Weir's requests as commands and scripts, and converts the answers to the types of
 * transport.ts. redis-pair.ts has the connections; peers.ts makes the decisions.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Log } from '../observability/types.ts';
import type { Tag } from '../binding/plan.ts';
import type { CacheOptions } from './parts.ts';
import { addressOf } from './redis-link.ts';
import type { Argument } from './redis-link.ts';
import { RedisPair, unknownRun } from './redis-pair.ts';
import { listOf, namesOf, numberOf, pairsOf, textOf } from './redis-replies.ts';
import type { Reply } from './resp.ts';
import { scripts } from './scripts.ts';
import type { ScriptName } from './scripts.ts';
import { forRedis, matchesAny } from './tag-pattern.ts';
import { stampText } from './transport.ts';
import type {
  EntryWrite,
  HelloReply,
  HelloRequest,
  OpenReply,
  ReadReply,
  Transport,
  TransportEvents,
} from './transport.ts';
import { waitAtMost } from './deadlines.ts';

export interface RedisTransportOptions {
  /** redis:// or rediss:// (TLS), with user, password and database number as in the URL scheme's registration. */
  readonly url: string;
  readonly instanceId: string;
  readonly maxEntryBytes: number;
  readonly log: Log;
}

/** Prefix of every key and of the channel; in braces so that a cluster keeps them on one node. */
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

/** Keys that Redis looks at in one command of a scan: it serves nobody else meanwhile. */
const keysPerScan = 1_000;
/** How long Weir waits at its end for Redis to confirm that it leaves. */
const leaveMs = 500;

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

export class RedisTransport implements Transport {
  readonly kind = 'redis';
  private readonly options: RedisTransportOptions;
  private readonly pair: RedisPair;
  private readonly channel: string;
  private readonly maxValueBytes: number;
  private readonly proposalBase = randomBytes(16).toString('hex');
  private proposals = 0;

  constructor(options: RedisTransportOptions) {
    this.options = options;
    const address = addressOf(options.url);
    // Unlike keys, channels are shared by all database numbers.
    this.channel = `${space}:inv:${address.db}`;
    this.maxValueBytes = options.maxEntryBytes * 2 + 65_536;
    const { channel, maxValueBytes } = this;
    this.pair = new RedisPair({ address, channel, maxValueBytes, log: options.log });
  }

  get problem(): string | undefined {
    return this.pair.problem;
  }

  start(events: TransportEvents): void {
    this.pair.start(events);
  }

  async hello({ rotate, echo, leaseMs, memberTimeoutMs, members, open, orphans }: HelloRequest): Promise<HelloReply> {
    const isRotating = rotate || this.pair.runId === unknownRun;
    const rest = [isRotating ? '1' : '0', echo, leaseMs, memberTimeoutMs, members.join(','), open.join(',')];
    const known = orphans.flatMap(({ token, note }) => [token, note]);
    this.pair.watchSettings();
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
    const { commands } = this.pair;
    if (commands === undefined) throw new Error('not connected');
    await commands.call(['DEL', entryKey(entryName)]);
  }

  async tagsLike(patterns: readonly string[], most: number): Promise<readonly Tag[] | undefined> {
    const found = new Set<Tag>();
    for (const pattern of patterns) {
      let cursor = '0';
      do {
        const { commands } = this.pair;
        if (commands === undefined) throw new Error('not connected');
        const match = `${tagPrefix}t:${forRedis(pattern)}`;
        const reply = listOf(await commands.call(['SCAN', cursor, 'MATCH', match, 'COUNT', keysPerScan]), 2);
        cursor = textOf(reply[0]);
        for (const key of listOf(reply[1], 0)) {
          const tag = tagOf(key);
          if (matchesAny([pattern], tag)) found.add(tag);
        }
        if (found.size > most) return undefined;
      } while (cursor !== '0');
    }
    return [...found];
  }

  reset(why: string, isRefused: boolean): void {
    this.pair.reset(why, isRefused);
  }

  settled(): void {
    this.pair.settled();
  }

  async stop(isLeaving: boolean): Promise<void> {
    this.pair.stopRetrying();
    if (isLeaving) await waitAtMost(this.run('leave', [membersKey], []), leaveMs).catch(() => undefined);
    this.pair.end();
  }

  private run(script: ScriptName, keys: readonly string[], rest: readonly Argument[]): Promise<Reply> {
    const { commands, runId } = this.pair;
    if (commands === undefined) return Promise.reject(new Error('not connected'));
    const proposal = `${this.proposalBase}-${(++this.proposals).toString(36)}`;
    const common = [proposal, runId, this.channel, this.options.instanceId, tagPrefix.length];
    const args = [shas[script], keys.length + 1, `${space}:meta`, ...keys, ...common, ...rest];
    return commands.call(['EVALSHA', ...args]);
  }
}

const entryKey = (entryName: string): string => `${space}:e:${entryName}`;
const tagOf = (key: unknown): Tag => (Buffer.isBuffer(key) ? key.toString() : '').slice(tagPrefix.length);
const tagKeys = (tags: readonly Tag[]): string[] => tags.map((tag) => tagPrefix + tag);

/** @returns undefined without cache.redis */
export function redisTransport({ settings, log }: CacheOptions, instanceId: string): Transport | undefined {
  if (settings.redis === undefined) return undefined;
  return new RedisTransport({ url: settings.redis, instanceId, maxEntryBytes: settings.maxEntrySizeBytes, log });
}
