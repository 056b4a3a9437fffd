/**
 * A pool of which it is known what it will need: it grows before the load, within what operators, the server and other pools
 * leave, and never below what the controller wants by itself. Fails if a prediction shrinks a pool, wins against an operator,
 * or takes places from clients that are there.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ResizeController, type SampledPool } from '../../src/sizing/controller.ts';
import { createResizeLoop } from '../../src/sizing/resize-loop.ts';
import type { Prediction, Predictor } from '../../src/sizing/types.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { fakeNode, fakePool, type FakePool } from '../console/fakes.ts';

const quiet = { active: 0, idle: 0, login: 0, resetting: 0, pinned: 0, waiting: 0, checkouts: 0, heldTotalMs: 0 };
const why = 'at 09:00 UTC this pool usually needs 34 (confidence 0.86)';

interface Options {
  readonly connectionLimit?: number;
  readonly maxDbConnections?: number;
  readonly shrinkAfterMs?: number;
}

class World {
  readonly pools: FakePool[];
  readonly settings: { enabled: boolean; targetWaitMs: number; shrinkAfterMs: number };
  readonly loads: number[] = [];
  readonly warmed: number[] = [];
  predicted: number | undefined = 34;
  isOn = true;
  isResting = false;
  readonly loop;
  private readonly clock = createManualClock(1_000_000);

  constructor(pools: FakePool[], options: Options = {}) {
    this.pools = pools;
    this.settings = { enabled: true, targetWaitMs: 10, shrinkAfterMs: options.shrinkAfterMs ?? 300_000 };
    const node = fakeNode({ connectionLimit: options.connectionLimit ?? 1_000 });
    const snapshot = { database: 'shop', primary: node, replicas: [], nodes: [node], epoch: 1 };
    const predictor: Predictor = {
      observe: (_pool, load) => void this.loads.push(load),
      predicted: (): Prediction | undefined =>
        this.predicted === undefined ? undefined : { connections: this.predicted, why },
      warmed: (_pool, count) => void this.warmed.push(count),
    };
    this.loop = createResizeLoop({
      clock: this.clock,
      forecast: { tick: () => (this.isOn ? predictor : undefined), rest: () => void (this.isResting = true) },
      sources: {
        pools: () => pools,
        topologies: () => [{ database: 'shop', snapshot: () => snapshot }],
        settings: () => this.settings,
        poolSettings: () => ({
          ...{ defaultPoolSize: 20, reservePoolSize: 0, reservePoolTimeoutMs: 500 },
          maxDbConnections: options.maxDbConnections ?? 0,
        }),
      },
      onError: (error) => {
        throw error;
      },
    });
  }

  step(count = 1): void {
    for (let i = 0; i < count; i++) {
      this.clock.advance(500);
      this.loop.tick();
    }
  }
}

const sizeOf = (pool: FakePool): number => pool.stats().limit;

describe('a predicted load', () => {
  test('makes the pool larger before it comes, says why, and has the connections opened', () => {
    const pool = fakePool(quiet);
    const world = new World([pool]);
    world.step();
    expect(pool.calls).toEqual(['limit 34 predicted', 'warm 34']);
    expect(pool.stats().lastResize?.why).toBe(`${why}; node db1 can spare 880`);
    expect(pool.stats()).toMatchObject({ limit: 34, min: 0, max: 100, resizes: { 'up:predicted': 1 } });
    expect(world.warmed).toEqual([34]);
  });

  test('that fits into the pool changes no size, and its connections are opened', () => {
    const pool = fakePool({ ...quiet, limit: 40 });
    new World([pool]).step();
    expect(pool.calls).toEqual(['warm 34']);
  });

  test('keeps the pool from shrinking while it is expected, not longer', () => {
    const pool = fakePool({ ...quiet, limit: 36 });
    const world = new World([pool], { shrinkAfterMs: 10_000 });
    world.step(200);
    expect(sizeOf(pool)).toBe(34);
    world.predicted = undefined;
    world.step(200);
    expect(sizeOf(pool)).toBe(20);
    expect(pool.stats().lastResize?.reason).toBe('surplus');
    expect(world.warmed.at(-1)).toBe(0);
  });

  test('that is smaller than the present one changes nothing', () => {
    const pool = fakePool(quiet);
    const world = new World([pool]);
    world.predicted = 3;
    world.step();
    pool.set({ active: 20, waiting: 10 });
    Object.assign(pool, { maxWaitMs: 40, peakInUse: 20 });
    world.step();
    expect(pool.stats().lastResize).toMatchObject({ from: 20, reason: 'pressure' });
    expect(sizeOf(pool)).toBeGreaterThan(20);
    expect(world.loads.at(-1)).toBe(sizeOf(pool));
  });

  test('is not warmed in a pool that is paused, or that the server has no room for', () => {
    const paused = fakePool({ ...quiet, isPaused: true });
    const world = new World([paused]);
    world.step();
    expect(paused.calls).toEqual([]);
    expect(world.loads).toEqual([]);
    const full = fakePool({ ...quiet, active: 12 });
    const other = new World([full]);
    full.serverFull = 1;
    other.step();
    expect(full.stats()).toMatchObject({ limit: 12, lastResize: { reason: 'server-full' } });
    other.step(100);
    // As many as the server has let in, until it has let in all for a minute.
    expect(sizeOf(full)).toBe(12);
    expect(other.warmed.slice(0, 2)).toEqual([0, 12]);
    other.step(30);
    expect(sizeOf(full)).toBe(34);
  });

  test('with resize.enabled = false only fills the pool as it is', () => {
    const pool = fakePool(quiet);
    const world = new World([pool]);
    world.settings.enabled = false;
    world.step();
    expect(pool.calls).toEqual(['warm 20']);
  });

  test('switched off: nothing is warm any more, and the state is saved at the end', () => {
    const pool = fakePool({ ...quiet, limit: 40 });
    const world = new World([pool]);
    world.step();
    world.isOn = false;
    world.step(3);
    expect(pool.calls).toEqual(['warm 34']);
    world.loop.stop();
    expect(world.isResting).toBe(true);
  });
});

describe('what bounds it', () => {
  test('an operator: RESIZE POOL MAX 10 wins, at once and later; MIN is more', () => {
    const pool = fakePool(quiet);
    const world = new World([pool]);
    world.step();
    pool.setBounds({ max: 10 }, 'RESIZE POOL');
    world.step(5);
    expect(sizeOf(pool)).toBe(10);
    expect(world.warmed.at(-1)).toBe(10);
    pool.setBounds({ min: 50, max: 60 }, 'RESIZE POOL');
    world.step(5);
    expect(sizeOf(pool)).toBe(50);
  });

  test('max_db_connections, and what the server can spare', () => {
    const small = fakePool(quiet);
    new World([small], { maxDbConnections: 25 }).step();
    expect(sizeOf(small)).toBe(25);
    expect(small.calls).toContain('warm 25');
    const node = fakePool(quiet);
    new World([node], { connectionLimit: 30 }).step();
    expect(sizeOf(node)).toBe(27);
  });

  test('another pool that needs its connections now keeps them', () => {
    const busy = fakePool({ ...quiet, user: 'busy', limit: 30, active: 30 });
    const idle = fakePool({ ...quiet, user: 'idle', limit: 10 });
    const world = new World([busy, idle], { maxDbConnections: 40 });
    busy.peakInUse = 30;
    world.step();
    expect([sizeOf(busy), sizeOf(idle)]).toEqual([30, 10]);
  });
});

test('whatever happens, a pool with a prediction wants no less than without', () => {
  const figures = fc.record({
    active: fc.nat(60),
    waiting: fc.nat(40),
    limit: fc.integer({ min: 1, max: 80 }),
    min: fc.nat(30),
    max: fc.integer({ min: 30, max: 100 }),
    maxWaitMs: fc.nat(100),
    predicted: fc.option(fc.nat(200)),
    serverFull: fc.constantFrom(0, 0, 0, 0, 1),
  });
  fc.assert(
    fc.property(fc.array(figures, { minLength: 1, maxLength: 30 }), (ticks) => {
      const [without, withIt] = [new ResizeController<object>(), new ResizeController<object>()];
      const key = {};
      const settings = { enabled: true, targetWaitMs: 10, shrinkAfterMs: 1_000 };
      ticks.forEach(({ predicted, maxWaitMs, serverFull, ...changes }, index) => {
        const stats = { ...fakePool(quiet).stats(), ...changes, checkouts: index * 50, heldTotalMs: index * 900 };
        const limit = Math.max(stats.min, Math.min(stats.limit, stats.max));
        const sample = {
          ...{ stats: { ...stats, limit }, maxWaitMs, serverFull, peakInUse: changes.active },
          ...{ defaultSize: 5, reserveSize: 0, reserveTimeoutMs: 500 },
        };
        const pool: SampledPool<object> = { key, sample, server: 'db1', connectionLimit: 500, maxDbConnections: 0 };
        const predictor: Predictor = {
          observe: () => undefined,
          predicted: () => (predicted === null ? undefined : { connections: predicted, why }),
          warmed: () => undefined,
        };
        const nowMs = index * 1_000;
        const wanted = without.decide([pool], settings, nowMs)[0]?.to ?? limit;
        const foreseen = withIt.decide([pool], settings, nowMs, predictor)[0]?.to ?? limit;
        expect(foreseen).toBeGreaterThanOrEqual(wanted);
        expect(foreseen).toBeLessThanOrEqual(Math.max(wanted, stats.max));
        expect(withIt.warm.get(key) ?? 0).toBeLessThanOrEqual(foreseen);
      });
    }),
  );
});
