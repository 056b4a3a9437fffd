/** From samples of the nodes to roles, lag and health. Fails if a node that is not known to be fresh takes reads. */
import { describe, expect, it } from 'vitest';
import { differs } from '../../src/topology/changed-nodes.ts';
import { Assessor, PRIMARY_SILENCE_MS, REPLICA_SILENCE_MS } from '../../src/topology/assess.ts';
import type { AssessorOptions } from '../../src/topology/assess.ts';
import type { ProbeSample } from '../../src/topology/samples.ts';
import { createTicker } from '../../src/topology/ticker.ts';
import type { ProbeTicker } from '../../src/topology/ticker.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { databaseConfig, identity } from './fixtures.ts';

/** A brain, its clock, and words for what nodes answer. Node 0 is the configured primary. */
function scene(replicas = 2, maxReplicaLagMs = 1000, more: Partial<AssessorOptions> = {}) {
  const clock = createManualClock(1_000_000);
  const ticker: ProbeTicker = createTicker(() => undefined);
  const brain = new Assessor({
    databaseName: 'shop',
    database: databaseConfig(replicas),
    maxReplicaLagMs,
    ticker,
    primaryTakesReads: true,
    nowMs: clock.nowMs(),
    ...more,
  });
  const sample = (index: number, what: ProbeSample): void => {
    const tick = index === brain.primaryIndex ? ticker.begin() : undefined;
    brain.sampled(index, what, clock.nowMs(), clock.nowMs());
    if (tick !== undefined) ticker.finish(tick, what.lsn);
  };
  return {
    clock,
    ticker,
    brain,
    connect: (index: number, systemId = 'A') => brain.connected(index, identity(systemId)),
    primary: (index: number, lsn: number, timeline = 1) => sample(index, { isInRecovery: false, lsn, timeline }),
    standby: (index: number, lsn: number, timeline = 1) => sample(index, { isInRecovery: true, lsn, timeline }),
    lose: (index: number, problem = 'connection lost', isStopped = false) =>
      brain.failed(index, { problem, isStopped }, clock.nowMs()),
    node: (index: number) => brain.snapshot.nodes[index]!,
    names: () => ({
      primary: brain.snapshot.primary?.name,
      isUp: brain.snapshot.primary?.isUp,
      epoch: brain.snapshot.epoch,
      replicas: brain.snapshot.replicas.filter((node) => node.isUp).map((node) => node.name),
    }),
  };
}

function running(replicas = 2, more: Partial<AssessorOptions> = {}) {
  const all = scene(replicas, 1000, more);
  for (let index = 0; index <= replicas; index++) all.connect(index);
  for (let index = 1; index <= replicas; index++) all.standby(index, 100);
  all.primary(0, 100);
  for (let index = 1; index <= replicas; index++) all.standby(index, 100);
  return all;
}

