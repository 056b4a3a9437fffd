/**
 * The open writes of a Weir that is killed: who inherits them, when they are over, and what a Redis without memory changes.
 * The clock and Redis are moved by hand; killed means that nothing of it is carried out any more.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCache } from '../../src/cache/cache.ts';
import { noteOf, parseNote } from '../../src/cache/orphaned-writes.ts';
import type { Backend, Lookup, ResultCache, WriteGuard } from '../../src/cache/types.ts';
import type { CacheParts } from '../../src/cache/parts.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { noSuchTick } from '../../src/util/ticks.ts';
import { MemoryRedis, type MemoryPort } from './memory-redis.ts';
import { FakeTicks, flightOf, key, orders, prefix, said, settings, storeText, users } from './support.ts';

const backend: Backend = { node: { host: 'db1', port: 5432 }, processId: 77 };
const leaseMs = 1_000;
const memberTimeoutMs = 5_000;

interface Weir {
  readonly cache: ResultCache;
  readonly port: MemoryPort;
  readonly ticks: FakeTicks;
  readonly asked: Backend[];
  readonly log: string[];
  gone(): void;
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('open writes of a Weir that is killed', () => {
  let clock: ReturnType<typeof createManualClock>;
  let redis: MemoryRedis;
  let alive: Weir[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    clock = createManualClock(1_000);
    redis = new MemoryRedis(clock.nowMs);
    alive = [];
  });
  afterEach(() => vi.useRealTimers());

  /** Its database is attached at once unless it is not used yet. */
  function start(instanceId: string, isUsed = true, parts: Partial<CacheParts> = {}): Weir {
    const port = redis.port(instanceId);
    const asked: Backend[] = [];
    const log: string[] = [];
    const ticks = new FakeTicks();
    let gone = (): void => undefined;
    const whenGone = (one: Backend): Promise<void> => {
      asked.push(one);
      return new Promise((resolve) => (gone = resolve));
    };
    const cache = createCache(
      {
        settings: settings({ leaseMs, memberTimeoutMs }),
        log: (_level, event) => log.push(event),
        now: clock.nowMs,
        instanceId,
      },
      { random: () => 0, transport: port, ...parts },
    );
    const weir = { cache, port, ticks, asked, log, gone: () => gone() };
    if (isUsed) cache.attach(prefix, ticks, whenGone);
    void cache.start();
    alive.push(weir);
    return weir;
  }

  async function drain(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      for (const { port } of alive) {
        if (port.isWaiting) port.connect();
        while (port.commands.length > 0) port.execute();
        while (port.replies.length > 0) port.reply();
        while (port.messages.length > 0) port.deliver();
      }
      await turn();
    }
  }

  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(100);
      vi.advanceTimersByTime(100);
      await drain();
    }
  }

  async function write(weir: Weir, where: Backend | undefined = backend): Promise<WriteGuard> {
    const guard = weir.cache.close([users], false, prefix, weir.cache.newFreshness(), where);
    await drain();
    await guard.announced;
    return guard;
  }

  function kill(weir: Weir): void {
    alive.splice(alive.indexOf(weir), 1);
    weir.port.isConnected = false;
  }

  async function look({ cache, ticks }: Weir, tags: readonly string[]): Promise<Lookup> {
    const lookup = cache.lookup(key('SELECT'), tags, Infinity, cache.newFreshness(), ticks);
    if (lookup.kind !== 'wait') return lookup;
    await drain();
    return lookup.result;
  }

  /** Reads that table, and keeps the answer if it may; then says what a second look gets. */
  async function prime(weir: Weir, text: string, tags: readonly string[] = [users]): Promise<string> {
    const first = await look(weir, tags);
    if (first.kind === 'miss' && first.flight !== undefined) storeText(flightOf(first), text);
    await drain();
    return said(await look(weir, tags));
  }

  /** Two Weirs in step; the first is killed in the middle of a write. */
  async function killedWhileWriting(where?: Backend): Promise<Weir> {
    const [a, b] = [start('aaa'), start('bbb')];
    await pass(2_000);
    await write(a, where);
    kill(a);
    return b;
  }

  it('are closed for the others for as long as the backend is there', async () => {
    const b = await killedWhileWriting();
    await pass(60_000);
    expect(b.cache.stats()).toMatchObject({ undecided: 1, hasLease: true });
    expect(b.asked).toEqual([backend]);
    expect(b.log.filter((event) => event === 'cache_inherited')).toHaveLength(1);
    expect(await prime(b, 'old')).toBe('miss: a write to one of its tables is under way');
    expect(b.cache.lastWrite([users], b.ticks)).toBe(noSuchTick);
    expect(await prime(b, 'other', [orders])).toBe('other');
    b.gone();
    await drain();
    expect(b.cache.stats().undecided).toBe(0);
    expect(b.cache.lastWrite([users], b.ticks)).toBe(b.ticks.tick);
    expect(await prime(b, 'new')).toBe('new');
    await pass(2_000);
    expect(b.asked).toHaveLength(1);
  });

  it('count as no write for one that ignores them', async () => {
    const [a, b] = [start('aaa'), start('bbb', true, { ignoresOrphans: true })];
    await pass(2_000);
    await write(a);
    kill(a);
    await pass(60_000);
    expect(b.cache.stats()).toMatchObject({ undecided: 0, hasLease: true });
    expect(b.cache.lastWrite([users], b.ticks)).not.toBe(noSuchTick);
  });

  it('are not in what was cached under them', async () => {
    const [a, b] = [start('aaa'), start('bbb')];
    await pass(2_000);
    expect(await prime(b, 'old')).toBe('old');
    await write(a);
    kill(a);
    await pass(10_000);
    b.gone();
    await drain();
    expect(said(await look(b, [users]))).toMatch(/^miss/);
  });

  it('are closed for one that is started when all others are dead', async () => {
    const a = start('aaa');
    await pass(2_000);
    await write(a);
    kill(a);
    await pass(3_600_000 / 60);
    const c = start('ccc', false);
    await pass(100);
    expect(c.cache.stats().undecided).toBe(1);
    await pass(10_000);
    expect(c.cache.stats()).toMatchObject({ undecided: 1, hasLease: true });
    expect(c.asked).toEqual([]);
    let gone = (): void => undefined;
    c.cache.attach(prefix, c.ticks, () => new Promise((resolve) => (gone = resolve)));
    expect(await prime(c, 'old')).toMatch(/^miss/);
    gone();
    await drain();
    expect(await prime(c, 'new')).toBe('new');
  });

  it('are over for everybody when one has found out', async () => {
    const [a, b, c] = [start('aaa'), start('bbb'), start('ccc')];
    await pass(2_000);
    await write(a);
    kill(a);
    await pass(10_000);
    expect([b, c].map(({ cache }) => cache.stats().undecided)).toEqual([1, 1]);
    c.gone();
    await pass(1_000);
    expect([b, c].map(({ cache }) => cache.stats().undecided)).toEqual([0, 0]);
    expect(await prime(b, 'new')).toBe('new');
    expect(await prime(c, 'new')).toBe('new');
  });

  it('are told to a Redis that has lost its memory', async () => {
    const b = await killedWhileWriting();
    await pass(3_000);
    redis.flush();
    for (const { port } of alive) port.disconnect('restarted');
    const c = start('ccc');
    await pass(20_000);
    expect([b, c].map(({ cache }) => cache.stats())).toMatchObject([
      { undecided: 1, hasLease: true },
      { undecided: 1, hasLease: true },
    ]);
    expect(await prime(c, 'old')).toMatch(/^miss/);
    b.gone();
    await pass(1_000);
    expect([b, c].map(({ cache }) => cache.stats().undecided)).toEqual([0, 0]);
    expect(await prime(c, 'new')).toBe('new');
  });

  it('are its own again when it was only out of reach', async () => {
    const [a, b] = [start('aaa'), start('bbb')];
    await pass(2_000);
    const guard = await write(a);
    alive.splice(alive.indexOf(a), 1);
    await pass(10_000);
    expect(b.cache.stats().undecided).toBe(1);
    alive.push(a);
    await pass(2_000);
    expect(b.cache.stats()).toMatchObject({ undecided: 0, hasLease: true });
    expect(await prime(b, 'old')).toMatch(/^miss/);
    guard.committed(a.ticks.next(), a.ticks);
    await drain();
    expect(await prime(b, 'new')).toBe('new');
  });

  it('do not outlive the connection to Redis on which their end was not heard', async () => {
    const [a, b] = [start('aaa'), start('bbb')];
    await pass(2_000);
    const guard = await write(a);
    guard.rolledBack();
    a.port.disconnect('lost');
    await pass(20_000);
    expect(await prime(b, 'same')).toBe('same');
    kill(a);
    await pass(20_000);
    expect(b.cache.stats()).toMatchObject({ undecided: 0, hasLease: true });
  });

  it('do not outlive a word of them that Redis hears late, from a connection that is gone', async () => {
    const [a, b] = [start('aaa'), start('bbb')];
    await pass(2_000);
    const guard = a.cache.close([users], false, prefix, a.cache.newFreshness(), backend);
    const late = a.port.commands.at(-1)!;
    a.port.disconnect('cut off');
    guard.rolledBack();
    await pass(2_000);
    late.run();
    expect(await prime(b, 'same')).toMatch(/^miss/);
    await pass(20_000);
    expect(await prime(b, 'same')).toBe('same');
  });

  it('are not forgotten by a question that Redis hears late, from a connection that is gone', async () => {
    const [a, b] = [start('aaa'), start('bbb')];
    await pass(2_000);
    clock.advance(1_000);
    vi.advanceTimersByTime(1_000);
    const late = a.port.commands.at(-1)!;
    a.port.disconnect('cut off');
    await pass(2_000);
    await write(a);
    late.run();
    kill(a);
    await pass(20_000);
    expect(b.cache.stats().undecided).toBe(1);
  });
});

describe('the note on a write', () => {
  it('is read back, and nothing else is', () => {
    expect(parseNote(noteOf(prefix, backend, [users]))).toEqual({ prefix, backend, tags: [users] });
    for (const note of [
      '',
      '{',
      'null',
      '[]',
      '["p","h",1,2]',
      '["p","h","1",2,[]]',
      '["p","h",1,2147483648,[]]',
      '["p","h",1,-1,[]]',
      '["p","h",1,2,[3]]',
      '[1,"h",1,2,[]]',
    ])
      expect(parseNote(note), note).toBeUndefined();
  });
});
