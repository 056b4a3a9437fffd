/** Random schedules of several Weirs in simulated time: never more connections than the budget, and everybody gets some. */
import { describe, expect, it } from 'vitest';
import { World, type SimWeir } from './world.ts';

const depth = process.env['WEIR_FUZZ_DEPTH'] === 'quick' ? 20 : 100;

function disturb(world: World): void {
  const weir = world.weirs[world.between(0, world.weirs.length - 1)] as SimWeir;
  const kind = world.between(0, 8);
  if (kind === 0 && world.weirs.length < 8) {
    weir.kill();
    world.add(world.between(1, 20), 3);
  } else if (kind === 1) {
    weir.stop();
    world.later(world.between(100, 15_000), () => weir.goOn());
  } else if (kind === 2) {
    weir.isCut = true;
    world.later(world.between(500, 20_000), () => (weir.isCut = false));
  } else if (kind === 3) {
    world.ledger = undefined;
  } else if (kind === 4) {
    // Redis has lost its last changes.
    const { ledger } = world;
    world.later(world.between(100, 2_000), () => {
      world.ledger = ledger;
      world.run += 'a';
    });
  } else if (kind === 5) {
    world.clockMs += world.between(-3_600_000, 3_600_000);
  } else {
    weir.demand = world.random() < 0.4 ? 0 : world.between(1, 20);
  }
}

describe('Weirs that share the connections of a server', () => {
  it.each(Array.from({ length: depth }, (_each, seed) => seed))('never have more than the budget (seed %i)', (seed) => {
    const world = new World(seed, 12);
    for (let count = 0; count < 4; count++) world.add(world.between(0, 20), 3);
    for (let round = 0; round < 20; round++) {
      world.runFor(world.between(500, 8_000), () => {
        if (world.backends.size <= 12) return;
        const who = world.weirs.map((weir) => `${weir.state} ${weir.open}/${weir.share.limit(world.nowMs, weir.open)}`);
        throw new Error(`${world.backends.size} connections at ${world.nowMs}: ${who.join(', ')}`);
      });
      disturb(world);
    }
    // When all is quiet again, everybody who wants some has some, and nothing is left unused.
    for (const weir of world.weirs) {
      weir.isCut = false;
      weir.goOn();
      if (weir.state === 'alive') weir.demand = world.between(4, 20);
    }
    world.runFor(60_000, () => expect(world.backends.size).toBeLessThanOrEqual(12));
    const alive = world.weirs.filter(({ state }) => state === 'alive');
    const opens = alive.map(({ open }) => open);
    expect(Math.min(...opens)).toBeGreaterThanOrEqual(Math.min(4, Math.floor(12 / alive.length)));
    expect(opens.reduce((sum, open) => sum + open, 0)).toBeGreaterThanOrEqual(Math.min(12, 4 * alive.length) - 1);
    expect(world.mostSeen).toBeGreaterThanOrEqual(10);
  });

  it('give the one that needs it nearly all, and a newcomer its part within seconds', () => {
    const world = new World(7, 12);
    const hot = world.add(30, 3);
    for (let count = 0; count < 3; count++) world.add(0, 3);
    world.runFor(12_000, () => undefined);
    expect(hot.open).toBeGreaterThanOrEqual(8);
    const [, second] = world.weirs;
    (second as SimWeir).demand = 30;
    world.runFor(6_000, () => expect(world.backends.size).toBeLessThanOrEqual(12));
    expect((second as SimWeir).open).toBeGreaterThanOrEqual(4);
  });

  it('take over what a killed one had, when its connections are gone', () => {
    const world = new World(3, 12);
    const hot = world.add(30, 3);
    const other = world.add(0, 3);
    world.runFor(10_000, () => undefined);
    hot.kill();
    other.demand = 30;
    world.runFor(40_000, () => expect(world.backends.size).toBeLessThanOrEqual(12));
    expect(other.open).toBe(12);
  });

  it('start without Redis with their fixed share each', () => {
    const world = new World(5, 12);
    for (let count = 0; count < 4; count++) world.add(30, 3).isCut = true;
    world.runFor(60_000, () => expect(world.backends.size).toBeLessThanOrEqual(12));
    expect(world.weirs.map(({ open }) => open)).toEqual([3, 3, 3, 3]);
  });
});