describe('roles', () => {
  it('knows no primary before anybody answered', () => {
    const { brain } = scene();
    expect(brain.snapshot.primary).toBeUndefined();
    expect(brain.snapshot.replicas.map((node) => node.isUp)).toEqual([false, false]);
  });

  it('finds the configured primary and its replicas', () => {
    expect(running().names()).toEqual({ primary: 'db1', isUp: true, epoch: 1, replicas: ['db2', 'db3'] });
  });

  it('waits with the first election for nodes that are slow to answer, but not for long', () => {
    const { connect, primary, names, clock } = scene();
    connect(0);
    primary(0, 100);
    expect(names().primary).toBeUndefined();
    clock.advance(1001);
    primary(0, 100);
    expect(names().primary).toBe('db1');
  });

  it('keeps a lost primary in office, down, so that clients wait', () => {
    const { lose, names, node, brain } = running();
    lose(0, 'connection lost: ECONNRESET');
    expect(names()).toMatchObject({ primary: 'db1', isUp: false, epoch: 1 });
    expect(node(0).problem).toContain('ECONNRESET');
    expect(brain.snapshot.replicas.map((replica) => replica.name)).toEqual(['db2', 'db3']);
  });

  it('follows a promotion: new epoch, old ticks mean the primary only, nobody eligible without proof', () => {
    const { lose, primary, standby, names, ticker, node } = running();
    const token = ticker.next();
    lose(0);
    primary(1, 120, 2);
    expect(names()).toEqual({ primary: 'db2', isUp: true, epoch: 2, replicas: [] });
    expect(ticker.lsnOf(token)).toBe(Infinity);
    expect(node(2).problem).toMatch(/on timeline 1, the primary is on 2: not proven to follow/);
    standby(2, 130, 1);
    expect(names().replicas).toEqual([]);
    standby(2, 130, 2);
    expect(names().replicas).toEqual(['db3']);
    expect(node(0)).toMatchObject({ isUp: false, role: 'unknown' });
  });

  it('gives a stale primary that comes back neither writes nor reads', () => {
    const { lose, primary, connect, names, node } = running();
    lose(0);
    primary(1, 120, 2);
    connect(0);
    primary(0, 500, 1);
    expect(names()).toMatchObject({ primary: 'db2', replicas: [], epoch: 2 });
    expect(node(0)).toMatchObject({ role: 'unknown', isUp: false });
    expect(node(0).problem).toMatch(/stale primary/);
  });

  it('takes the old primary back as a replica once it follows the new timeline', () => {
    const { lose, primary, connect, standby, names } = running();
    lose(0);
    primary(1, 120, 2);
    connect(0);
    primary(1, 130, 2);
    standby(0, 130, 2);
    expect(names().replicas).toEqual(['db1']);
  });

  it('asks it to be as far as the new primary was when it went, since sessions have read there', () => {
    const { lose, primary, connect, standby, node } = running();
    lose(0);
    primary(1, 520, 2);
    connect(0);
    standby(0, 500, 2);
    primary(1, 530, 2);
    standby(0, 500, 2);
    expect(node(0)).toMatchObject({ role: 'replica', isUp: true, isCatchingUp: true });
    primary(1, 540, 2);
    standby(0, 540, 2);
    expect(node(0).isCatchingUp).toBe(false);
  });

  it('tells who still reads on a server that is no node any more, though another one has its name', () => {
    const { brain, clock } = running();
    const before = brain.snapshot.nodes;
    const [db1, db2, db3] = before.map(({ config }) => config);
    brain.setNodes([db1!, db2!, { ...db3!, host: 'elsewhere' }], clock.nowMs());
    expect(before.map(({ load }) => load.isGone === true)).toEqual([false, false, true]);
    expect(brain.snapshot.nodes.map(({ name, load }) => [name, load.isGone === true])).toEqual([
      ['db1', false],
      ['db2', false],
      ['db3', false],
    ]);
  });

  it('has no primary when it was demoted and no other came forward', () => {
    const { standby, brain } = running();
    standby(0, 100, 1);
    expect(brain.snapshot.primary).toBeUndefined();
    expect(brain.snapshot.replicas.map((node) => node.name)).toEqual(['db1', 'db2', 'db3']);
  });

  it('does not measure lag on the new timeline by positions of the old one', () => {
    const { lose, primary, standby, node } = running();
    lose(0);
    primary(1, 120, 2);
    standby(2, 110, 2);
    expect(node(2)).toMatchObject({ isUp: true, isLagging: true, lagMs: Infinity });
    expect(node(2).problem).toBe('how far it lags is not known yet');
    standby(2, 120, 2);
    expect(node(2)).toMatchObject({ isLagging: false, lagMs: 0 });
  });

  it('does not begin an epoch when the same primary merely reconnects', () => {
    const { lose, connect, primary, names, ticker } = running();
    const token = ticker.next();
    lose(0);
    connect(0);
    primary(0, 150);
    primary(0, 150);
    expect(names()).toMatchObject({ primary: 'db1', isUp: true, epoch: 1 });
    expect(ticker.lsnOf(token)).toBe(150);
  });

  it('begins an epoch when the primary comes back on another timeline', () => {
    const { lose, connect, primary, names, ticker } = running();
    const token = ticker.next();
    lose(0);
    connect(0);
    primary(0, 150, 2);
    expect(names()).toEqual({ primary: 'db1', isUp: true, epoch: 2, replicas: [] });
    expect(ticker.lsnOf(token)).toBe(Infinity);
  });

  it('does not read from another cluster', () => {
    const { connect, standby, primary, node } = scene(1);
    connect(0);
    connect(1, 'B');
    primary(0, 100);
    standby(1, 100);
    primary(0, 100);
    expect(node(1)).toMatchObject({ isUp: false });
    expect(node(1).problem).toMatch(/another cluster/);
  });

  it('does not read from a standby whose timeline nobody can tell', () => {
    const { connect, standby, primary, node } = scene(1);
    connect(0);
    connect(1);
    primary(0, 100);
    standby(1, 100, 0);
    primary(0, 100);
    expect(node(1)).toMatchObject({ isUp: false, problem: 'its timeline is not known' });
  });
});

