/** When pools grow and shrink, and how nodes share out their connections. Fails if a pool passes a limit or swings. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeCapacity } from '../../src/sizing/controller.ts';
import { PeakWindow } from '../../src/sizing/peak-window.ts';
import { createResizeLoop } from '../../src/sizing/resize-loop.ts';
import type { ResizeLoop } from '../../src/sizing/resize-loop.ts';
import { shareOut } from '../../src/sizing/share-out.ts';
import type { ResizeRecord } from '../../src/pool/types.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { fakeNode, fakePool } from '../console/fakes.ts';
import type { FakePool } from '../console/fakes.ts';

const tickMs = 500;

interface World {
  readonly pools: FakePool[];
  readonly loop: ResizeLoop;
  readonly resizes: string[];
  readonly settings: {
    enabled: boolean;
    targetWaitMs: number;
    shrinkAfterMs: number;
    raiseWhy?: (database: string) => string | undefined;
  };
  /** Half a second passes, with `load` having written down what happened in it. */
  step(load?: () => void): void;
}

const quiet = { active: 0, idle: 0, login: 0, resetting: 0, pinned: 0, waiting: 0, checkouts: 0, heldTotalMs: 0 };

function world(
  pools: FakePool[],
  options: {
    connectionLimit?: number;
    maxDbConnections?: number;
    defaultSize?: number;
    reserveSize?: number;
    isLimitUnasked?: boolean;
  } = {},
): World {
  const clock = createManualClock(1_000_000);
  const resizes: string[] = [];
  const settings: World['settings'] = { enabled: true, targetWaitMs: 10, shrinkAfterMs: 300_000 };
  const node = fakeNode({ connectionLimit: options.connectionLimit ?? 1_000 });
  const snapshot = { database: 'shop', primary: node, replicas: [], nodes: [node], epoch: 1 };
  const loop = createResizeLoop({
    clock,
    sources: {
      pools: () => pools,
      topologies: () =>
        [...new Set(pools.map((pool) => pool.stats().database))].map((database) => ({
          database,
          snapshot: () => snapshot,
        })),
      settings: () => settings,
      isLimitUnasked: () => options.isLimitUnasked === true,
      poolSettings: () => ({
        defaultPoolSize: options.defaultSize ?? 20,
        maxDbConnections: options.maxDbConnections ?? 0,
        reservePoolSize: options.reserveSize ?? 0,
        reservePoolTimeoutMs: 500,
      }),
    },
    onError: (error) => {
      throw error;
    },
  });
  const noted = new Set<ResizeRecord>();
  /** Every change since the last look, whoever made it. */
  const note = (): void => {
    for (const pool of pools) {
      const { user, lastResize } = pool.stats();
      if (lastResize === undefined || noted.has(lastResize)) continue;
      noted.add(lastResize);
      resizes.push(`${user} ${lastResize.from}->${lastResize.to} ${lastResize.reason}: ${lastResize.why}`);
    }
  };
  return {
    pools,
    loop,
    resizes,
    settings,
    step(load) {
      load?.();
      clock.advance(tickMs);
      loop.tick();
      note();
    },
  };
}

/** Half a second of `clients` that ask again as soon as they are answered; each statement holds a server `holdMs`. */
function closedLoop(pool: FakePool, clients: number, holdMs: number): void {
  const stats = pool.stats();
  const active = Math.min(clients, stats.limit);
  const waiting = clients - active;
  const checkouts = Math.round((active * tickMs) / holdMs);
  pool.maxWaitMs = active === 0 ? 0 : (waiting * holdMs) / active;
  pool.peakInUse = active;
  pool.set({
    active,
    waiting,
    idle: Math.max(0, Math.min(stats.limit, stats.active + stats.idle) - active),
    login: 0,
    checkouts: stats.checkouts + checkouts,
    heldTotalMs: stats.heldTotalMs + checkouts * holdMs,
  });
}

