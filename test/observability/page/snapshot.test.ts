/**
 * One snapshot of the page: what is wrong and why, the rows worth a look, and nothing for eyes that may see figures only. Fails if
 * a problem is not told, or one is told that is none.
 */
import { describe, expect, it } from 'vitest';
import { slotMs } from '../../../src/observability/page/noted.ts';
import { Rates } from '../../../src/observability/page/rates.ts';
import { figuresOnly, snapshotOf } from '../../../src/observability/page/snapshot.ts';
import type { Snapshot } from '../../../src/observability/page/types.ts';
import { mostClients, notableClients } from '../../../src/observability/notable-clients.ts';
import type { ServingState, StatsSources } from '../../../src/observability/types.ts';
import {
  fakeBudget,
  fakeClient,
  fakeDatabaseStats,
  fakeMemory,
  fakeNode,
  fakePool,
  fakeProcess,
  fakeSources,
} from '../../console/fakes.ts';

const epochMs = Date.UTC(2026, 11, 1, 3, 0, 0);
const serving: ServingState = { isListening: true, isDraining: false };

const topologyOf = (...nodes: ReturnType<typeof fakeNode>[]): Partial<StatsSources> => {
  const [primary, ...replicas] = nodes;
  return {
    topologies: () => [
      { database: 'shop', snapshot: () => ({ database: 'shop', primary, replicas, nodes, epoch: 1 }) },
    ],
  };
};

const calm: Partial<StatsSources> = {
  ...topologyOf(fakeNode(), fakeNode({ name: 'db2', role: 'replica', lagMs: 4, lagBytes: 0 })),
  pools: () => [
    fakePool({ waiting: 0, maxWaitMs: 0, connectProblem: undefined, isOverloaded: false, isPaused: false }),
  ],
  budgets: () => [],
};

function take(changes: Partial<StatsSources> = {}, more: { serving?: ServingState; busy?: number } = {}): Snapshot {
  const busy = { average: more.busy ?? 0.2, peak: 0.3, observedMs: 60_000 };
  return snapshotOf({
    sources: fakeSources({ ...calm, ...changes } as Parameters<typeof fakeSources>[0]),
    process: fakeProcess({ busy }),
    serving: more.serving ?? serving,
    slots: [],
    rates: new Rates(),
    nowMs: 1_000,
    epochMs,
  });
}

const told = ({ problems }: Snapshot): string[] => problems.map(({ level, what, why }) => `${level}: ${what}: ${why}`);

describe('what is wrong', () => {
  it('is nothing when all is well, also when clients wait as long as they do now and then', () => {
    expect(told(take())).toEqual([]);
    expect(told(take({ pools: () => [fakePool({ waiting: 3, maxWaitMs: 40 })] }))).toEqual([]);
  });

  it('is told worst first, with its reason and where to look', () => {
    const full = fakePool({ waiting: 12, maxWaitMs: 2_400, active: 20, limit: 20, max: 20, login: 0, resetting: 0 });
    const down = fakeNode({ name: 'db2', role: 'replica', isUp: false, problem: 'connect ECONNREFUSED' });
    const snapshot = take({ pools: () => [full], ...topologyOf(fakeNode(), down) });
    expect(told(snapshot)).toEqual([
      'bad: Pool shop.app on db1 is full: 12 clients wait, for up to 2.4 s: 20 of 20 connections are in use, and it may not grow beyond 20 (max_pool_size, or what the server can spare)',
      'warn: db2: connect ECONNREFUSED',
    ]);
    expect(snapshot.problems.map(({ section }) => section)).toEqual(['pools', 'nodes']);
  });

  it('names pools that cannot connect or are overloaded', () => {
    const pool = fakePool({ waiting: 0, connectProblem: 'password authentication failed', isOverloaded: true });
    expect(told(take({ pools: () => [pool] }))).toEqual([
      'bad: Pool shop.app on db1 cannot connect: password authentication failed',
      'bad: Pool shop.app on db1 is overloaded: it has more work than it can do, and refuses those who wait longest',
    ]);
  });

  it('names nodes that lag, that are left out, and a missing primary', () => {
    const lagging = fakeNode({ name: 'db2', role: 'replica', isLagging: true, lagMs: 12_000 });
    const open = fakeNode({ name: 'db3', role: 'replica', circuit: 'open', circuitWhy: '12 of 20 statements failed' });
    expect(told(take(topologyOf(fakeNode(), lagging, open)))).toEqual([
      'warn: Node db2 is 12.0 s behind: more than max_replica_lag: other nodes serve its reads',
      'warn: Node db3 gets no reads: 12 of 20 statements failed',
    ]);
    const nodes = [fakeNode({ name: 'db2', role: 'replica' })];
    const snapshot = { database: 'shop', primary: undefined, replicas: nodes, nodes, epoch: 1 };
    const headless = { topologies: () => [{ database: 'shop', isSettled: true, snapshot: () => snapshot }] };
    expect(told(take(headless))).toEqual([expect.stringMatching(/^bad: Database shop has no primary: .*failover/)]);
  });

  it('names budgets, memory, workers that are silent, and a Weir that has no CPU left or ends', () => {
    const process = fakeProcess({ busy: { average: 0.97, peak: 1, observedMs: 60_000 } });
    const whole = { process, serving: { isListening: true, isDraining: true }, silent: [2] };
    const changes = { budgets: () => [fakeBudget()], memory: () => fakeMemory({ state: 'critical' }), whole };
    expect(told(take(changes, { serving: whole.serving }))).toEqual([
      'bad: Weir is shutting down: ',
      'bad: Worker 2 does not answer: the figures are without it; the log says more',
      expect.stringMatching(/^bad: Memory is critical: clients that hold most are ended; the limit is 244 MB/),
      'warn: Budget reads_p95 of shop (p95 <= 50ms) is burning: 12.5% of 800 reads; in force: raise_pool',
      'warn: Weir itself is busy: 97 % of a core: more workers may help',
    ]);
  });

  it('is cut where there is too much of it', () => {
    const pools = Array.from({ length: 60 }, (_, i) =>
      fakePool({ user: `u${i}`, connectProblem: 'refused', waiting: 0 }),
    );
    const { problems } = take({ pools: () => pools });
    expect(problems).toHaveLength(20);
    expect(problems.at(-1)?.what).toBe('41 more');
  });
});

