/**
 * The scale signals. Fails if a full node is not told, if what bounds it is not named, or if Weir advises to scale down because
 * of something that it does not know.
 */
import { describe, expect, it } from 'vitest';
import { scaleJson } from '../../src/observability/scale.ts';
import type { SaturationRow } from '../../src/observability/saturation.ts';
import type { StatsSources } from '../../src/observability/types.ts';
import type { PoolStats } from '../../src/pool/types.ts';
import type { NodeState } from '../../src/topology/types.ts';
import { fakeNode, fakePoolStats, fakeProcess, fakeSources, fakeWorker } from '../console/fakes.ts';

interface Scene {
  readonly node?: Partial<NodeState>;
  readonly pools?: readonly Partial<PoolStats>[];
  readonly database?: { maxDbConnections?: number; isResizing?: boolean; isPaused?: boolean };
  readonly sources?: Partial<StatsSources>;
}

const NOW = 1_000_000;

function ask({ node = {}, pools = [{}], database = {}, sources = {} }: Scene) {
  const one = fakeNode({ connectionLimit: 97, ...node });
  const nodes = [one];
  const base = fakeSources();
  const answer = scaleJson(
    {
      ...base,
      pools: () =>
        pools.map((changes) => {
          const stats = fakePoolStats({ limit: 20, max: 20, load: 2, peakLoad: 3, waiting: 0, ...changes });
          return {
            stats: () => stats,
            waitHistogram: () => ({ boundsSeconds: [], counts: [], sumSeconds: 0, count: 0 }),
          };
        }),
      databases: () => [...base.databases()].map((row) => ({ ...row, ...database })),
      topologies: () => [
        { database: 'shop', snapshot: () => ({ database: 'shop', primary: one, replicas: [], nodes, epoch: 1 }) },
      ],
      ...sources,
    },
    NOW,
  );
  const [row, weir] = answer.signals as [SaturationRow, SaturationRow];
  return { answer, row, weir };
}

describe('of a node', () => {
  it('is up above 0.8, and says what bounds it', () => {
    const { row, answer } = ask({ pools: [{ load: 18, peakLoad: 24, waiting: 5, active: 20, resetting: 0 }] });
    expect(row).toEqual({
      database: 'shop',
      node: 'db1',
      role: 'primary',
      saturation: 0.9,
      peak: 1,
      advice: 'up',
      remedy: 'pool',
      reason:
        '90 % over the last seconds, above 80 %: now 20 connections in use and 5 clients waiting, of 20 (max_pool_size); raise max_pool_size',
      inUse: 20,
      waiting: 5,
      limit: 20,
    });
    expect(answer.advice).toBe('up');
    expect(answer.reason).toContain('shop on db1: 90 %');
  });

  it('is bounded by the tightest of the pools, max_db_connections and the server', () => {
    const busy = { load: 100, peakLoad: 100, max: 500 };
    expect(ask({ pools: [busy], database: { maxDbConnections: 30 } }).row).toMatchObject({ limit: 30, remedy: 'pool' });
    expect(ask({ pools: [busy] }).row).toMatchObject({ limit: 87, remedy: 'server' });
    expect(ask({ pools: [busy], node: { role: 'replica' } }).row).toMatchObject({ limit: 87, remedy: 'replicas' });
    expect(
      ask({
        pools: [
          { ...busy, max: 60 },
          { user: 'b', limit: 10, max: 10 },
        ],
      }).row.limit,
    ).toBe(70);
    const fixed = ask({ pools: [busy], database: { isResizing: false } }).row;
    expect(fixed).toMatchObject({ limit: 20, saturation: 1, remedy: 'pool' });
    expect(fixed.reason).toContain('resize.enabled is false');
  });

  it('counts what other databases have open at the same server', () => {
    const other = { ...fakeNode({ connectionLimit: 97 }), name: 'main' };
    const one = fakeNode({ connectionLimit: 97 });
    const topologies = ['shop', 'books'].map((database) => {
      const node = database === 'shop' ? one : other;
      return { database, snapshot: () => ({ database, primary: node, replicas: [], nodes: [node], epoch: 1 }) };
    });
    const pools = [{ max: 500 }, { database: 'books', node: 'main', active: 50, resetting: 0, login: 0 }];
    expect(ask({ pools, sources: { topologies: () => topologies } }).row.limit).toBe(37);
  });

  it('is down only if the whole last minute was quiet', () => {
    expect(ask({ pools: [{ load: 0, peakLoad: 5 }] }).row).toMatchObject({ advice: 'down', saturation: 0, peak: 0.25 });
    expect(ask({ pools: [{ load: 0, peakLoad: 6 }] }).row.advice).toBe('hold');
    const young = ask({ pools: [{ load: 0, peakLoad: 0, loadObservedMs: 59_000 }] }).row;
    expect(young).toMatchObject({ advice: 'hold', remedy: null });
    expect(young.reason).toContain('observed for 59 s only');
  });

  it.each<[string, Scene]>([
    ['the node is down (refused)', { node: { isUp: false, problem: 'refused' } }],
    ['its circuit is open (resets)', { node: { ejectedUntilMs: NOW + 1, circuit: 'open', circuitWhy: 'resets' } }],
    ['the node is draining', { node: { isDraining: true } }],
    ['the database is paused', { database: { isPaused: true } }],
    ['no traffic', { pools: [] }],
  ])('is not known, and no reason to scale down: %s', (words, scene) => {
    const { row, answer } = ask({ pools: [{ load: 0, peakLoad: 0 }], ...scene });
    expect(row).toMatchObject({ saturation: null, peak: null, advice: 'hold', remedy: null });
    expect(row.reason).toContain(`not known: ${words}`);
    expect(answer.advice).toBe('hold');
  });

  it('does not advise to scale down while a worker does not answer', () => {
    const whole = {
      process: fakeProcess(),
      serving: { isListening: true, isDraining: false },
      silent: [2],
    };
    const { row } = ask({ pools: [{ load: 0, peakLoad: 0 }], sources: { whole } });
    expect(row.advice).toBe('hold');
    expect(row.reason).toContain('worker 2 did not answer');
  });
});

describe('of Weir itself', () => {
  const busy = (...shares: number[]): Scene => ({
    pools: [{ load: 0, peakLoad: 0 }],
    sources: {
      workers: () =>
        shares.map((average, i) =>
          fakeWorker({ number: i + 1, process: fakeProcess({ busy: { average, peak: average, observedMs: 90_000 } }) }),
        ),
    },
  });

  it('is the mean of its processes', () => {
    const { weir, answer } = ask(busy(0.95, 0.85));
    expect(weir).toMatchObject({ database: '', node: 'weir', saturation: 0.9, advice: 'up', remedy: 'weir', limit: 2 });
    expect(answer.advice).toBe('up');
    expect(ask(busy(0.95, 0.05)).weir.advice).toBe('hold');
  });

  it('and the whole is down only if all are', () => {
    expect(ask(busy(0.1)).answer.advice).toBe('down');
    expect(ask(busy(0.5)).answer.advice).toBe('hold');
  });
});
