/**
 * Two caches and a real Redis: what one writes, the other no longer shows; what happens when Redis is killed, frozen,
 * flushed, or full of nonsense. The rules one by one are in test/cache.
 */
import { Redis as Client } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createCache } from '../src/cache/cache.ts';
import type { CacheParts } from '../src/cache/parts.ts';
import type { Flight, KeyParts, Lookup, ResultCache, SessionFreshness } from '../src/cache/types.ts';
import type { CacheSettings } from '../src/config/config.ts';
import { answerOf, textIn } from '../test/cache/answers.ts';
import { defaults } from '../test/config/defaults.ts';
import type { Redis } from './harness/index.ts';
import { hasRedis, startRedis, TcpRelay, until } from './harness/index.ts';

const prefix = '7001.5.';
const users = `${prefix}r16384`;
const orders = `${prefix}r16390`;

class Ticks {
  private tick = 1;
  next(): number {
    return ++this.tick;
  }
  lsnOf(tick: number): number {
    return tick;
  }
}

interface Weir {
  readonly cache: ResultCache;
  readonly ticks: Ticks;
  readonly log: string[];
}

describe.skipIf(!hasRedis())('the cache over Redis', () => {
  let redis: Redis;
  let client: Client;
  const weirs: Weir[] = [];
  const relays: TcpRelay[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    client = new Client(redis.url, { retryStrategy: () => 100 });
    client.on('error', () => undefined);
  });

  afterEach(async () => {
    redis.resume();
    await Promise.all(weirs.splice(0).map(({ cache }) => cache.stop()));
    await Promise.all(relays.splice(0).map((relay) => relay.stop()));
    await until('Redis to answer', async () => (await client.flushall()) === 'OK');
  });

  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  async function weir(changes: Partial<CacheSettings> = {}, parts: Partial<CacheParts> = {}): Promise<Weir> {
    const log: string[] = [];
    const settings: CacheSettings = {
      ...defaults.cache,
      enabled: true,
      mode: 'session',
      ttlMs: 60_000,
      maxMemoryBytes: 10_000_000,
      maxEntrySizeBytes: 100_000,
      leaseMs: 1_000,
      memberTimeoutMs: 60_000,
      redis: redis.url,
      tables: [],
      ...changes,
    };
    const now = (): number => performance.now();
    const cache = createCache({ settings, now, log: (_level, event, text) => log.push(`${event}: ${text}`) }, parts);
    const ticks = new Ticks();
    cache.attach(prefix, ticks);
    const made = { cache, ticks, log };
    weirs.push(made);
    await cache.start();
    return made;
  }

  const up = (...made: Weir[]): Promise<boolean> =>
    until('the caches to be in step', () => made.every(({ cache }) => cache.stats().hasLease));
  const down = (made: Weir): Promise<boolean> => until('the loss', () => made.cache.stats().redis === 'down');

  const key = (sql: string): KeyParts => ({
    database: 'shop',
    user: 'app',
    settings: '',
    shape: 'Q',
    sql: Buffer.from(sql),
    types: undefined,
    bind: undefined,
  });

  async function look(
    { cache, ticks }: Weir,
    sql = 'SELECT',
    tags = [users],
    session: SessionFreshness = cache.newFreshness(),
  ): Promise<Lookup> {
    const lookup = cache.lookup(key(sql), tags, Infinity, session, ticks);
    return lookup.kind === 'wait' ? lookup.result : lookup;
  }

  function flightOf(lookup: Lookup): Flight {
    if (lookup.kind !== 'miss' || lookup.flight === undefined) throw new Error(`no flight: ${JSON.stringify(lookup)}`);
    return lookup.flight;
  }

  const store = (flight: Flight, text: string): void => flight.store([answerOf(text)], 1);

  async function said(made: Weir, sql = 'SELECT', tags = [users]): Promise<string> {
    const lookup = await look(made, sql, tags);
    if (lookup.kind === 'hit') return `${lookup.level}: ${textIn(lookup.parts)}`;
    if (lookup.kind === 'miss') lookup.flight?.abandon();
    return 'miss';
  }

  async function fill(made: Weir, text: string, sql = 'SELECT', tags = [users]): Promise<void> {
    const flight = await until('a flight', async () => {
      const lookup = await look(made, sql, tags);
      return lookup.kind === 'miss' ? lookup.flight : undefined;
    });
    store(flight, text);
    await until('it to be in Redis', async () => (await entries()).length > 0);
  }

  const entries = (): Promise<string[]> => client.keys('{weir1}:e:*');

  function write({ cache, ticks }: Weir, tags = [users]): void {
    cache.close(tags, false, prefix, cache.newFreshness()).committed(ticks.next(), ticks);
  }

  it('shares answers, and a write through one voids them in the other', async () => {
    const [a, b] = [await weir(), await weir()];
    await up(a, b);
    await fill(a, 'alice');
    expect(await said(a)).toBe('1: alice');
    expect(await said(b)).toBe('2: alice');
    expect(await said(b)).toBe('1: alice');
    const tick = b.cache.lastWrite([users], b.ticks);
    write(a);
    expect(await said(a)).toBe('miss');
    // That it is closed comes first, and is a miss, too.
    await until('b to hear of it', () => b.cache.lastWrite([users], b.ticks) > tick);
    expect(await said(b)).toBe('miss');
    expect(b.cache.stats().invalidations['peer']).toBeGreaterThan(0);
    await fill(b, 'bob');
    expect(await said(a)).toBe('2: bob');
    expect(a.cache.stats()).toMatchObject({ hits: 2, hitsSecondLevel: 1 });
  });

  it('passes a tag by everywhere while one of them writes it, also when nothing changes in the end', async () => {
    const [a, b] = [await weir(), await weir()];
    await up(a, b);
    await fill(a, 'alice');
    expect(await said(b)).toBe('2: alice');
    const guard = a.cache.close([users], false, prefix, a.cache.newFreshness());
    await until('b to hear of it', async () => (await said(b)) === 'miss');
    guard.rolledBack();
    await until('b to hear of it', async () => (await said(b)) === '1: alice');
    expect(await said(a)).toBe('1: alice');
  });

  it('tells the others of what is committed while the rest of the write is under way', async () => {
    const [a, b] = [await weir(), await weir()];
    await up(a, b);
    await fill(a, 'alice');
    expect(await said(b)).toBe('2: alice');
    const guard = a.cache.close([users], false, prefix, a.cache.newFreshness());
    await guard.announced;
    const tick = b.cache.lastWrite([users], b.ticks);
    guard.acknowledged(a.ticks.next(), a.ticks);
    await until('b to hear of it', () => b.cache.lastWrite([users], b.ticks) > tick);
    // What else it may commit is not over.
    for (const made of [a, b]) expect((await look(made)).kind).toBe('miss');
    expect(b.cache.underWay([users])?.isOver()).toBe(false);
    guard.committed(a.ticks.next(), a.ticks);
    await until('b to hear of its end', () => b.cache.underWay([users]) === undefined);
    await fill(b, 'bob');
    expect(await said(a)).toBe('2: bob');
  });

  it('says which setting of Redis is to blame where keys are thrown away, and does not start anew without end', async () => {
    const a = await weir();
    await up(a);
    await client.config('RESETSTAT');
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      // Full at once: whatever is written next takes the place of something else.
      await client.config('SET', 'maxmemory', '1');
      await until('the reason', async () => {
        await said(a);
        write(a);
        return a.log.some((line) => line.includes('set maxmemory-policy to noeviction or volatile-lru'));
      });
      expect(a.cache.stats().redisProblem).toContain('maxmemory-policy is allkeys-lru');
      expect(a.log.filter((line) => line.includes('in step')).length).toBeLessThan(20);
    } finally {
      await client.config('SET', 'maxmemory', '0');
      await client.config('SET', 'maxmemory-policy', 'noeviction');
    }
    await until('it to be used again', async () => {
      await said(a);
      return a.cache.stats().hasLease && a.cache.stats().redisProblem === undefined;
    });
    expect(a.log.filter((line) => line.startsWith('cache_redis: Redis at') && line.includes('policy'))).toHaveLength(1);
  });

  it('does not store in Redis what a peer has voided meanwhile', async () => {
    const [a, b] = [await weir(), await weir()];
    await up(a, b);
    const flight = flightOf(await look(a));
    write(b);
    await until('a to hear of it', () => a.cache.stats().invalidations['peer'] === 1);
    store(flight, 'stale');
    expect(await said(a)).toBe('miss');
    expect(await entries()).toEqual([]);
  });

  it('keeps a write closed beyond the life of its marker, and opens it when its owner is gone', async () => {
    const [a, b] = [await weir({ memberTimeoutMs: 1_000 }), await weir({ memberTimeoutMs: 1_000 })];
    await up(a, b);
    a.cache.close([users], false, prefix, a.cache.newFreshness());
    await until('the marker', async () => (await said(b)) === 'miss' && (await markers()).length === 1);
    const first = (await markers())[0]!;
    await until('a renewed marker', async () => ((await markers())[0] ?? first) > first);
    await a.cache.stop();
    // As if its time had passed: the marker counts by the clock of Redis.
    await client.hset(`{weir1}:t:${users}`, ...(await markerField()), '1');
    const flight = await until('b to find it lapsed', async () => {
      const lookup = await look(b);
      return lookup.kind === 'miss' ? lookup.flight : undefined;
    });
    store(flight, 'open again');
    expect(await said(b)).toBe('1: open again');
  });

  async function markers(): Promise<string[]> {
    const fields = await client.hgetall(`{weir1}:t:${users}`);
    return Object.entries(fields).flatMap(([name, value]) => (name === 'v' ? [] : [value]));
  }

  async function markerField(): Promise<[string]> {
    const fields = Object.keys(await client.hgetall(`{weir1}:t:${users}`));
    return [fields.find((name) => name !== 'v') ?? 'none'];
  }

  it("an operator's word is heard by all", async () => {
    const [a, b] = [await weir(), await weir()];
    await up(a, b);
    await fill(a, 'alice');
    await fill(a, 'other', 'SELECT 2', [orders]);
    await said(b);
    await a.cache.invalidate([users]);
    await until('b to hear of it', async () => (await said(b)) === 'miss');
    expect(await said(b, 'SELECT 2', [orders])).toBe('2: other');
    await a.cache.invalidateAll();
    await up(a);
    expect(await said(a, 'SELECT 2', [orders])).toBe('miss');
    await until('b to hear of it', async () => (await said(b, 'SELECT 2', [orders])) === 'miss');
  });

  it('compares the full key where the short name of two is the same', async () => {
    const weak = { hashKey: () => 'same' };
    const [a, b] = [await weir({}, weak), await weir({}, weak)];
    await up(a, b);
    await fill(a, 'one', 'SELECT 1');
    expect(await said(b, 'SELECT 2')).toBe('miss');
    expect(await said(b, 'SELECT 1')).toBe('2: one');
  });

  it('what a session has read is confirmed by Redis, so its own fill is a hit at once', async () => {
    const a = await weir();
    await up(a);
    const session = a.cache.newFreshness();
    store(flightOf(await look(a, 'SELECT', [users], session)), 'mine');
    a.cache.noteRead([users], session);
    expect(await look(a, 'SELECT', [users], session)).toMatchObject({ kind: 'hit' });
  });

  it('killed: level 1 is emptied, nothing is served; restarted: it heals by itself', async () => {
    const [a, b] = [await weir(), await weir()];
    await up(a, b);
    await fill(a, 'alice');
    expect(await said(a)).toBe('1: alice');
    await redis.kill();
    await down(a);
    expect(a.cache.stats().entries).toBe(0);
    const startedAt = performance.now();
    for (let i = 0; i < 100; i++) {
      const lookup = a.cache.lookup(key('SELECT'), [users], Infinity, a.cache.newFreshness(), a.ticks);
      expect(lookup).toMatchObject({ kind: 'miss', flight: undefined });
    }
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    write(a);
    await redis.start();
    await up(a, b);
    expect(await said(a)).toBe('miss');
    await fill(a, 'bob');
    expect(await said(b)).toBe('2: bob');
  });

  it('cut off while it wrote: on its return everybody starts anew', async () => {
    const relay = await TcpRelay.start({ port: redis.port });
    relays.push(relay);
    const [a, b] = [await weir({ redis: `redis://127.0.0.1:${relay.port}/0` }), await weir()];
    await up(a, b);
    await fill(b, 'old');
    expect(await said(a)).toBe('2: old');
    relay.setMode('refuse');
    relay.reset();
    await down(a);
    write(a);
    expect(await said(b)).toBe('1: old');
    relay.setMode('pass');
    await up(a);
    expect(await said(a)).toBe('miss');
    await until('b to hear of it', async () => (await said(b)) === 'miss');
  });

  it.each<[string, (relay: TcpRelay) => void]>([
    [
      'cut off',
      (relay) => {
        relay.setMode('refuse');
        relay.reset();
      },
    ],
    ['out of reach, with no word of it', (relay) => relay.blackhole()],
  ])('%s: its writes wait until nobody shows what they make old, the next ones do not wait', async (_how, lose) => {
    const relay = await TcpRelay.start({ port: redis.port });
    relays.push(relay);
    const [a, b] = [await weir({ redis: `redis://127.0.0.1:${relay.port}/0` }), await weir()];
    await up(a, b);
    await fill(b, 'old');
    expect(await said(a)).toBe('2: old');
    lose(relay);
    const guard = a.cache.close([users], false, prefix, a.cache.newFreshness());
    expect(await said(b)).toBe('1: old');
    await guard.announced;
    expect(await said(b)).toBe('miss');
    expect(a.cache.stats()).toMatchObject({ writesHeld: 1, writesUnannounced: 1 });
    guard.committed(a.ticks.next(), a.ticks);
    const next = a.cache.close([users], false, prefix, a.cache.newFreshness());
    await next.announced;
    next.rolledBack();
    expect(a.cache.stats()).toMatchObject({ writesHeld: 1, writesUnannounced: 2 });
    expect(b.log.join()).toContain('are missing');
    relay.pass();
    await up(a, b);
    expect(await said(b)).toBe('miss');
    await fill(b, 'new');
    expect(await said(a)).toBe('2: new');
  });

  it('killed: the others go on uncached, until they take it for gone; one that leaves is not missed', async () => {
    const relay = await TcpRelay.start({ port: redis.port });
    relays.push(relay);
    const a = await weir({ redis: `redis://127.0.0.1:${relay.port}/0`, memberTimeoutMs: 2_000 });
    const [b, c] = [await weir({ memberTimeoutMs: 2_000 }), await weir({ memberTimeoutMs: 2_000 })];
    await up(a, b, c);
    await c.cache.stop();
    await fill(b, 'old');
    relay.setMode('refuse');
    relay.reset();
    await until('b to miss it', () => !b.cache.stats().hasLease);
    expect(await said(b)).toBe('miss');
    await up(b);
    expect(b.log.join()).toContain('are missing');
    expect(await said(b)).toBe('miss');
    await fill(b, 'new');
    expect(await said(b)).toBe('1: new');
  });

  it('frozen: no look-up waits for it for long, and after a while not at all', async () => {
    const a = await weir();
    await up(a);
    await fill(a, 'alice');
    redis.pause();
    expect(await said(a, 'SELECT 2')).toBe('miss');
    // It is known to be slow now: the answer is at hand at once.
    const lookup = a.cache.lookup(key('SELECT 3'), [users], Infinity, a.cache.newFreshness(), a.ticks);
    expect(lookup.kind).toBe('miss');
    await down(a);
    redis.resume();
    await up(a);
    await fill(a, 'bob', 'SELECT 4');
    expect(await said(a, 'SELECT 4')).toBe('1: bob');
  });

  it('FLUSHALL: a new incarnation, and everything goes on', async () => {
    const [a, b] = [await weir(), await weir()];
    await up(a, b);
    await fill(a, 'alice');
    expect(await said(b)).toBe('2: alice');
    await client.flushall();
    write(a);
    await until('b to hear of it', async () => (await said(b)) === 'miss');
    await until('a new entry', async () => {
      const lookup = await look(a);
      if (lookup.kind === 'miss' && lookup.flight !== undefined) store(lookup.flight, 'new');
      return (await said(b)) === '2: new';
    });
  });

  it('SCRIPT FLUSH: the commands are loaded again', async () => {
    const a = await weir();
    await up(a);
    await client.script('FLUSH');
    await look(a);
    await down(a);
    await up(a);
    await fill(a, 'alice');
    expect(await said(a)).toBe('1: alice');
  });

  it('stamps that a restart has brought back are not believed', async () => {
    const a = await weir();
    await up(a);
    await fill(a, 'alice');
    const meta = await client.hgetall('{weir1}:meta');
    const tag = await client.hgetall(`{weir1}:t:${users}`);
    const [name] = await entries();
    const value = await client.getBuffer(name!);
    await redis.restart();
    await until('Redis to answer', async () => (await client.ping()) === 'PONG');
    // As from a snapshot on disk: all of it older than the last writes.
    await client.hset('{weir1}:meta', meta);
    await client.hset(`{weir1}:t:${users}`, tag);
    await client.set(name!, value!);
    const b = await weir();
    await up(b);
    expect(await said(b)).toBe('miss');
    expect((await client.hgetall('{weir1}:meta'))['inc']).not.toBe(meta['inc']);
  });

  it("nonsense in its keys and on its channel is another program's, not an answer", async () => {
    const [a, b] = [await weir(), await weir()];
    await up(a, b);
    await fill(a, 'alice');
    const [name] = await entries();
    const value = (await client.getBuffer(name!))!;
    for (const garbage of [value.subarray(0, value.length - 1), Buffer.concat([value, Buffer.from('x')])]) {
      await client.set(name!, garbage, 'PX', 60_000);
      expect(await said(b)).toBe('miss');
    }
    await client.set(name!, 'x'.repeat(5_000_000));
    expect(await said(b)).toBe('miss');
    await client.del(name!);
    await client.lpush(name!, 'a list');
    expect(await said(b)).toBe('miss');
    for (const text of ['', 'null', '[]', '{"k":"open"}', 'x'.repeat(2_000_000), '{"i":1,"n":"x"}']) {
      await client.publish('{weir1}:inv:0', text);
    }
    await client.set(`{weir1}:t:${orders}`, 'not a hash');
    await fill(a, 'after', 'SELECT 5', [orders]);
    await until('b to find it', async () => (await said(b, 'SELECT 5', [orders])) === '2: after');
    await client.hset(`{weir1}:t:${orders}`, 'v', '999999999999999999999', 'm:x', 'nan', 'm:y', '1e300');
    expect(await said(b, 'SELECT 5', [orders])).not.toContain('2:');
    await client.del('{weir1}:meta');
    await client.set('{weir1}:meta', 'not a hash either');
    await until('both to be in step again', async () => {
      await fill(a, 'healed', 'SELECT 6', [users]);
      return (await said(b, 'SELECT 6')) === '2: healed';
    });
    expect(b.log.filter((line) => line.includes('is not from a Weir'))).toHaveLength(1);
  });

  it('a jump in the numbers of messages empties level 1', async () => {
    const a = await weir();
    await up(a);
    await fill(a, 'alice');
    expect(await said(a)).toBe('1: alice');
    const { inc, n } = await client.hgetall('{weir1}:meta');
    const message = { i: inc, n: Number(n) + 5, f: 'peer', k: 'close', o: 'x', t: [] };
    await client.publish('{weir1}:inv:0', JSON.stringify(message));
    await until('the gap to be seen', () => a.log.some((line) => line.startsWith('cache_gap')));
    await up(a);
    expect(a.cache.stats().entries).toBe(0);
  });

  it('a lost message is found out within moments although no other follows', async () => {
    const a = await weir();
    await up(a);
    await fill(a, 'alice');
    await client.hincrby('{weir1}:meta', 'n', 1);
    await until('the loss to be found', () => a.cache.stats().entries === 0);
    await up(a);
  });

  it('a refused log-in is said once, without the password, and costs nobody anything', async () => {
    const wrong = await weir({ redis: `redis://app:secret-word@127.0.0.1:${redis.port}/0` });
    await until('the refusal to be said', () => wrong.log.length > 0);
    expect((await look(wrong)).kind).toBe('miss');
    expect(wrong.cache.stats().redis).toBe('down');
    expect(wrong.log.join('\n')).not.toContain('secret-word');
  });

  it('stops cleanly while it is connecting', async () => {
    const nowhere = await weir({ redis: 'redis://127.0.0.1:1/0' });
    expect((await look(nowhere)).kind).toBe('miss');
    await nowhere.cache.stop();
    expect(nowhere.cache.stats().redis).toBe('down');
  });
});
