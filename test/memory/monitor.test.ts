/** What is done at which share of memory, in which order, and that all of it ends by itself. */
import { describe, expect, test } from 'vitest';
import { MemoryMonitor } from '../../src/memory/monitor.ts';
import { memoryTable, nextMemoryState } from '../../src/memory/state.ts';
import type { Holder, MemoryState, ShedReason } from '../../src/memory/types.ts';
import { createManualClock } from '../../src/util/clock.ts';

const MB = 2 ** 20;

describe('states', () => {
  test.each<[MemoryState, number, MemoryState]>([
    ['normal', 0.79, 'normal'],
    ['normal', 0.8, 'tight'],
    ['normal', 0.9, 'critical'],
    ['tight', 0.89, 'tight'],
    ['tight', 0.75, 'tight'],
    ['tight', 0.749, 'normal'],
    ['tight', 0.95, 'critical'],
    ['critical', 0.9, 'critical'],
    ['critical', 0.85, 'critical'],
    ['critical', 0.84, 'tight'],
    ['critical', 0.76, 'tight'],
    ['critical', 0.5, 'normal'],
  ])('%s at %d becomes %s', (state, share, next) => {
    expect(nextMemoryState(state, share)).toBe(next);
  });

  test('each can be left', () => {
    for (const cells of Object.values(memoryTable)) expect(Object.keys(cells).length).toBeGreaterThan(0);
  });
});

class FakeHolder implements Holder {
  isShed = false;

  readonly bytes: number;
  readonly reason: ShedReason;
  readonly isInTransaction: boolean;
  private readonly onShed: (bytes: number) => void;

  constructor(
    bytes: number,
    reason: ShedReason = 'prepared',
    isInTransaction = false,
    onShed: (bytes: number) => void = () => undefined,
  ) {
    this.bytes = bytes;
    this.reason = reason;
    this.isInTransaction = isInTransaction;
    this.onShed = onShed;
  }

  shed(): void {
    this.isShed = true;
    this.onShed(this.bytes);
  }
}

/** A process that has 1000 MB, of which `live` is used; resident memory never falls. */
class Rig {
  readonly clock = createManualClock();
  readonly states: MemoryState[] = [];
  readonly cacheShares: number[] = [];
  holders: FakeHolder[] = [];
  limitMB = 1000;
  heapLimitMB = 4000;
  /** Given back by the caches each time they shrink. */
  cachedMB = 0;
  garbageMB = 0;
  collections = 0;
  liveMB = 100;
  private residentMB = 150;
  readonly monitor: MemoryMonitor;

  constructor() {
    const cache = { keepShare: (share: number): number => this.shrinkCache(share) };
    this.monitor = new MemoryMonitor({
      limit: () => ({ bytes: this.limitMB * MB, from: 'memory_limit' }),
      read: () => this.read(),
      collect: () => {
        this.collections++;
        this.garbageMB = 0;
        return 15;
      },
      nowMs: () => this.clock.nowMs(),
      caches: [cache],
      holders: () => this.holders.filter(({ isShed }) => !isShed),
      onState: (now) => this.states.push(now),
      onShed: () => undefined,
    });
  }

  private read(): ReturnType<ConstructorParameters<typeof MemoryMonitor>[0]['read']> {
    const usedMB = this.liveMB + this.garbageMB;
    this.residentMB = Math.max(this.residentMB, usedMB + 50);
    const heapLimitBytes = this.heapLimitMB * MB;
    return { residentBytes: this.residentMB * MB, heapUsedBytes: usedMB * MB, bufferBytes: 0, heapLimitBytes };
  }

  private shrinkCache(share: number): number {
    this.cacheShares.push(share);
    const freed = Math.min(this.cachedMB, 40);
    this.cachedMB -= freed;
    this.liveMB -= freed;
    return freed * MB;
  }

  hold(megabytes: number, reason?: ShedReason, isInTransaction?: boolean): FakeHolder {
    this.liveMB += megabytes;
    const holder = new FakeHolder(megabytes * MB, reason, isInTransaction, () => (this.liveMB -= megabytes));
    this.holders.push(holder);
    return holder;
  }

  pass(forMs: number): void {
    for (let left = forMs; left > 0;) {
      const nextMs = this.monitor.pass();
      this.clock.advance(nextMs);
      left -= nextMs;
    }
  }

  get figures(): ReturnType<MemoryMonitor['figures']> {
    return this.monitor.figures();
  }
}

