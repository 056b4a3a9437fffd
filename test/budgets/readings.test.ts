/** What budgets are judged by, from the figures there are: reads on the primary are reads, the fullest node and the last replica count. */
import { describe, expect, it } from 'vitest';
import type { Reading } from '../../src/budgets/types.ts';
import { budgetReadings } from '../../src/observability/budget-readings.ts';
import type { DatabaseStats } from '../../src/session/types.ts';
import type { StatsSources } from '../../src/observability/types.ts';
import type { NodeState } from '../../src/topology/types.ts';
import { totalOf } from '../../src/util/histogram.ts';
import { fakeDatabaseStats, fakeNode, fakePool, fakeSources } from '../console/fakes.ts';

function read(changes: Partial<StatsSources>): Reading {
  const [reading] = [...budgetReadings({ ...fakeSources(), ...changes }, 0)];
  if (reading === undefined) throw new Error('nothing');
  return reading;
}

function withNodes(...nodes: readonly NodeState[]): Partial<StatsSources> {
  const snapshot = { database: 'shop', primary: nodes[0], replicas: nodes.slice(1), nodes, epoch: 1 };
  return { topologies: () => [{ database: 'shop', snapshot: () => snapshot }] };
}

const replica = (changes: Partial<NodeState>): NodeState => fakeNode({ name: 'db2', role: 'replica', ...changes });

describe('durations', () => {
  it('reads are those of replicas, the cache, and what provably reads on the primary; refusals are neither', () => {
    const stats = fakeDatabaseStats({ queries: 31, unserved: 4 });
    stats.durations.forEach((list, place) => list.fill(0).set([10 ** place]));
    const reading = read({ databaseStats: () => [stats] });
    expect(totalOf(reading.writes)).toBe(1);
    expect(totalOf(reading.reads)).toBe(10 + 100 + 10_000);
    expect(reading).toMatchObject({ database: 'shop', statements: 31, unserved: 4 });
  });

  it('those of tags stay as they were read while more is counted', () => {
    const counted = {
      tag: 'checkout',
      statements: 3,
      unserved: 1,
      reads: new Float64Array(17),
      writes: new Float64Array(17),
    };
    const reading = read({ databaseStats: () => [fakeDatabaseStats({ tagged: [counted] })] });
    counted.statements++;
    counted.reads[0] = 5;
    expect(reading.tagged.get('checkout')).toMatchObject({ statements: 3, unserved: 1 });
    expect(totalOf(reading.tagged.get('checkout')?.reads ?? [])).toBe(0);
  });

  it('a worker of an older version has fewer places, and no tags', () => {
    const { tagged: _, ...stats } = fakeDatabaseStats();
    const older = { ...stats, durations: stats.durations.slice(0, 4) } as unknown as DatabaseStats;
    expect(totalOf(read({ databaseStats: () => [older] }).reads)).toBe(1);
  });
});

describe('utilisation', () => {
  it('is that of the fullest node, without Weir itself', () => {
    const pools = [
      fakePool({ node: 'db1', load: 2, limit: 20, max: 20 }),
      fakePool({ node: 'db2', load: 15, limit: 20, max: 20 }),
    ];
    const sources = { ...withNodes(fakeNode(), replica({})), pools: () => pools };
    expect(read(sources).utilisation).toEqual({ value: 0.75 });
  });

  it('says why it is not known', () => {
    expect(read({ pools: () => [] }).utilisation).toEqual({
      unknown: 'not known: no traffic, no client has used this node yet',
    });
    expect(read({ topologies: () => [] }).utilisation).toHaveProperty('unknown');
  });
});

describe('lag', () => {
  it('is that of the replica that lags most', () => {
    const sources = withNodes(fakeNode(), replica({ lagMs: 20 }), replica({ name: 'db3', lagMs: 250 }));
    expect(read(sources).lag).toEqual({ value: 0.25 });
  });

  it('leaves out replicas whose lag is not known, or that are down', () => {
    const others = [replica({ name: 'db3', lagMs: Infinity }), replica({ name: 'db4', isUp: false, lagMs: 9000 })];
    expect(read(withNodes(fakeNode(), replica({ lagMs: 20 }), ...others)).lag).toEqual({ value: 0.02 });
  });

  it.each([
    ['no replicas', [fakeNode()]],
    ['no replica is up', [fakeNode(), replica({ role: 'unknown', isUp: false })]],
    ['the lag of the replicas is not known', [fakeNode(), replica({ lagMs: Infinity })]],
    ['the lag of the replicas is not known', [fakeNode(), replica({ lagMs: 5, isLagUnproven: true })]],
  ])('%s', (unknown, nodes) => expect(read(withNodes(...nodes)).lag).toEqual({ unknown }));
});
