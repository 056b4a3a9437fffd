/**
 * The cache and the connections to its Redis: whatever ends them in the middle of a write, it is in step again as soon as
 * Redis is there, and nothing that was sent on the old connections says anything about the new ones.
 */
import { Redis as Client } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createCache } from '../src/cache/cache.ts';
import type { ResultCache } from '../src/cache/types.ts';
import { defaults } from '../test/config/defaults.ts';
import type { Redis } from './harness/index.ts';
import { hasRedis, startRedis, TcpRelay, until } from './harness/index.ts';

const prefix = '7001.5.';
const users = `${prefix}r16384`;
/** Below the longest back-off, which is 30 s. */
const soon = { timeoutMs: 20_000, intervalMs: 10 };

describe.skipIf(!hasRedis())('connections to Redis', () => {
  let redis: Redis;
  let client: Client;
  let relay: TcpRelay;
  let cache: ResultCache;
  let log: string[];

  beforeAll(async () => {
    redis = await startRedis();
    client = new Client(redis.url, { retryStrategy: () => 100 });
    client.on('error', () => undefined);
  });
  afterEach(async () => {
    redis.resume();
    await cache.stop();
    await relay.stop();
  });
  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  const isUp = (): boolean => cache.stats().redis === 'up';
  const losses = (): number => log.filter((line) => line.includes('lost the other Weirs')).length;
  const returns = (): number => log.filter((line) => line.includes('in step with')).length;

  async function start(): Promise<void> {
    relay = await TcpRelay.start({ port: redis.port });
    log = [];
    const settings = {
      ...defaults.cache,
      enabled: true,
      mode: 'session',
      ttlMs: 60_000,
      maxMemoryBytes: 10_000_000,
      maxEntrySizeBytes: 100_000,
      leaseMs: 1_000,
      memberTimeoutMs: 60_000,
      redis: `redis://127.0.0.1:${relay.port}/0`,
      tables: [],
    } as const;
    const now = (): number => performance.now();
    cache = createCache({ settings, now, log: (_level, event, text) => log.push(`${event}: ${text}`) });
    await cache.start();
    await until('it to be in step', isUp);
  }

  const close = (): Promise<void> | undefined => cache.close([users], false, prefix, cache.newFreshness()).announced;
  const answers = (): Promise<boolean> =>
    until('Redis to answer', async () => (await client.ping()) === 'PONG', { intervalMs: 10 });

  it.each<[string, () => Promise<void> | void, () => Promise<void> | void]>([
    ['killed and started anew', () => redis.kill(), () => redis.start().then(() => void answers())],
    ['cut', () => relay.cut(), () => undefined],
    ['reset', () => relay.reset(), () => undefined],
    [
      'refused for a while',
      () => {
        relay.setMode('refuse');
        relay.reset();
      },
      () => relay.pass(),
    ],
    ['CLIENT KILL', async () => void (await client.call('CLIENT', 'KILL', 'TYPE', 'normal')), () => undefined],
    [
      'CLIENT KILL of the subscription',
      async () => void (await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')),
      () => undefined,
    ],
  ])('%s with a write in flight: in step again, and the late answer does not end that', async (_how, lose, back) => {
    await start();
    relay.blackhole();
    const announced = close();
    await lose();
    relay.setMode(relay.mode === 'blackhole' ? 'pass' : relay.mode);
    await until('the loss', () => losses() === 1, soon);
    await back();
    await until('it to be back', () => returns() === 2 && isUp(), soon);
    // Whatever was waiting for the old connection has ended by now, one way or the other.
    await announced;
    await close();
    expect(log.filter((line) => /lost|in step/.test(line)).map((line) => line.split(' ')[1])).toEqual([
      'in',
      'lost',
      'in',
    ]);
    expect(isUp()).toBe(true);
  });

  it.each<[string, () => void, () => void]>([
    ['frozen', () => redis.pause(), () => redis.resume()],
    ['out of reach, with no word of it', () => relay.blackhole(), () => relay.pass()],
  ])('%s until it is given up: in step again soon after', async (_how, lose, back) => {
    await start();
    lose();
    const announced = close();
    await until('the loss', () => losses() === 1, soon);
    await announced;
    back();
    await until('it to be back', isUp, soon);
    await close();
    expect(isUp()).toBe(true);
    expect(losses()).toBe(1);
  });

  it('busy for a moment, or emptied: nothing is lost for good', async () => {
    await start();
    const slept = client.call('DEBUG', 'SLEEP', '0.3').catch(() => undefined);
    await close();
    await slept;
    expect(isUp()).toBe(true);
    await client.flushall();
    await close();
    await until('it to be back', isUp, soon);
    await close();
    expect(losses()).toBe(0);
  });

  it('many losses in a row: each time it is back soon', async () => {
    await start();
    for (let i = 1; i <= 8; i++) {
      const announced = close();
      relay.cut();
      await until('the loss', () => losses() === i, soon);
      await until('it to be back', isUp, soon);
      await announced;
    }
  });
});
