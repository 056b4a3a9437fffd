/**
 * What the page remembers: rows of two seconds in a ring of a quarter of an hour, what counts as known in them, and the points and
 * figures that are made of them. Fails if a figure is counted twice, or shown as known where nothing is.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { History, slotAt } from '../../../src/observability/page/history.ts';
import { indexOf, rowLength, slotCount, slotMs, type Noted } from '../../../src/observability/page/noted.ts';
import { pointsOf, trafficOf } from '../../../src/observability/page/points.ts';
import { Recorder } from '../../../src/observability/page/recorder.ts';
import type { DatabaseStats } from '../../../src/session/types.ts';
import { durationBoundsSeconds } from '../../../src/session/types.ts';
import { fakeDatabaseStats, fakeNode, fakePool, fakeSources } from '../../console/fakes.ts';

function row(values: Partial<Record<Noted, number>>): Float64Array {
  const made = new Float64Array(rowLength);
  for (const [name, value] of Object.entries(values)) made[indexOf(name as Noted)] = value;
  return made;
}

const valueOf = (made: Float64Array | undefined, name: Noted): number | undefined => made?.[indexOf(name)];

describe('the ring', () => {
  it('keeps a quarter of an hour and no more, in the order of time', () => {
    const history = new History();
    for (let slot = 1_000; slot < 1_000 + slotCount + 50; slot++) history.add({ slot, row: row({ primary: slot }) });
    const now = 1_000 + slotCount + 49;
    const kept = history.between(0, now);
    expect(kept).toHaveLength(slotCount);
    expect(kept.map(({ slot }) => slot)).toEqual(Array.from({ length: slotCount }, (_, i) => now - slotCount + 1 + i));
    expect(kept.every((each) => valueOf(each.row, 'primary') === each.slot)).toBe(true);
    expect(history.between(now - 2, now)).toHaveLength(3);
  });

  it('adds up what workers have counted, and takes the largest of what they share', () => {
    const history = new History();
    history.add({ slot: 7, row: row({ primary: 3, active: 2, limit: 20, lagMs: 5, longestWaitMs: 1 }) });
    history.add({ slot: 7, row: row({ primary: 4, active: 1, limit: 20, lagMs: -1, longestWaitMs: 9 }) });
    const [found] = history.between(7, 7);
    const names = ['primary', 'active', 'limit', 'lagMs', 'longestWaitMs'] as const;
    expect(names.map((name) => valueOf(found?.row, name))).toEqual([7, 3, 20, 5, 9]);
  });

  it('leaves gaps where nothing was noted, and does not take old rows for new ones', () => {
    const history = new History();
    history.add({ slot: 10, row: row({ primary: 1 }) });
    history.add({ slot: 12, row: row({ primary: 1 }) });
    history.add({ slot: 10 + slotCount, row: row({ primary: 5 }) });
    history.add({ slot: 10, row: row({ primary: 100 }) });
    const kept = history.between(0, 10 + slotCount);
    expect(kept.map(({ slot }) => slot)).toEqual([12, 10 + slotCount]);
    expect(valueOf(kept[1]?.row, 'primary')).toBe(5);
  });

  it('gives copies', () => {
    const history = new History();
    history.add({ slot: 1, row: row({ primary: 1 }) });
    history.between(1, 1)[0]?.row.fill(9);
    expect(valueOf(history.between(1, 1)[0]?.row, 'primary')).toBe(1);
  });
});

describe('the recorder', () => {
  let nowMs: number;
  let stats: DatabaseStats;
  let recorder: Recorder;
  const pool = fakePool({ active: 3, resetting: 1, idle: 2, waiting: 4, limit: 20, maxWaitMs: 35 });
  const errors: unknown[] = [];

  beforeEach(() => {
    nowMs = 1_800_000_000_000;
    stats = fakeDatabaseStats();
    const replica = fakeNode({ name: 'db2', role: 'replica', lagMs: 12.5 });
    const snapshot = { database: 'shop', primary: fakeNode(), replicas: [replica], nodes: [replica], epoch: 1 };
    const sources = fakeSources({
      databaseStats: () => [stats],
      pools: () => [pool],
      topologies: () => [{ database: 'shop', snapshot: () => snapshot }],
    });
    recorder = new Recorder({
      sources,
      clientCount: () => 9,
      loopDelayMs: () => 1.5,
      epochMs: () => nowMs,
      residentBytes: () => 1e8,
      onError: (error) => errors.push(error),
    });
    recorder.start();
    recorder.stop();
  });

  const count = (queries: number): void => {
    stats.byLabel[4] = (stats.byLabel[4] as number) + queries;
    const durations = stats.durations[0] as Float64Array;
    durations[3] = (durations[3] as number) + queries;
  };

  it('notes what was counted in two seconds, and what is now', () => {
    count(40);
    nowMs += slotMs;
    recorder.note();
    const [slot] = recorder.last(1);
    expect(slot?.slot).toBe(slotAt(nowMs) - 1);
    const names = [
      'primary',
      'replica',
      'active',
      'open',
      'waiting',
      'limit',
      'clients',
      'lagMs',
      'loopDelayMs',
    ] as const;
    expect(names.map((name) => valueOf(slot?.row, name))).toEqual([40, 0, 4, 6, 4, 20, 9, 12.5, 1.5]);
    expect(trafficOf(recorder.last(5))).toMatchObject({ queries: 20, primary: 20, errors: 0, p50: 0.75, p99: 0.995 });
  });

  it('spreads what it was too busy to note over the seconds that it took', () => {
    count(80);
    nowMs += 4 * slotMs;
    recorder.note();
    expect(recorder.last(9).map((slot) => valueOf(slot.row, 'primary'))).toEqual([20, 20, 20, 20]);
  });

  it('notes nothing twice, and goes on when the clock was set back', () => {
    count(10);
    nowMs += slotMs;
    recorder.note();
    recorder.note();
    expect(recorder.last(9).map((slot) => valueOf(slot.row, 'primary'))).toEqual([10]);
    nowMs -= 100 * slotMs;
    count(6);
    recorder.note();
    expect(recorder.last(1).map((slot) => valueOf(slot.row, 'primary'))).toEqual([6]);
  });

  it('takes counters that have fallen, because a database is gone, for not known', () => {
    count(10);
    nowMs += slotMs;
    stats = fakeDatabaseStats({ byLabel: new Float64Array(24) });
    recorder.note();
    const [slot] = recorder.last(1);
    expect(valueOf(slot?.row, 'primary')).toBe(0);
    expect(valueOf(slot?.row, 'active')).toBe(4);
    count(2);
    nowMs += slotMs;
    recorder.note();
    expect(recorder.last(1).map((each) => valueOf(each.row, 'primary'))).toEqual([2]);
  });
});

describe('points', () => {
  it('are per second and in milliseconds, and null where there is nothing to measure', () => {
    const busy = row({ primary: 10, cache: 30, hits: 3, misses: 1, errors: 1, lagMs: -1 });
    // Ten statements of up to 1 ms.
    busy[durationBoundsSeconds.indexOf(0.001)] = 10;
    const points = pointsOf([
      { slot: 5, row: busy },
      { slot: 6, row: row({ lagMs: 40 }) },
    ]);
    expect(points.atMs).toEqual([5 * slotMs, 6 * slotMs]);
    expect(points.primary).toEqual([5, 0]);
    expect(points.cache).toEqual([15, 0]);
    expect(points.errors).toEqual([0.5, 0]);
    expect(points.hitRate).toEqual([0.75, null]);
    expect(points.lag).toEqual([null, 40]);
    expect(points.p50).toEqual([0.75, null]);
    expect(points.p99).toEqual([0.995, null]);
    expect(points.waitP95).toEqual([null, null]);
    expect(new Set(Object.values(points).map((column) => column.length))).toEqual(new Set([2]));
  });

  it('has no traffic where nothing was noted', () => {
    expect(trafficOf([])).toBeNull();
  });
});