describe('rows', () => {
  it('are those of pools in trouble first, and at most a hundred', () => {
    const pools = Array.from({ length: 300 }, (_, i) => fakePool({ user: `u${i}`, waiting: 0, active: i % 20 }));
    pools.push(
      fakePool({ user: 'stuck', waiting: 5, maxWaitMs: 900 }),
      fakePool({ user: 'broken', connectProblem: 'no' }),
    );
    const { rows, total } = take({ pools: () => pools }).pools;
    expect([rows.length, total]).toEqual([100, 302]);
    expect(rows.slice(0, 2).map(({ user }) => user)).toEqual(['broken', 'stuck']);
  });

  it('say why a pool has its size, and what a node does', () => {
    const pool = fakePool({ waiting: 0 });
    pool.setLimit(28, 'pressure', 'clients waited 38 ms');
    const { pools, nodes } = take({ pools: () => [pool] });
    expect(pools.rows[0]?.lastResize).toMatchObject({
      from: 20,
      to: 28,
      reason: 'pressure',
      why: 'clients waited 38 ms',
    });
    expect(nodes.rows.map(({ name, state, lagMs, problem }) => [name, state, lagMs, problem])).toEqual([
      ['db1', 'up', 0, null],
      ['db2', 'up', 4, null],
    ]);
  });

  it('have rates of the last ten seconds for each database', () => {
    const rates = new Rates();
    rates.note([fakeDatabaseStats()], 0);
    expect(rates.of('shop')).toBeNull();
    const byLabel = fakeDatabaseStats().byLabel.slice();
    byLabel[4] = (byLabel[4] as number) + 100;
    byLabel[1] = (byLabel[1] as number) + 4;
    const durations = fakeDatabaseStats().durations.map((counts) => counts.slice());
    (durations[0] as Float64Array)[5] = 104;
    rates.note([fakeDatabaseStats({ byLabel, durations })], 2_000);
    expect(rates.of('shop')).toMatchObject({ queries: 52, primary: 52, replica: 0, errors: 2, p50: 3.75 });
    expect(rates.of('nosuch')).toBeNull();
    // Nobody looked for a while: it would be the rate of that while.
    rates.note([fakeDatabaseStats()], 60_000);
    expect(rates.of('shop')).toBeNull();
    expect(slotMs).toBe(2_000);
  });
});

describe('clients', () => {
  it('are those that wait, are pinned, hold a transaction or run for long, the longest first', () => {
    const client = (id: number, changes: Parameters<typeof fakeClient>[0]) =>
      fakeClient({ id, pins: [], requestAtMs: epochMs - 10, ...changes });
    const clients = [
      client(1, { state: 'active' }),
      client(2, { state: 'active', requestAtMs: epochMs - 5_000 }),
      client(3, { state: 'idle_in_transaction' }),
      client(4, { state: 'idle', pins: ['LISTEN'] }),
      client(5, { state: 'waiting' }),
      client(6, { state: 'waiting', requestAtMs: epochMs - 200 }),
      client(7, { state: 'waiting', requestAtMs: epochMs - 900 }),
    ];
    expect(notableClients(clients, epochMs).map(({ id }) => id)).toEqual([7, 6, 4, 3, 2]);
    const many = Array.from({ length: 500 }, (_, id) => client(id, { pins: ['LISTEN'] }));
    expect(notableClients(many, epochMs)).toHaveLength(mostClients);
  });

  it('are shown with their pins, and only to who may see them', () => {
    const snapshot = take();
    expect(snapshot.clients?.rows[0]).toMatchObject({
      user: 'app',
      address: '10.0.0.9:50123',
      pins: ['LISTEN', 'temporary table'],
    });
    expect(snapshot.clients?.total).toBe(2);
    expect(snapshot.clientStates).toEqual({ active: 1, idle: 1 });
    const figures = JSON.stringify(figuresOnly(snapshot));
    for (const secret of ['10.0.0.9', 'LISTEN', 'public.users', 'geheim']) expect(figures).not.toContain(secret);
    expect(JSON.stringify(snapshot)).not.toContain('geheim');
  });
});