describe('lag', () => {
  it('is none while the primary is idle for an hour', () => {
    const { clock, primary, standby, node } = running(1);
    for (let second = 0; second < 3600; second++) {
      clock.advance(1000);
      primary(0, 100);
      standby(1, 100);
    }
    expect(node(1)).toMatchObject({ lagMs: 0, lagBytes: 0, isLagging: false });
  });

  it('grows for a standby that vanished, though its last lag was small', () => {
    const { clock, primary, node } = running(1);
    for (let second = 0; second < 60; second++) {
      clock.advance(1000);
      primary(0, 200 + second);
    }
    expect(node(1).lagMs).toBe(60_000);
  });

  it('is unknown, so too much, when nothing was replayed yet (NULL)', () => {
    const { connect, primary, standby, node } = scene(1);
    connect(0);
    connect(1);
    primary(0, 100);
    standby(1, 0);
    primary(0, 100);
    standby(1, 0);
    expect(node(1)).toMatchObject({ isUp: true, lagMs: Infinity, isLagging: true, lagBytes: Infinity });
    expect(node(1).problem).toBe('has replayed nothing yet');
  });

  it('puts a paused standby out above the limit, and back in only below 80 % of it', () => {
    const { clock, primary, standby, node } = running(1);
    const run = (ms: number, primaryLsn: number, replicaLsn: number): void => {
      clock.advance(ms);
      primary(0, primaryLsn);
      standby(1, replicaLsn);
    };
    run(500, 200, 100);
    expect(node(1)).toMatchObject({ lagMs: 500, isLagging: false, lagBytes: 100 });
    run(501, 300, 100);
    expect(node(1)).toMatchObject({
      lagMs: 1001,
      isLagging: true,
      isUp: true,
      problem: 'lags more than max_replica_lag',
    });
    run(400, 400, 200);
    expect(node(1)).toMatchObject({ lagMs: 901, isLagging: true });
    run(100, 500, 300);
    expect(node(1)).toMatchObject({ lagMs: 500, isLagging: false });
  });

  it('stands still while the primary says that it is not running, and goes on when it merely is silent', () => {
    const { clock, lose, brain, node } = running(1);
    clock.advance(100);
    lose(0, 'cannot connect: connect ECONNREFUSED', true);
    clock.advance(20_000);
    brain.refresh(clock.nowMs());
    expect(node(1).lagMs).toBe(100);
    expect(clock.nowMs() - node(1).caughtUpAtMs!).toBe(100);
    lose(0, 'cannot connect: timeout', false);
    expect(node(1).lagMs).toBe(20_100);
  });
});

