/**
 * The leases of places, in random histories of several workers: no limit is ever exceeded, counting connections
 * that are still closing and backends of workers that have died; nobody waits long while another worker has idle connections;
 * no place is lost or counted twice. Fails when a place is free too early, or never again. A seed makes a history again.
 */
import { describe, expect, test } from 'vitest';
import { Leases } from '../../src/sizing/leases.ts';
import type { SaidSize } from '../../src/sizing/lease-types.ts';
import { LeaseWorld, type WorldPool } from './lease-world.ts';

const shop: WorldPool = { database: 'shop', user: 'app', node: 'db1', server: 'db:5432' };
const other: WorldPool = { database: 'other', user: 'app', node: 'db1', server: 'db:5432' };
const reports: WorldPool = { database: 'shop', user: 'reports', node: 'db1', server: 'db:5432' };
const pools = [shop, other, reports];

function run(seed: number, steps: number, everySteps?: number): void {
  const world = new LeaseWorld(seed);
  try {
    world.live(pools, steps, everySteps);
    world.comeToRest(pools);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${world.history.slice(-40).join('\n')}`, {
      cause: error,
    });
  }
}

describe('random histories', () => {
  test.each(Array.from({ length: 6 }, (_, index) => index))('group %i of 15', (group) => {
    for (let seed = group * 15; seed < group * 15 + 15; seed++) run(seed, 200);
  });

  test.each([1, 7])('with another supervisor after each %i steps', (everySteps) => {
    for (let seed = 200; seed < 220; seed++) run(seed, 200, everySteps);
  });

  test.each([
    [1104, 150],
    [1489, 300],
    [1503, 300],
  ])('seed %i of %i steps, in which something was wrong once', (seed, steps) => run(seed, steps));
});

describe('a pool of 10', () => {
  test('serves all of four workers while there is little to do', () => {
    const world = new LeaseWorld(1);
    const workers = [1, 2, 3, 4].map(() => world.start([[shop, { limit: 10, min: 0 }]]));
    for (const worker of workers) worker.clients(shop, 2);
    world.pass(200);
    expect(workers.map((worker) => worker.open(shop))).toEqual([2, 2, 2, 2]);
  });

  test('moves idle connections to a worker that has clients waiting within 100 ms, in both directions', () => {
    const world = new LeaseWorld(2);
    const [one, two] = [1, 2].map(() => world.start([[shop, { limit: 10, min: 0 }]])) as [never, never];
    const move = (from: ReturnType<LeaseWorld['start']>, to: ReturnType<LeaseWorld['start']>): void => {
      from.clients(shop, 10);
      world.pass(2_000);
      expect(from.open(shop)).toBe(10);
      from.clients(shop, 0);
      to.clients(shop, 10);
      world.pass(100);
      expect(to.open(shop)).toBeGreaterThan(0);
      world.pass(2_000);
      expect(to.open(shop)).toBe(10);
    };
    move(one, two);
    move(two, one);
  });

  test('is divided when one has all and others get none, and then left alone', () => {
    const world = new LeaseWorld(3);
    const [one, two] = [1, 2].map(() => world.start([[shop, { limit: 10, min: 0 }]])) as [never, never];
    const workers: ReturnType<LeaseWorld['start']>[] = [one, two];
    workers[0]?.clients(shop, 30);
    world.pass(2_000);
    expect(workers[0]?.open(shop)).toBe(10);
    workers[1]?.clients(shop, 30);
    world.pass(100);
    expect(workers[1]?.open(shop)).toBeGreaterThan(0);
    world.pass(2_000);
    expect(workers.map((worker) => worker.open(shop))).toEqual([5, 5]);
    const before = world.closes;
    world.pass(5_000);
    expect(world.closes - before).toBe(0);
  });

  test('is divided by need: who needs little gets that, the others the rest in equal parts', () => {
    const world = new LeaseWorld(4);
    const workers = [1, 2, 3].map(() => world.start([[shop, { limit: 10, min: 0 }]]));
    workers[0]?.clients(shop, 30);
    world.pass(2_000);
    workers[1]?.clients(shop, 2);
    workers[2]?.clients(shop, 30);
    world.pass(3_000);
    expect(workers.map((worker) => worker.open(shop))).toEqual([4, 2, 4]);
  });
});

test('with fewer places than workers they take turns', () => {
  const world = new LeaseWorld(5);
  const workers = [1, 2, 3].map(() => world.start([[shop, { limit: 1, min: 0 }]]));
  for (const worker of workers) worker.clients(shop, 5);
  const served = workers.map(() => 0);
  for (let step = 0; step < 3_000; step++) {
    world.pass(1);
    workers.forEach((worker, index) => (served[index] = (served[index] ?? 0) + worker.open(shop)));
  }
  for (const ms of served) expect(ms).toBeGreaterThan(400);
  // A place changes hands at most twenty times a second, not with every statement.
  expect(world.closes).toBeLessThan(65);
});

test('a lower limit takes places back, although clients wait', () => {
  const world = new LeaseWorld(6);
  const workers = [1, 2].map(() => world.start([[shop, { limit: 10, min: 0 }]]));
  for (const worker of workers) worker.clients(shop, 30);
  world.pass(2_000);
  world.resize(shop, { limit: 4, min: 0 });
  world.pass(1_000);
  expect(workers.map((worker) => worker.open(shop))).toEqual([2, 2]);
});

test('the places of a worker that has died are free when its backends are gone, not before', () => {
  const world = new LeaseWorld(7);
  const [one, two] = [1, 2].map(() => world.start([[shop, { limit: 10, min: 0 }]]));
  one?.clients(shop, 30);
  world.pass(2_000);
  world.die(one as never, 500);
  two?.clients(shop, 30);
  world.pass(400);
  expect(two?.open(shop)).toBe(0);
  world.pass(2_000);
  expect(two?.open(shop)).toBe(10);
});

test('the minimum is that of all workers together', () => {
  const world = new LeaseWorld(8);
  const workers = [1, 2, 3].map(() => world.start([[shop, { limit: 10, min: 5 }]]));
  world.pass(1_000);
  expect(workers.map((worker) => worker.open(shop))).toEqual([2, 2, 1]);
  world.die(workers[0] as never, 10);
  world.pass(1_000);
  expect(workers.slice(1).map((worker) => worker.open(shop))).toEqual([3, 2]);
});

test('an idle connection of another pool makes room on a full server, but not one of its minimum', () => {
  const world = new LeaseWorld(9);
  world.limitServer('db:5432', 4);
  const one = world.start([[shop, { limit: 10, min: 1 }]]);
  const two = world.start([[other, { limit: 10, min: 0 }]]);
  one.clients(shop, 4);
  world.pass(1_000);
  expect(one.open(shop)).toBe(4);
  one.clients(shop, 0);
  two.clients(other, 4);
  world.pass(1_000);
  expect([one.open(shop), two.open(other)]).toEqual([1, 3]);
});

test('pools that always have clients take turns on a server with fewer places than pools', () => {
  const world = new LeaseWorld(10);
  world.limitServer('db:5432', 2);
  const each = pools.map((pool) => [pool, { limit: 10, min: 0 }] as const);
  const workers = [1, 2].map(() => world.start(each.map((pool) => [...pool])));
  for (const worker of workers) worker.clients(shop, 5);
  world.pass(1_000);
  for (const worker of workers) for (const pool of pools) worker.clients(pool, 5);
  const served = pools.map(() => 0);
  for (let step = 0; step < 6_000; step++) {
    world.pass(1);
    pools.forEach((pool, index) => {
      served[index] = (served[index] ?? 0) + workers.reduce((sum, worker) => sum + worker.open(pool), 0);
    });
  }
  for (const ms of served) expect(ms).toBeGreaterThan(500);
  // Workers take turns within a pool, too.
  expect(world.closes).toBeLessThan(150);
});

describe('the size of a pool', () => {
  const big = { limit: 10, min: 0 };
  const resize = { atMs: 1, from: 10, to: 7, reason: 'operator', why: 'RESIZE POOL' } as const;
  const said = (limit: number, heard: number): SaidSize => ({ pool: shop, size: { limit, min: 0 }, resize, heard });

  /** Two workers that have joined. */
  function leases(): Leases {
    const both = new Leases();
    both.join(1, shop, big);
    both.join(2, shop, big);
    both.decide(0);
    return both;
  }

  test('that all workers change is one change', () => {
    const both = leases();
    expect(both.sizeSaid(1, said(7, 0))).toMatchObject({ from: 10, to: 7, reason: 'operator' });
    expect(both.sizeSaid(2, said(7, 0))).toBeUndefined();
    expect(both.decide(0).decisions).toEqual([]);
    expect(both.sizeOf(shop)).toEqual({ limit: 7, min: 0 });
  });

  test('is not what a worker says that has not heard of the last one', () => {
    const both = leases();
    both.setSize(shop, { limit: 20, min: 0 }, { ...resize, to: 20 });
    expect(both.sizeSaid(1, said(7, 0))).toBeUndefined();
    expect(both.sizeOf(shop)?.limit).toBe(20);
    expect(both.sizeSaid(1, said(7, 1))).toMatchObject({ from: 20, to: 7 });
  });

  test('is told to a worker that joins with another one, with its reason; what it says before it has heard is out of date', () => {
    const both = leases();
    both.setSize(shop, { limit: 20, min: 0 }, { ...resize, to: 20 });
    both.decide(0);
    both.join(3, shop, big);
    expect(both.sizeSaid(3, said(7, 0))).toBeUndefined();
    const { decisions } = both.decide(0);
    expect(decisions).toEqual([
      { kind: 'size', worker: 3, pool: shop, size: { limit: 20, min: 0 }, resize: { ...resize, to: 20 } },
    ]);
    expect(both.sizeOf(shop)?.limit).toBe(20);
  });

  test('is not that of a worker that starts, unless nobody else uses the pool', () => {
    const both = leases();
    expect(both.sizeSaid(2, said(7, 0), true)).toBeUndefined();
    expect(both.sizeOf(shop)?.limit).toBe(10);
    expect(both.decide(0).decisions).toMatchObject([{ kind: 'size', worker: 2, size: big }]);
    both.died(1);
    expect(both.sizeSaid(2, said(7, 1), true)).toMatchObject({ from: 10, to: 7 });
  });
});

describe('max_user_connections of several workers', () => {
  test('counts the pools of the user in all databases on the server, and survives a change of the supervisor', () => {
    const want = { need: 3, closing: 0, wanted: 3, wantedForMin: 0 };
    const granted = (leases: Leases): number =>
      leases.decide(1_000).decisions.reduce((sum, each) => sum + (each.kind === 'grant' ? each.count : 0), 0);
    const first = new Leases();
    first.setLimit(shop.server, undefined, 4, 'app');
    for (const [worker, pool] of [shop, other, reports].entries()) {
      first.join(worker + 1, pool, { limit: 10, min: 0 });
      first.load(worker + 1, pool, 0, want, 1_000);
    }
    expect(granted(first)).toBe(4 + 3);
    expect(first.taken(shop).pool + first.taken(other).pool).toBe(4);
    const next = new Leases(structuredClone(first.state()));
    next.setLimit(shop.server, undefined, 5, 'app');
    expect(granted(next)).toBe(1);
  });
});