describe('growing while a budget burns', () => {
  it('begins as soon as anybody waits, in that database only, and within max_pool_size', () => {
    const pools = ['shop', 'blog'].map((database) => fakePool({ ...quiet, database, limit: 10, max: 12 }));
    const { step, settings, resizes } = world(pools);
    const load = (): void => {
      for (const pool of pools) {
        const { limit } = pool.stats();
        pool.peakInUse = limit;
        pool.maxWaitMs = 3;
        pool.set({ active: limit, waiting: 1 });
      }
    };
    step(load);
    expect(resizes).toEqual([]);
    settings.raiseWhy = (database) => (database === 'shop' ? 'budget reads_p95 burns' : undefined);
    for (let i = 0; i < 10; i++) step(load);
    expect(pools.map((pool) => pool.stats().limit)).toEqual([12, 10]);
    expect(resizes[0]).toContain('pressure: clients waited 3 ms (target 0 ms, as budget reads_p95 burns)');
  });
});

describe('growing', () => {
  it.each([
    [200, 5, 100],
    [60, 40, 60],
    [1_000, 50, 100],
  ])('%i clients of %i ms each end with %i connections or fewer, and short waits', (clients, holdMs, most) => {
    const pool = fakePool({ ...quiet });
    const { step, resizes } = world([pool]);
    let last = 0;
    for (let i = 0; i < 100; i++) {
      last = pool.stats().limit;
      step(() => closedLoop(pool, clients, holdMs));
      expect(pool.stats().limit).toBeLessThanOrEqual(Math.max(last * 2, 20));
    }
    const { limit } = pool.stats();
    expect(limit).toBeLessThanOrEqual(most);
    expect(limit).toBeGreaterThan(20);
    const wait = ((clients - Math.min(clients, limit)) * holdMs) / limit;
    expect(wait <= 10 || limit === 100).toBe(true);
    // Settled: the last thirty seconds brought no change.
    const settled = resizes.length;
    for (let i = 0; i < 60; i++) step(() => closedLoop(pool, clients, holdMs));
    expect(resizes).toHaveLength(settled);
  });

  it('says why in words', () => {
    const pool = fakePool({ ...quiet });
    const { step, resizes } = world([pool], { connectionLimit: 97 });
    step(() => closedLoop(pool, 30, 40));
    expect(resizes).toEqual([
      'app 20->30 pressure: clients waited 20 ms (target 10 ms); 30 wanted instead of 20; node db1 can spare 67',
    ]);
  });

  it.each([
    ['waits stay below the target', { maxWaitMs: 9 }],
    ['the pool was never full', { peakInUse: 12 }],
  ])('does not when %s', (_why, taken) => {
    const pool = fakePool({ ...quiet });
    const { step, resizes } = world([pool]);
    for (let i = 0; i < 20; i++) {
      step(() => {
        closedLoop(pool, 20, 5);
        Object.assign(pool, { maxWaitMs: 50, peakInUse: 20, ...taken });
        pool.set({ active: 5, waiting: 0 });
      });
    }
    expect(resizes).toEqual([]);
  });

  it('does not when paused, disabled, or when the node has not said how many it takes', () => {
    const paused = fakePool({ ...quiet, isPaused: true });
    const one = world([paused]);
    one.step(() => closedLoop(paused, 100, 40));
    expect(paused.calls).toEqual([]);

    const off = fakePool({ ...quiet });
    const two = world([off]);
    two.settings.enabled = false;
    two.step(() => closedLoop(off, 100, 40));
    expect(off.calls).toEqual([]);

    const unknown = fakePool({ ...quiet });
    const three = world([unknown], { connectionLimit: 0 });
    three.step(() => closedLoop(unknown, 100, 40));
    expect(unknown.calls).toEqual([]);
  });

  it('stays within the bounds of an operator, and reports the operator too, once', () => {
    const pool = fakePool({ ...quiet });
    const { step, resizes } = world([pool]);
    pool.setBounds({ max: 8 }, 'weir resize by weir');
    for (let i = 0; i < 10; i++) step(() => closedLoop(pool, 100, 40));
    expect(pool.stats().limit).toBe(8);
    expect(resizes).toEqual(['app 20->8 operator: weir resize by weir']);
    pool.setBounds({ max: 24 }, 'more');
    for (let i = 0; i < 10; i++) step(() => closedLoop(pool, 100, 40));
    expect(pool.stats().limit).toBe(24);
  });
});