describe('health', () => {
  it('takes a replica out after three missed probes, a primary later', () => {
    const { clock, brain, node, primary } = running(1);
    clock.advance(REPLICA_SILENCE_MS);
    primary(0, 100);
    brain.sweep(clock.nowMs());
    expect(node(1).isUp).toBe(true);
    clock.advance(1);
    brain.sweep(clock.nowMs());
    expect(node(1)).toMatchObject({ isUp: false, problem: 'does not answer probes' });
    expect(node(0).isUp).toBe(true);
    clock.advance(PRIMARY_SILENCE_MS);
    brain.sweep(clock.nowMs());
    expect(brain.snapshot.primary).toMatchObject({ name: 'db1', isUp: false });
  });

  it('asks a replica that was lost to be as far as the primary was then, before sessions trust it', () => {
    const { lose, connect, primary, standby, node } = running(1);
    lose(1);
    primary(0, 500);
    connect(1);
    standby(1, 300);
    expect(node(1)).toMatchObject({ isUp: true, isCatchingUp: true });
    standby(1, 500);
    expect(node(1).isCatchingUp).toBe(false);
  });

  it('lets a replica that was away start slowly', () => {
    const { clock, lose, connect, primary, standby, node } = running(1);
    expect(node(1).slowStart).toBe(1);
    lose(1);
    clock.advance(5000);
    connect(1);
    primary(0, 100);
    standby(1, 100);
    expect(node(1).slowStart).toBeCloseTo(0.1);
    clock.advance(15_000);
    primary(0, 100);
    standby(1, 100);
    expect(node(1).slowStart).toBeCloseTo(0.55);
    clock.advance(15_000);
    primary(0, 100);
    standby(1, 100);
    expect(node(1).slowStart).toBe(1);
  });

  it('lets it start as slowly as routing.slow_start says', () => {
    for (const [slowStartMs, share] of [
      [0, 1],
      [2000, 0.55],
    ] as const) {
      const { clock, lose, connect, primary, standby, node } = running(1, { slowStartMs: () => slowStartMs });
      lose(1);
      clock.advance(5000);
      connect(1);
      primary(0, 100);
      standby(1, 100);
      clock.advance(1000);
      primary(0, 100);
      standby(1, 100);
      expect(node(1).slowStart).toBeCloseTo(share);
    }
  });

  it('does not make it start slowly after a blink', () => {
    const { clock, lose, connect, standby, node } = running(1);
    lose(1);
    clock.advance(20);
    connect(1);
    standby(1, 100);
    expect(node(1).slowStart).toBe(1);
  });

  it('notices draining', () => {
    const { brain, clock, node } = running(1);
    const before = brain.snapshot;
    brain.setDraining(1, true, clock.nowMs());
    expect(node(1).isDraining).toBe(true);
    expect(differs(before, brain.snapshot)).toBe(true);
    expect(before.nodes[1]!.isDraining).toBe(false);
  });

  it('does not call mere progress a change', () => {
    const { brain, clock, primary, standby } = running(1);
    const before = brain.snapshot;
    clock.advance(50);
    primary(0, 120);
    standby(1, 110);
    expect(brain.snapshot).not.toBe(before);
    expect(differs(before, brain.snapshot)).toBe(false);
  });
});

