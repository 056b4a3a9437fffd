/**
 * What the log says of nodes. Fails if a node is called down that was only not heard of yet, because a worker has just started or
 * another process began to probe; or if a node that is down, lags, or never answers is not told.
 */
import { describe, expect, it } from 'vitest';
import { Announcer } from '../../src/topology/announce.ts';
import { Assessor } from '../../src/topology/assess.ts';
import { NO_LOGIN } from '../../src/topology/server-connector.ts';
import { createTicker } from '../../src/topology/ticker.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { databaseConfig, identity } from './fixtures.ts';

const mute = { ...identity(undefined), limitation: NO_LOGIN, isMute: true };

/** Nodes db1 (primary), db2 and db3, and the log. */
function scene() {
  const clock = createManualClock(1_000_000);
  const brain = new Assessor({
    databaseName: 'shop',
    database: databaseConfig(2),
    maxReplicaLagMs: 1000,
    ticker: createTicker(() => undefined),
    primaryTakesReads: true,
    nowMs: clock.nowMs(),
  });
  const alarms: string[] = [];
  const lines: string[] = [];
  const announcer = new Announcer(brain.snapshot, (level, _event, message) => {
    lines.push(message);
    if (level !== 'info') alarms.push(message);
  });
  const tell = (): void => announcer.announce(brain.snapshot);
  const all = {
    clock,
    brain,
    lines,
    alarms,
    tell,
    connect(index: number, as = identity('A')) {
      brain.connected(index, as);
      brain.refresh(clock.nowMs());
      tell();
    },
    answer(index: number, lsn = 100) {
      brain.sampled(index, { isInRecovery: index > 0, lsn, timeline: 1 }, clock.nowMs(), clock.nowMs());
      tell();
    },
    fail(index: number, problem: string) {
      brain.failed(index, { problem, isStopped: false }, clock.nowMs());
      tell();
    },
    move(index: number) {
      brain.moved(index, clock.nowMs());
      tell();
    },
    pass(ms: number) {
      clock.advance(ms);
      brain.sweep(clock.nowMs());
      tell();
    },
  };
  return all;
}

/** All have answered for a while. */
function running() {
  const all = scene();
  for (const index of [0, 1, 2]) all.connect(index);
  for (const index of [0, 1, 2, 0, 1, 2]) all.answer(index);
  for (let i = 0; i < 6; i++) {
    all.pass(500);
    for (const index of [0, 1, 2]) all.answer(index);
  }
  return all;
}

describe('at the start', () => {
  it.each([
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ])('has no alarm when the nodes answer in the order %i %i %i', (...order) => {
    const all = scene();
    for (const index of order) all.connect(index);
    for (const index of order) {
      all.pass(400);
      all.answer(index);
    }
    for (const index of order) all.answer(index);
    expect(all.alarms).toEqual([]);
    expect(all.lines).toEqual(
      expect.arrayContaining([
        'db1 is the primary',
        'db1 is up (primary)',
        'db2 is up (replica)',
        'db3 is up (replica)',
      ]),
    );
  });

  it('tells a node that fails', () => {
    const all = scene();
    all.fail(1, 'cannot connect: ECONNREFUSED');
    expect(all.alarms).toEqual(['db2: cannot connect: ECONNREFUSED']);
  });

  it('tells replicas without a primary', () => {
    const all = scene();
    all.answer(1);
    all.answer(2);
    all.fail(0, 'cannot connect: ECONNREFUSED');
    expect(all.alarms).toContain('db1: cannot connect: ECONNREFUSED');
    expect(all.alarms).toContain('db2: no primary is known');
  });

  it('tells nothing for as long as a node may still answer, then that others wait for it', () => {
    const all = scene();
    all.answer(1);
    all.pass(9_000);
    expect(all.alarms).toEqual([]);
    all.answer(1);
    all.pass(1_001);
    expect(all.alarms).toContain('db2: no primary is known');
  });
});

describe('when another process begins to probe', () => {
  it.each([
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
  ])('has no alarm when the nodes answer in the order %i %i %i', (...order) => {
    const all = running();
    for (const index of order) all.move(index);
    all.pass(2_000);
    for (const index of order) all.connect(index);
    for (const index of order) {
      all.pass(700);
      all.answer(index, 200);
    }
    for (const index of order) all.answer(index, 200);
    expect(all.alarms).toEqual([]);
  });

  it('has no alarm when it hears of a log-in a moment later', () => {
    const all = running();
    for (const index of [0, 1, 2]) all.move(index);
    for (const index of [0, 1, 2]) all.connect(index, mute);
    all.brain.sampled(0, { isInRecovery: false, lsn: 0, timeline: undefined }, all.clock.nowMs(), all.clock.nowMs());
    all.tell();
    for (const index of [1, 2]) all.fail(index, NO_LOGIN);
    all.pass(500);
    for (const index of [0, 1, 2]) all.connect(index);
    for (const index of [0, 1, 2]) all.answer(index);
    for (const index of [0, 1, 2]) all.answer(index);
    expect(all.alarms).toEqual([]);
  });

  it('tells that no log-in is known when none has come', () => {
    const all = running();
    all.move(0);
    all.connect(0, mute);
    all.brain.sampled(0, { isInRecovery: false, lsn: 0, timeline: undefined }, all.clock.nowMs(), all.clock.nowMs());
    all.pass(3_001);
    expect(all.alarms.join('\n')).toMatch(/claims to be the primary on timeline 0|no log-in for the monitor/);
  });

  it('tells a node that has failed meanwhile, and one that never answers', () => {
    const all = running();
    for (const index of [0, 1, 2]) all.move(index);
    all.connect(0);
    all.answer(0);
    all.fail(1, 'cannot connect: ECONNREFUSED');
    expect(all.alarms).toEqual(['db2 is down: cannot connect: ECONNREFUSED']);
    all.connect(2);
    for (let i = 0; i < 11; i++) {
      all.pass(1_000);
      all.answer(0);
    }
    expect(all.alarms[1]).toBe('db3 is down: not heard of yet');
  });

  it('tells a replica that lags', () => {
    const all = running();
    for (const index of [0, 1, 2]) all.move(index);
    for (const index of [0, 1, 2]) all.connect(index);
    for (let i = 0; i < 8; i++) {
      all.pass(500);
      all.answer(0, 1000 + i);
      all.answer(1, 100);
      all.answer(2, 1000 + i);
    }
    expect(all.alarms).toEqual(['db2 lags more than max_replica_lag']);
  });
});

it('tells at once that a node is silent, lost or draining', () => {
  const all = running();
  all.pass(1_501);
  expect(all.alarms).toEqual(['db2 is down: does not answer probes', 'db3 is down: does not answer probes']);
  all.fail(0, 'connection lost');
  expect(all.alarms[2]).toBe('db1 is down: connection lost');
  const fresh = scene();
  fresh.brain.setDraining(1, true, fresh.clock.nowMs());
  fresh.tell();
  expect(fresh.lines).toEqual(['db2 is draining: it gets no new work']);
});
