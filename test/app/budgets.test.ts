/**
 * Who samples the budgets: a single process by its own figures, of several workers the lead by those of all. Fails if a worker that
 * does not lead samples, if a new lead goes on with old samples, or if nobody's budgets cost anything.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Budgets, sampleEveryMs, type BudgetsOptions } from '../../src/app/budgets.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { StatsSources } from '../../src/observability/types.ts';
import { ChannelClosed } from '../../src/workers/channel.ts';
import { fakeDatabaseStats, fakeSources } from '../console/fakes.ts';

function configOf(budgets: string): Config {
  const text = `auth: { type: trust }\nbudgets: ${budgets}\ndatabases: { shop: { primary: postgres://db1 } }`;
  const result = loadConfig({ text, file: '/nowhere/weir.yaml', env: {} });
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
}

/** A Weir whose primary answers `slow` reads in a second each. */
function scene(changes: Partial<BudgetsOptions> = {}) {
  const stats = fakeDatabaseStats();
  const read = vi.fn(() => [{ ...stats, durations: stats.durations.map((list) => list.slice()) }]);
  const figures: StatsSources = fakeSources({ databaseStats: read });
  const state = { nowMs: 1e6, config: configOf('{ reads: { p95: 50ms } }'), term: 0 as number | undefined };
  const errors: unknown[] = [];
  const budgets = new Budgets({
    config: () => state.config,
    own: () => figures,
    gather: undefined,
    leadTerm: () => state.term,
    nowMs: () => state.nowMs,
    onError: (error) => void errors.push(error),
    ...changes,
  });
  const tick = async (slow = 0): Promise<void> => {
    const list = stats.durations[4];
    if (list !== undefined) list[12] = (list[12] ?? 0) + slow;
    state.nowMs += sampleEveryMs;
    await budgets.tick();
  };
  return { budgets, state, errors, read, tick, figures };
}

afterEach(() => vi.useRealTimers());

describe('a single process', () => {
  it('samples by its own figures', async () => {
    const { budgets, tick } = scene();
    expect(budgets.figures()).toMatchObject([{ database: 'shop', state: 'unknown', why: 'not observed yet' }]);
    await tick();
    await tick(100);
    expect(budgets.figures()).toMatchObject([{ budget: 'reads_p95', burn5m: 20, burn1h: 20, state: 'burning' }]);
  });

  it('reads nothing and shows nothing without budgets; forgets when they are taken back', async () => {
    const { budgets, state, tick, read } = scene();
    await tick();
    await tick(100);
    state.config = configOf('{}');
    read.mockClear();
    await tick(100);
    expect(read).not.toHaveBeenCalled();
    expect(budgets.figures()).toEqual([]);
    state.config = configOf('{ reads: { p95: 50ms } }');
    expect(budgets.figures()).toMatchObject([{ burn5m: null, why: 'not observed yet' }]);
    await tick();
    await tick();
    expect(budgets.figures()).toMatchObject([{ burn5m: null, state: 'unknown' }]);
  });

  it('every five seconds, until it is stopped', async () => {
    vi.useFakeTimers();
    const { budgets, read } = scene();
    budgets.start();
    budgets.start();
    await vi.advanceTimersByTimeAsync(sampleEveryMs * 3);
    expect(read).toHaveBeenCalledTimes(4);
    budgets.stop();
    await vi.advanceTimersByTimeAsync(sampleEveryMs * 3);
    expect(read).toHaveBeenCalledTimes(4);
  });
});

describe('of several workers', () => {
  it('only the lead samples, by the figures of all; the next one begins anew', async () => {
    const all: { current?: StatsSources } = {};
    const gather = vi.fn(() => Promise.resolve(all.current as StatsSources));
    const { budgets, state, tick, figures } = scene({ gather });
    all.current = figures;
    state.term = undefined;
    await tick();
    expect(gather).not.toHaveBeenCalled();
    expect(budgets.figures()).toMatchObject([{ observedMs: 0, state: 'unknown' }]);
    state.term = 3;
    await tick();
    await tick(100);
    expect(budgets.figures()).toMatchObject([{ burn5m: 20, state: 'burning' }]);
    state.term = undefined;
    await tick();
    expect(budgets.figures()).toMatchObject([{ observedMs: 0, burn5m: null }]);
    state.term = 5;
    await tick();
    await tick();
    expect(budgets.figures()).toMatchObject([{ burn5m: null, observedMs: sampleEveryMs }]);
  });

  it('what is gathered while the lead changes is not used', async () => {
    let answer: (sources: StatsSources) => void = () => undefined;
    const gather = (): Promise<StatsSources> => new Promise((resolve) => (answer = resolve));
    const { budgets, state, tick, figures } = scene({ gather });
    state.term = 1;
    const ticked = tick();
    state.term = undefined;
    answer(figures);
    await ticked;
    expect(budgets.figures()).toMatchObject([{ observedMs: 0 }]);
  });

  it('a supervisor that is gone is no bug; anything else is told', async () => {
    const failure = { current: new ChannelClosed() as Error };
    const { budgets, state, tick, errors } = scene({ gather: () => Promise.reject(failure.current) });
    state.term = 1;
    await tick();
    expect(errors).toEqual([]);
    failure.current = new Error('a bug');
    await tick();
    expect(errors).toEqual([failure.current]);
    expect(budgets.figures()).toMatchObject([{ state: 'unknown' }]);
  });
});