describe('circuit', () => {
  type All = ReturnType<typeof running>;
  const fail = (all: All, index: number, times: number, kind: 'connect' | 'lost' | 'shutdown' = 'lost'): boolean[] =>
    Array.from({ length: times }, () => all.brain.reportFailure(index, kind, 'ECONNRESET', all.clock.nowMs()));
  /** What the node has answered; statements count in its load, and the next probe takes notice. */
  const answer = (all: All, index: number, times: number): void => void (all.node(index).load.answered += times);
  const probe = (all: All): void => {
    all.primary(0, 100);
    for (let index = 1; index < all.brain.snapshot.nodes.length; index++) all.standby(index, 100);
  };

  it('opens after five failures in a row, not five in all', () => {
    const all = running(2);
    fail(all, 1, 4);
    all.brain.reportSuccess(1);
    fail(all, 1, 4);
    answer(all, 1, 1);
    expect(fail(all, 1, 5)).toEqual([false, false, false, false, true]);
    expect(all.node(1)).toMatchObject({ circuit: 'open', ejectedUntilMs: all.clock.nowMs() + 30_000, isUp: true });
    expect(all.node(1).circuitWhy).toBe('5 transport failures in a row (ECONNRESET); next trial in 30 s');
    expect(all.node(1).problem).toContain('5 transport failures in a row');
  });

  it('opens when half of at least twenty outcomes in ten seconds are failures, answers in between or not', () => {
    const all = running(2);
    const round = (answers: number): boolean[] => {
      answer(all, 1, answers);
      all.clock.advance(500);
      return fail(all, 1, 1);
    };
    for (let i = 0; i < 9; i++) expect(round(1)).toEqual([false]);
    answer(all, 1, 1);
    expect(fail(all, 1, 1)).toEqual([true]);
    expect(all.node(1).circuitWhy).toMatch(/^10 of 20 statements and log-ins of the last 10 s met a transport failure/);
  });

  it('stays closed while fewer than half fail, and when the failures are further apart', () => {
    const all = running(2);
    for (let i = 0; i < 40; i++) {
      answer(all, 1, 2);
      expect(fail(all, 1, 1)).toEqual([false]);
    }
    const slow = running(2);
    for (let i = 0; i < 40; i++) {
      slow.clock.advance(2_000);
      answer(slow, 1, 1);
      expect(fail(slow, 1, 1)).toEqual([false]);
    }
    expect(slow.node(1).circuit).toBe('closed');
  });

  it('does not count that a server says why it ends a connection', () => {
    const all = running(2);
    expect(fail(all, 1, 50, 'shutdown')).not.toContain(true);
  });

  it('never takes more than half of several replicas, and the last node that takes reads neither', () => {
    const two = running(2);
    expect(fail(two, 1, 5)).toContain(true);
    expect(fail(two, 2, 20)).not.toContain(true);
    const other = running(2);
    other.lose(2);
    other.lose(0);
    expect(fail(other, 1, 20)).not.toContain(true);
  });

  it('takes the only replica if the primary takes reads', () => {
    expect(fail(running(1), 1, 5)).toContain(true);
    const alone = running(1);
    alone.brain.setDraining(0, true, alone.clock.nowMs());
    expect(fail(alone, 1, 20)).not.toContain(true);
  });

  it('leaves half of many in the field', () => {
    const four = running(4);
    expect(fail(four, 1, 5)).toContain(true);
    expect(fail(four, 2, 5)).toContain(true);
    expect(fail(four, 3, 20)).not.toContain(true);
    expect(fail(four, 4, 20)).not.toContain(true);
  });

  it('is half-open after its time, closes after three answers, and begins with a slow start', () => {
    const all = running(2);
    fail(all, 1, 5);
    all.clock.advance(30_001);
    probe(all);
    expect(all.node(1)).toMatchObject({ circuit: 'half-open', ejectedUntilMs: 0 });
    expect(all.node(1).slowStart).toBeLessThan(0.2);
    answer(all, 1, 2);
    probe(all);
    expect(all.node(1).circuit).toBe('half-open');
    answer(all, 1, 1);
    probe(all);
    expect(all.node(1)).toMatchObject({ circuit: 'closed', circuitWhy: '3 statements or log-ins were answered' });
  });

  it('closes after a minute half-open in which nothing failed, also without anything to do', () => {
    const all = running(2);
    fail(all, 1, 5);
    all.clock.advance(30_001);
    probe(all);
    all.clock.advance(60_000);
    probe(all);
    expect(all.node(1).circuit).toBe('half-open');
    all.clock.advance(1);
    probe(all);
    expect(all.node(1)).toMatchObject({ circuit: 'closed', circuitWhy: 'nothing has failed for a minute' });
  });

  it('opens again, for longer, when a trial fails', () => {
    const all = running(2);
    fail(all, 1, 5);
    all.clock.advance(30_001);
    probe(all);
    expect(fail(all, 1, 1)).toEqual([true]);
    expect(all.node(1)).toMatchObject({ circuit: 'open', ejectedUntilMs: all.clock.nowMs() + 60_000 });
    expect(all.node(1).circuitWhy).toContain('a trial has failed');
  });

  it('is taken back when its own probe fails as well: then it is open because the node is down', () => {
    const all = running(2);
    expect(fail(all, 1, 5)).toContain(true);
    all.lose(1);
    expect(all.node(1)).toMatchObject({ isUp: false, ejectedUntilMs: 0, circuit: 'open' });
    expect(fail(all, 1, 20)).not.toContain(true);
    all.connect(1);
    all.standby(1, 100);
    expect(all.node(1)).toMatchObject({ isUp: true, ejectedUntilMs: 0, circuit: 'closed' });
    expect(fail(all, 1, 5)).toContain(true);
    expect(all.node(1).ejectedUntilMs).toBe(all.clock.nowMs() + 30_000);
  });

  it('follows the monitor: open while the node is down, half-open when a replica was away for longer', () => {
    const all = running(2);
    all.lose(1, 'ECONNREFUSED');
    expect(all.node(1)).toMatchObject({ circuit: 'open', circuitWhy: 'ECONNREFUSED' });
    all.clock.advance(5_000);
    probe(all);
    expect(all.node(1)).toMatchObject({ isUp: true, circuit: 'half-open' });
    expect(fail(all, 1, 1)).toEqual([true]);
  });

  it('is open while a node does not answer its probes', () => {
    const all = running(2);
    all.clock.advance(REPLICA_SILENCE_MS + 1);
    all.primary(0, 100);
    all.standby(2, 100);
    all.brain.sweep(all.clock.nowMs());
    expect(all.node(1)).toMatchObject({ circuit: 'open', circuitWhy: 'does not answer probes' });
    expect(all.node(2).circuit).toBe('closed');
  });

  it('of the primary opens only if log-ins fail and a later probe is answered all the same, for a second', () => {
    const all = running(2);
    expect(fail(all, 0, 50, 'lost')).not.toContain(true);
    all.clock.advance(10);
    probe(all);
    expect(all.node(0).circuit).toBe('closed');
    fail(all, 0, 5, 'connect');
    expect(all.node(0).circuit).toBe('closed');
    all.clock.advance(10);
    probe(all);
    expect(all.node(0)).toMatchObject({ circuit: 'open', ejectedUntilMs: all.clock.nowMs() + 1_000, isUp: true });
    all.clock.advance(1_001);
    probe(all);
    expect(all.node(0).circuit).toBe('half-open');
    answer(all, 0, 3);
    probe(all);
    expect(all.node(0).circuit).toBe('closed');
  });

  it('of a primary that goes down is open until it is up, or closed when another one takes office', () => {
    const all = running(2);
    fail(all, 0, 5, 'connect');
    all.lose(0, 'ECONNREFUSED');
    expect(all.node(0)).toMatchObject({ circuit: 'open', circuitWhy: 'ECONNREFUSED', ejectedUntilMs: 0 });
    all.clock.advance(20_000);
    all.connect(0);
    all.primary(0, 100);
    expect(all.node(0).circuit).toBe('closed');
    fail(all, 1, 5);
    all.lose(0);
    all.primary(1, 120, 2);
    expect(all.node(1)).toMatchObject({ role: 'primary', circuit: 'closed', ejectedUntilMs: 0 });
  });
});