describe('53300', () => {
  it('keeps what is open, backs off longer each time, and tries again', () => {
    const pool = fakePool({ ...quiet, limit: 30, active: 15, waiting: 50 });
    const { step, resizes } = world([pool]);
    const attempts: number[] = [];
    for (let i = 0; i < 120; i++) {
      const before = pool.stats().limit;
      step(() => {
        // The server takes fifteen and no more.
        const { limit } = pool.stats();
        pool.set({
          active: 15,
          waiting: 50,
          checkouts: pool.stats().checkouts + 100,
          heldTotalMs: pool.stats().heldTotalMs + 4_000,
        });
        pool.peakInUse = 15;
        pool.maxWaitMs = 200;
        if (limit > 15) pool.serverFull = 1;
      });
      if (pool.stats().limit > before) attempts.push(i);
    }
    expect(resizes[0]).toContain('30->15 server-full: node db1 has no connection left for us (53300): 15 are open');
    expect(pool.stats().limit).toBeLessThanOrEqual(16);
    expect(attempts.length).toBeGreaterThan(3);
    expect(attempts.length).toBeLessThan(15);
    const gaps = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0));
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(20);
    expect(gaps.at(-1)).toBeGreaterThan(gaps[0] ?? Infinity);
  });

  it('recovers when the server has room again', () => {
    const pool = fakePool({ ...quiet, limit: 30, active: 15, waiting: 5 });
    const { step } = world([pool]);
    pool.serverFull = 3;
    step();
    expect(pool.stats().limit).toBe(15);
    // With 32 of them, eight clients wait 10 ms: the target.
    for (let i = 0; i < 60; i++) step(() => closedLoop(pool, 40, 40));
    expect(pool.stats().limit).toBe(32);
  });
});

describe('shrinking', () => {
  it('waits for shrink_after, then takes one in ten seconds, down to the peak, its margin and the default', () => {
    const pool = fakePool({ ...quiet, limit: 60 });
    const { step, resizes } = world([pool], { defaultSize: 5 });
    for (let i = 0; i < 599; i++) step(() => closedLoop(pool, 30, 5));
    expect(pool.stats().limit).toBe(60);
    for (let i = 0; i < 41; i++) step(() => closedLoop(pool, 30, 5));
    expect(pool.stats().limit).toBe(58);
    expect(resizes[0]).toBe('app 60->59 surplus: at most 30 of 60 were in use for 300 s');
    for (let i = 0; i < 2_000; i++) step(() => closedLoop(pool, 30, 5));
    expect(pool.stats().limit).toBe(33);
    for (let i = 0; i < 2_000; i++) step(() => closedLoop(pool, 0, 5));
    expect(pool.stats().limit).toBe(5);
  });

  it('is put off by one peak, and does not go up and down', () => {
    const pool = fakePool({ ...quiet });
    const { step, resizes } = world([pool]);
    // A burst every minute, for an hour.
    for (let i = 0; i < 7_200; i++) step(() => closedLoop(pool, i % 120 === 0 ? 50 : 10, 40));
    const { limit } = pool.stats();
    expect(limit).toBeGreaterThanOrEqual(40);
    expect(resizes.filter((line) => line.includes('surplus'))).toEqual([]);
    expect(resizes.length).toBeLessThan(5);
  });

  it('goes faster with a short shrink_after', () => {
    const pool = fakePool({ ...quiet, limit: 40 });
    const { step, settings } = world([pool]);
    settings.shrinkAfterMs = 2_000;
    for (let i = 0; i < 60; i++) step(() => closedLoop(pool, 1, 5));
    expect(pool.stats().limit).toBe(20);
  });

  it('never goes below the minimum', () => {
    const pool = fakePool({ ...quiet, limit: 40, min: 38 });
    const { step } = world([pool]);
    for (let i = 0; i < 2_000; i++) step(() => closedLoop(pool, 0, 5));
    expect(pool.stats().limit).toBe(38);
  });
});