describe('the monitor', () => {
  test('does nothing while all is well', () => {
    const rig = new Rig();
    rig.pass(10_000);
    expect(rig.figures).toMatchObject({ state: 'normal', cacheShare: 1, waitingClients: 0 });
    expect([rig.collections, rig.states, rig.cacheShares]).toEqual([0, [], []]);
    expect(rig.monitor.gate.isOpen).toBe(true);
  });

  test('collects garbage before anything else, and that may be enough', () => {
    const rig = new Rig();
    rig.garbageMB = 800;
    rig.pass(2_000);
    expect(rig.collections).toBeGreaterThan(0);
    expect([rig.states, rig.cacheShares]).toEqual([[], []]);
  });

  test('at 0.8 shrinks caches, and lets new clients wait, until there is memory again', () => {
    const rig = new Rig();
    rig.cachedMB = 700;
    rig.liveMB += 700;
    rig.pass(300);
    expect(rig.figures.state).toBe('tight');
    expect(rig.monitor.gate.isOpen).toBe(false);
    let isIn = false;
    rig.monitor.gate.wait(() => (isIn = true));
    expect(rig.figures.waitingClients).toBe(1);
    rig.pass(20_000);
    expect(rig.states).toEqual(['tight', 'normal']);
    expect(isIn).toBe(true);
    expect(rig.figures.waitingClients).toBe(0);
    expect(Object.values(rig.figures.shedClients)).toEqual([0, 0, 0]);
  });

  test('caches shrink further until they give something back, and grow again when there is room', () => {
    const rig = new Rig();
    const extra = rig.hold(680);
    rig.pass(1_000);
    const least = Math.min(...rig.cacheShares);
    expect(least).toBeLessThan(0.01);
    extra.shed();
    // Nobody else would notice that this is garbage.
    rig.garbageMB = 600;
    rig.pass(180_000);
    expect(rig.figures).toMatchObject({ state: 'normal', cacheShare: 1 });
  });

  test('at 0.9 sheds the largest first, and no more than needed', () => {
    const rig = new Rig();
    const [small, largest, large] = [rig.hold(60), rig.hold(400), rig.hold(300)];
    rig.pass(1_000);
    expect([small.isShed, largest.isShed, large.isShed]).toEqual([false, true, false]);
    expect(rig.states[0]).toBe('critical');
    rig.pass(20_000);
    expect(rig.figures.state).toBe('normal');
    expect(rig.figures.shedClients).toEqual({ unread: 0, statement: 0, prepared: 1 });
  });

  test('recovers although resident memory never falls', () => {
    const rig = new Rig();
    rig.hold(800);
    rig.pass(5_000);
    expect(rig.figures.residentBytes).toBeGreaterThan(0.9 * 1000 * MB);
    expect(rig.figures).toMatchObject({ state: 'normal', usedBytes: 150 * MB });
    expect(rig.monitor.gate.isOpen).toBe(true);
  });

  test('takes from the caches before it takes from clients', () => {
    const rig = new Rig();
    rig.cachedMB = 400;
    rig.liveMB += 400;
    const holder = rig.hold(360);
    rig.pass(20_000);
    expect(rig.states[0]).toBe('critical');
    expect(holder.isShed).toBe(false);
  });

  test('spares clients in a transaction while others will do', () => {
    const rig = new Rig();
    const inTransaction = rig.hold(600, 'prepared', true);
    const others = [rig.hold(100, 'unread'), rig.hold(60, 'statement')];
    rig.pass(20_000);
    expect(inTransaction.isShed).toBe(false);
    expect(others.map(({ isShed }) => isShed)).toEqual([true, false]);
    expect(rig.figures.shedClients).toMatchObject({ unread: 1 });
  });

  test('sheds clients in a transaction when nobody else holds anything', () => {
    const rig = new Rig();
    const inTransaction = rig.hold(780, 'prepared', true);
    rig.pass(1_500);
    expect(rig.figures.state).toBe('critical');
    expect(inTransaction.isShed).toBe(false);
    rig.pass(3_000);
    expect(inTransaction.isShed).toBe(true);
    const atOnce = rig.hold(860, 'prepared', true);
    rig.pass(1_000);
    expect(atOnce.isShed).toBe(true);
  });

  test('sheds nobody who holds little', () => {
    const rig = new Rig();
    rig.liveMB += 800;
    const small = new FakeHolder(10_000);
    rig.holders.push(small);
    rig.pass(10_000);
    expect(rig.figures.state).toBe('critical');
    expect(small.isShed).toBe(false);
  });

  test('the limit of the heap counts like that of memory', () => {
    const rig = new Rig();
    rig.limitMB = 100_000;
    rig.heapLimitMB = 1000;
    const holder = rig.hold(820);
    rig.pass(10_000);
    expect(rig.states[0]).toBe('critical');
    expect(holder.isShed).toBe(true);
    expect(rig.figures.state).toBe('normal');
  });

  test('follows a limit that is changed meanwhile', () => {
    const rig = new Rig();
    rig.limitMB = 180;
    rig.pass(1_000);
    expect(rig.figures.state).toBe('tight');
    rig.limitMB = 1000;
    rig.pass(2_000);
    expect(rig.figures.state).toBe('normal');
  });

  test('spends little time on collecting garbage', () => {
    const rig = new Rig();
    rig.liveMB += 680;
    rig.pass(10_000);
    expect(rig.figures.state).toBe('tight');
    expect(rig.collections).toBeLessThanOrEqual(20);
  });
});

describe('the gate', () => {
  test('lets clients in by and by, in their order, and without those that have left', () => {
    const rig = new Rig();
    const holder = rig.hold(680);
    rig.pass(300);
    const { gate } = rig.monitor;
    const admitted: number[] = [];
    const waits = Array.from({ length: 50 }, (_, i) => gate.wait(() => admitted.push(i)));
    waits[1]?.();
    expect(gate.waitingClients).toBe(49);
    holder.shed();
    for (let i = 0; i < 100 && admitted.length === 0; i++) rig.pass(1);
    expect(admitted.length).toBeGreaterThan(1);
    expect(admitted.length).toBeLessThan(49);
    // Who comes now must not overtake them.
    expect(gate.isOpen).toBe(false);
    rig.pass(2_000);
    expect(admitted).toEqual(Array.from({ length: 50 }, (_, i) => i).filter((i) => i !== 1));
    expect(gate.isOpen).toBe(true);
  });
});
