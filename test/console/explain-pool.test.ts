/**
 * EXPLAIN POOL. Fails if it does not say who has set a size, when and why it was changed, what bounds it, or what would change it.
 */
import { describe, expect, it } from 'vitest';
import { explainPool } from '../../src/console/explain-pool.ts';
import { Scanner } from '../../src/console/parse.ts';
import type { ConsoleSources } from '../../src/console/sources.ts';
import type { CommandContext } from '../../src/console/types.ts';
import type { PoolStats } from '../../src/pool/types.ts';
import { fakeNode, fakePoolStats, fakeSources, fakeWorker } from './fakes.ts';

const asSources = (...pools: PoolStats[]): Pick<ConsoleSources, 'pools'> => ({
  pools: () =>
    pools.map((stats) => ({
      stats: () => stats,
      waitHistogram: () => ({ boundsSeconds: [], counts: [], sumSeconds: 0, count: 0 }),
    })),
});

async function explain(pool: string, changes: Partial<ConsoleSources> = {}): Promise<string[]> {
  const settings = [
    { key: 'resize.target_wait', value: '10ms', default: '10ms', isChangeable: true },
    { key: 'resize.shrink_after', value: '5m', default: '5m', isChangeable: true },
  ];
  const context = {
    sources: fakeSources({ settings: () => settings, ...changes }),
    user: 'weir',
    isPgbouncer: false,
    signal: new AbortController().signal,
    unapplied: new Map<string, string>(),
    window: {} as CommandContext['window'],
    nowMs: 1_000,
  };
  const { rows = [] } = await explainPool.parse(new Scanner(pool))(context);
  return Array.from(rows, (row) => row.slice(1).join(' | '));
}

const line = (lines: readonly string[], item: string): string =>
  lines.find((each) => each.includes(` | ${item} | `)) ?? `no line "${item}" in\n${lines.join('\n')}`;

describe('a pool as the configuration has it', () => {
  it('says what it has, who has set that, what it does, what bounds it, and what would change it', async () => {
    const stats = fakePoolStats({ load: 4, limit: 20, heldTotalMs: 5_000, checkouts: 1_000 });
    const lines = await explain('shop.app', asSources(stats));
    expect(line(lines, 'size')).toBe('app | db1 | size | may have 20 connections now, at least 0, at most 100');
    expect(line(lines, 'set by')).toContain('min: min_pool_size 0 of the configuration; max: max_pool_size 100 of the');
    expect(line(lines, 'set by')).toContain('size: begins with default_pool_size 20');
    expect(line(lines, 'last resize')).toContain('none');
    expect(line(lines, 'now')).toContain('3 in use (1 pinned), 2 idle, 1 logging in, 1 being reset; 4 clients wait');
    // 4 connections, each held for 5 ms: 800 a second; 4 + 1.5 * 2 = 7, and the pinned one.
    expect(line(lines, 'load')).toMatch(
      /4\.0 connections .* 5\.0 ms on average, about 800\.0 a second; about 8 connections/,
    );
    expect(line(lines, 'forecast')).toContain(
      'at 09:00 UTC this pool usually needs 34 (confidence 0.86); 34 connections are kept open ahead of the load',
    );
    expect(line(lines, 'server')).toContain('db1 offers 97 connections');
    expect(line(lines, 'server')).toContain('Weir may open 87, 80 of them free');
    expect(line(lines, 'would grow')).toContain('wait for longer than 10ms while all 20 are in use, to at most 100');
    expect(line(lines, 'would shrink')).toContain('not: 20 is the least');
    expect(lines.some((each) => each.includes('held back by') || each.includes('workers'))).toBe(false);
  });
});

it('has no line about a forecast while there is none', async () => {
  const lines = await explain('shop.app', { ...asSources(fakePoolStats()), forecast: () => [] });
  expect(lines.some((each) => each.includes('forecast'))).toBe(false);
});

describe('a pool that was changed', () => {
  it('says by whom, when and why', async () => {
    const lastResize = {
      atMs: Date.now() - 12_000,
      from: 20,
      to: 40,
      reason: 'pressure',
      why: 'clients waited 38 ms',
    } as const;
    const lines = await explain('shop', asSources(fakePoolStats({ limit: 40, max: 40, lastResize })));
    expect(line(lines, 'set by')).toContain(
      'max: RESIZE POOL (the configuration has max_pool_size 100); size: see last resize',
    );
    expect(line(lines, 'last resize')).toMatch(/20 -> 40, pressure: clients waited 38 ms; 20.* UTC \(1[23] s ago\)/);
    expect(line(lines, 'would grow')).toContain('not: it is as large as its maximum');
    expect(line(lines, 'would shrink')).toContain('by one at a time, to at least 20, when for 5m');
  });
});

describe('what holds a pool back', () => {
  const held = async (stats: Partial<PoolStats>, changes: Partial<ConsoleSources> = {}): Promise<string> =>
    line(await explain('shop', { ...asSources(fakePoolStats(stats)), ...changes }), 'held back by');
  const [row] = [...fakeSources().databases()];

  it('is said: paused, log-ins that fail, 53300, no resizing, a node that is down', async () => {
    expect(await held({ isPaused: true })).toContain('paused');
    expect(await held({ connectProblem: 'password authentication failed' })).toContain(
      'password authentication failed',
    );
    const full = { atMs: Date.now() - 1_000, from: 20, to: 9, reason: 'server-full', why: 'w' } as const;
    expect(await held({ lastResize: full })).toContain('53300');
    expect(await held({}, { databases: () => [{ ...row!, isResizing: false }] })).toContain('resize.enabled is false');
    const node = fakeNode({ isUp: false, problem: 'refused' });
    const topologies = [
      {
        database: 'shop',
        snapshot: () => ({ database: 'shop', primary: node, replicas: [], nodes: [node], epoch: 1 }),
      },
    ];
    expect(await held({}, { topologies: () => topologies })).toContain('db1 is down: refused');
  });

  it('statements at once, for which clients wait although connections are idle', async () => {
    const lines = await explain('shop.app', asSources(fakePoolStats({ atOnce: 9 })));
    expect(line(lines, 'statements')).toContain(
      '9 may run at once (resize.mode = on), as more would do no more: clients wait for that even while connections are idle',
    );
    expect(line(await explain('shop.app', asSources(fakePoolStats())), 'statements')).toContain('no line');
  });

  it('max_db_connections, with what other pools have of it, and workers that share it', async () => {
    const pools = asSources(fakePoolStats(), fakePoolStats({ user: 'other' }));
    const lines = await explain('shop.app', {
      ...pools,
      databases: () => [{ ...row!, maxDbConnections: 15 }],
      workers: () => [fakeWorker(), fakeWorker({ number: 2 })],
    });
    expect(line(lines, 'max_db_connections')).toContain('15 for all pools of the database on db1, 1 of them free');
    expect(line(lines, 'workers')).toContain('the 20 places are leased to 2 workers');
    expect(lines.every((each) => each.startsWith('app'))).toBe(true);
  });
});

it('refuses names without a pool, and databases that do not exist', async () => {
  await expect(explain('shop.nobody')).rejects.toThrow(
    'there is no pool of shop.nobody yet: no client has used it; it would begin with 20 connections, at most 100',
  );
  await expect(explain('shap.app')).rejects.toThrow('did you mean "shop"?');
  await expect(explain('')).rejects.toThrow('missing name of a pool');
});