describe('one node, many pools', () => {
  it('takes from a pool with a surplus what another waits for', () => {
    const idle = fakePool({ ...quiet, user: 'idle', limit: 60 });
    const busy = fakePool({ ...quiet, user: 'busy', limit: 20 });
    const { step, resizes } = world([idle, busy], { connectionLimit: 100 });
    for (let i = 0; i < 20; i++) {
      step(() => {
        closedLoop(idle, 2, 5);
        closedLoop(busy, 80, 40);
      });
    }
    expect(busy.stats().limit).toBe(80);
    expect(idle.stats().limit).toBe(10);
    expect(resizes.find((line) => line.startsWith('idle'))).toContain(
      'budget: all pools together want more than there is',
    );
  });

  it('shares evenly between pools that both wait', () => {
    const one = fakePool({ ...quiet, user: 'one', limit: 70 });
    const two = fakePool({ ...quiet, user: 'two', limit: 5 });
    const { step, resizes } = world([one, two], { maxDbConnections: 50 });
    const load = (): void => {
      closedLoop(one, 200, 40);
      closedLoop(two, 200, 40);
    };
    for (let i = 0; i < 30; i++) step(load);
    expect([one.stats().limit, two.stats().limit]).toEqual([25, 25]);
    const settled = resizes.length;
    for (let i = 0; i < 200; i++) step(load);
    expect(resizes).toHaveLength(settled);
  });

  it('bounds the node as a whole when several databases are on it', () => {
    const shop = fakePool({ ...quiet, limit: 20 });
    const blog = fakePool({ ...quiet, database: 'blog', user: 'blog', limit: 20 });
    const { step } = world([shop, blog], { connectionLimit: 50 });
    for (let i = 0; i < 30; i++) {
      step(() => {
        closedLoop(shop, 200, 40);
        closedLoop(blog, 200, 40);
      });
    }
    expect(shop.stats().limit + blog.stats().limit).toBe(45);
  });

  it('never has limits above what the node can spare, whatever happens', () => {
    const pool = fc.record({ limit: fc.integer({ min: 1, max: 60 }), min: fc.integer({ min: 0, max: 5 }) });
    const loads = fc.array(fc.array(fc.integer({ min: 0, max: 120 }), { minLength: 4, maxLength: 4 }), {
      minLength: 5,
      maxLength: 40,
    });
    fc.assert(
      fc.property(
        fc.array(pool, { minLength: 1, maxLength: 4 }),
        loads,
        fc.integer({ min: 30, max: 150 }),
        (starts, steps, cap) => {
          const pools = starts.map((start, index) =>
            fakePool({ ...quiet, ...start, limit: Math.max(start.limit, start.min), user: `u${index}` }),
          );
          const { step } = world(pools, { connectionLimit: cap });
          const capacity = nodeCapacity({ connectionLimit: cap }, 0) ?? 0;
          for (const clients of steps) {
            const before = pools.map((one) => one.stats().limit);
            step(() => pools.forEach((one, index) => closedLoop(one, clients[index] ?? 0, 20)));
            const limits = pools.map((one) => one.stats().limit);
            expect(limits.reduce((sum, limit) => sum + limit, 0)).toBeLessThanOrEqual(capacity);
            // Nothing grows into places that others still use.
            const open = pools.reduce((sum, one) => sum + Math.max(one.stats().limit, one.stats().active), 0);
            const hasGrown = limits.some((limit, index) => limit > (before[index] ?? 0));
            if (hasGrown) expect(open).toBeLessThanOrEqual(capacity);
            pools.forEach((one, index) => expect(limits[index]).toBeGreaterThanOrEqual(Math.max(1, one.stats().min)));
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('sharing out', () => {
  const claim = (
    floor: number,
    need: number,
    want: number,
    limit: number,
    busy = 0,
  ): Parameters<typeof shareOut>[0][number] => ({
    floor,
    need,
    want,
    limit,
    busy,
  });

  it.each([
    ['all fits', [claim(1, 5, 10, 5), claim(1, 5, 10, 5)], 20, [10, 10]],
    ['needs before what is merely had', [claim(1, 3, 30, 30), claim(1, 20, 20, 5)], 30, [10, 20]],
    [
      'the small get all, the large share',
      [claim(1, 3, 3, 3), claim(1, 50, 50, 5), claim(1, 50, 50, 5)],
      30,
      [3, 14, 13],
    ],
    ['floors are kept even beyond the budget', [claim(8, 8, 8, 8), claim(8, 8, 8, 8)], 10, [8, 8]],
    ['nothing is given away that is still in use', [claim(1, 20, 20, 5), claim(1, 5, 10, 30, 30)], 30, [5, 10]],
  ])('%s', (_what, claims, cap, expected) => {
    expect(shareOut(claims, cap)).toEqual(expected);
  });

  it('uses every place when there is a want for it', () => {
    const one = fc
      .record({
        floor: fc.integer({ min: 1, max: 3 }),
        need: fc.nat(40),
        more: fc.nat(40),
        limit: fc.integer({ min: 1, max: 40 }),
      })
      .map(({ floor, need, more, limit }) => claim(floor, floor + need, floor + need + more, limit));
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), fc.integer({ min: 18, max: 200 }), (claims, cap) => {
        const targets = shareOut(claims, cap);
        const sum = targets.reduce((total, target) => total + target, 0);
        const wanted = claims.reduce((total, { want }) => total + want, 0);
        expect(sum).toBe(Math.min(cap, wanted));
        targets.forEach((target, index) => {
          expect(target).toBeGreaterThanOrEqual(claims[index]?.floor ?? 0);
          expect(target).toBeLessThanOrEqual(claims[index]?.want ?? 0);
        });
      }),
    );
  });
});

describe('what a node can spare', () => {
  it.each([
    [97, 0, 87],
    [97, 30, 30],
    [20, 30, 18],
    [2, 0, 1],
    [0, 0, undefined],
    [0, 30, 30],
  ])('server %i, max_db_connections %i: %s', (connectionLimit, maxDbConnections, expected) => {
    expect(nodeCapacity({ connectionLimit }, maxDbConnections)).toBe(expected);
  });
});

describe('the peak of a window', () => {
  it('is that of all values within it', () => {
    const steps = fc.array(fc.record({ passes: fc.nat(60), value: fc.nat(100) }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const window = new PeakWindow(200, 0, 20);
        const seen: { at: number; value: number }[] = [];
        let now = 0;
        for (const { passes, value } of all) {
          now += passes;
          window.add(now, value);
          seen.push({ at: now, value });
          const within = (ms: number): number =>
            Math.max(0, ...seen.filter(({ at }) => now - at <= ms).map((one) => one.value));
          expect(window.max(now)).toBeGreaterThanOrEqual(within(190));
          expect(window.max(now)).toBeLessThanOrEqual(within(200));
        }
      }),
    );
  });
});

describe('the reserve', () => {
  /** All servers of the pool are busy, and one client has waited so long. */
  const stuck = (pool: FakePool, waitedMs: number): void => {
    const { limit } = pool.stats();
    pool.peakInUse = limit;
    pool.maxWaitMs = waitedMs;
    pool.set({ active: limit, idle: 0, waiting: waitedMs > 0 ? 3 : 0, maxWaitMs: waitedMs });
  };
  const freed = (pool: FakePool): void => {
    pool.peakInUse = 2;
    pool.maxWaitMs = 0;
    pool.set({ active: 2, idle: pool.stats().limit - 2, waiting: 0, maxWaitMs: 0 });
  };
  const inForce = { ...quiet, limit: 10, min: 0, max: 10 };

  it('is used in an overload, in which nobody waits for so long any more', () => {
    const pool = fakePool({ ...quiet, limit: 10, max: 10 });
    const { step, resizes } = world([pool], { reserveSize: 2, defaultSize: 10 });
    step(() => pool.set({ active: 10, waiting: 30, maxWaitMs: 100 }));
    expect(resizes).toEqual([]);
    step(() => pool.set({ isOverloaded: true }));
    expect(resizes).toEqual(['app 10->12 reserve: the pool is overloaded; node db1 can spare 890']);
  });

  it('is used when a client has waited reserve_pool_timeout in a pool of max_pool_size, and given back later', () => {
    const pool = fakePool(inForce);
    const { step, resizes } = world([pool], { reserveSize: 5, defaultSize: 10 });
    step(() => stuck(pool, 400));
    expect(pool.stats().limit).toBe(10);
    step(() => stuck(pool, 600));
    expect(pool.stats().limit).toBe(13);
    step(() => stuck(pool, 700));
    expect(pool.stats().limit).toBe(15);
    for (let i = 0; i < 50; i++) step(() => stuck(pool, 900));
    expect(pool.stats().limit).toBe(15);
    for (let i = 0; i < 15; i++) step(() => freed(pool));
    expect(pool.stats().limit).toBe(15);
    for (let i = 0; i < 10; i++) step(() => freed(pool));
    expect(pool.stats().limit).toBe(10);
    expect(resizes).toEqual([
      'app 10->13 reserve: a client has waited 600 ms (reserve_pool_timeout 500 ms); node db1 can spare 890',
      'app 13->15 reserve: a client has waited 700 ms (reserve_pool_timeout 500 ms); node db1 can spare 887',
      'app 15->10 surplus: its reserve is no longer needed',
    ]);
  });

  it('is used where nobody asks the server for its limit, and not while the answer is expected', () => {
    for (const isLimitUnasked of [true, false]) {
      const pool = fakePool(inForce);
      const { step } = world([pool], { reserveSize: 5, defaultSize: 10, connectionLimit: 0, isLimitUnasked });
      step(() => stuck(pool, 600));
      expect(pool.stats().limit).toBe(isLimitUnasked ? 13 : 10);
    }
  });

  it('stays while its connections are in use', () => {
    const pool = fakePool(inForce);
    const { step } = world([pool], { reserveSize: 5, defaultSize: 10 });
    step(() => stuck(pool, 600));
    for (let i = 0; i < 100; i++) step(() => stuck(pool, 0));
    expect(pool.stats().limit).toBe(13);
  });

  it('is there without resizing, too: beyond the size that the pool has', () => {
    const pool = fakePool({ ...inForce, max: 100 });
    const { step, settings } = world([pool], { reserveSize: 2, defaultSize: 10 });
    settings.enabled = false;
    for (let i = 0; i < 10; i++) step(() => stuck(pool, 600));
    expect(pool.stats().limit).toBe(12);
    for (let i = 0; i < 30; i++) step(() => freed(pool));
    expect(pool.stats().limit).toBe(10);
  });

  it('with resizing is used after the pool has grown to its maximum', () => {
    const pool = fakePool({ ...inForce, max: 12 });
    const { step, resizes } = world([pool], { reserveSize: 2, defaultSize: 10 });
    for (let i = 0; i < 10; i++) step(() => stuck(pool, 600));
    expect(pool.stats().limit).toBe(14);
    expect(resizes.map((line) => line.split(':')[0])).toEqual(['app 10->12 pressure', 'app 12->14 reserve']);
  });

  it('is no more than max_db_connections leaves', () => {
    const pool = fakePool(inForce);
    const { step } = world([pool], { reserveSize: 5, defaultSize: 10, maxDbConnections: 11 });
    for (let i = 0; i < 10; i++) step(() => stuck(pool, 600));
    expect(pool.stats().limit).toBe(11);
  });

  it('an operator who resizes the pool wins: what he has set is its size', () => {
    const pool = fakePool(inForce);
    const { step } = world([pool], { reserveSize: 5, defaultSize: 10 });
    step(() => stuck(pool, 600));
    expect(pool.stats().limit).toBe(13);
    pool.setBounds({ max: 4 }, 'RESIZE POOL');
    for (let i = 0; i < 30; i++) step(() => freed(pool));
    expect(pool.stats().limit).toBe(4);
  });
});
