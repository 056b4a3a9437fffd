/**
 * Who samples the budgets: a single process by its own figures, of several workers the lead by those of all. Fails if a worker that
 * does not lead samples, if a new lead goes on with old samples, or if nobody's budgets cost anything.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ActionsInForce } from '../../src/budgets/actions.ts';
import { Budgets, sampleEveryMs, type BudgetsOptions } from '../../src/app/budgets.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { StatsSources } from '../../src/observability/types.ts';
import { Channel, ChannelClosed } from '../../src/workers/channel.ts';
import type { SupervisorTopics, WorkerTopics } from '../../src/workers/messages.ts';
import { memoryWires } from '../workers/memory-wire.ts';
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
  const lines: string[] = [];
  const inForce = new ActionsInForce(() => state.nowMs);
  const budgets = new Budgets({
    config: () => state.config,
    own: () => figures,
    gather: undefined,
    leadTerm: () => state.term,
    channel: undefined,
    inForce,
    log: (_level, _event, message) => void lines.push(message),
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
  /** What was slow is forgotten. */
  const quiet = async (): Promise<void> => {
    for (let ms = 0; ms < 310_000; ms += sampleEveryMs) await tick();
  };
  return { budgets, state, errors, read, tick, quiet, figures, inForce, lines };
}

/** Between a worker and the supervisor. */
function channels() {
  const unexpected = (error: unknown): void => {
    throw error;
  };
  const [up, down] = memoryWires();
  return {
    ours: new Channel<SupervisorTopics, WorkerTopics>(down, unexpected),
    theirs: new Channel<WorkerTopics, SupervisorTopics>(up, unexpected),
  };
}

/** A lead whose budget has burnt for a while, and what the others have heard of its actions. */
async function leadThatActs(): Promise<
  ReturnType<typeof scene> & { theirs: ReturnType<typeof channels>['theirs']; told: unknown[] }
> {
  const { ours, theirs } = channels();
  const all: { current?: StatsSources } = {};
  const made = scene({ gather: async () => all.current as StatsSources, channel: ours });
  const { state, tick, figures } = made;
  all.current = figures;
  const told: unknown[] = [];
  theirs.on('budgetActions', ({ term, actions }) => void told.push([term, actions.map(({ action }) => action)]));
  state.config = configOf('{ reads: { p95: 50ms }, actions: [raise_pool] }');
  state.term = 7;
  await tick();
  await tick(100);
  return { ...made, theirs, told };
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

  it('takes the actions that are wanted while a budget burns, and says when they begin and end', async () => {
    const { state, tick, quiet, inForce, lines } = scene();
    state.config = configOf('{ reads: { p95: 50ms }, actions: [raise_pool, shed_low_priority] }');
    await tick();
    await tick(100);
    expect(inForce.all.map(({ database, action }) => [database, action])).toEqual([
      ['shop', 'shed_low_priority'],
      ['shop', 'raise_pool'],
    ]);
    expect(inForce.why('prefer_cache', 'shop')).toBeUndefined();
    await tick(1);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^shed_low_priority is in force for shop: budget reads_p95 burns: 100% of 100 reads/);
    state.config = configOf('{ reads: { p95: 50ms }, actions: [raise_pool] }');
    await tick(1);
    expect(lines[2]).toBe('shed_low_priority is no longer in force for shop');
    await quiet();
    expect(lines[3]).toBe('raise_pool is no longer in force for shop');
    expect(inForce.all).toEqual([]);
  });

  it.each([
    ['the action', '{ reads: { p95: 50ms }, actions: [raise_pool] }'],
    ['the budget', '{ writes: { p95: 50ms }, actions: [raise_pool, shed_low_priority] }'],
    ['all budgets', '{}'],
  ])('ends an action with the reload that takes back %s, without another sample', async (_what, text) => {
    const { budgets, state, tick, read, inForce, lines } = scene();
    state.config = configOf('{ reads: { p95: 50ms }, actions: [raise_pool, shed_low_priority] }');
    await tick();
    await tick(100);
    expect(inForce.why('shed_low_priority', 'shop')).toBeDefined();
    read.mockClear();
    state.config = configOf(text);
    budgets.apply();
    expect(inForce.why('shed_low_priority', 'shop')).toBeUndefined();
    expect(inForce.why('raise_pool', 'shop') !== undefined).toBe(text.includes('reads'));
    expect(lines).toContain('shed_low_priority is no longer in force for shop');
    expect(read).not.toHaveBeenCalled();
  });

  it('ends the actions at once when the budgets are taken back, and says so', async () => {
    const { state, tick, inForce, lines } = scene();
    state.config = configOf('{ reads: { p95: 50ms }, actions: [raise_pool] }');
    await tick();
    await tick(100);
    expect(inForce.all).toHaveLength(1);
    state.config = configOf('{ actions: [raise_pool] }');
    await tick();
    expect(inForce.all).toEqual([]);
    expect(lines.at(-1)).toBe('raise_pool is no longer in force for shop');
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

  it('tells the others what is in force, and that nothing is any more; others hear it', async () => {
    const { theirs, told, quiet, inForce } = await leadThatActs();
    await quiet();
    await vi.waitFor(() => expect(told).toEqual([...Array.from({ length: 60 }, () => [7, ['raise_pool']]), [7, []]]));
    theirs.tell('budgetActions', [{ database: 'shop', action: 'prefer_cache', why: 'slow' }]);
    await vi.waitFor(() => expect(inForce.why('prefer_cache', 'shop')).toBe('slow'));
  });

  it('the lead tells the others what a reload ends; they wait for its word, but know by themselves that there are no budgets', async () => {
    const { told, budgets, state, inForce } = await leadThatActs();
    state.config = configOf('{ reads: { p95: 50ms } }');
    budgets.apply();
    await vi.waitFor(() =>
      expect(told).toEqual([
        [7, ['raise_pool']],
        [7, []],
      ]),
    );
    state.term = undefined;
    inForce.set([{ database: 'shop', action: 'raise_pool', why: 'slow' }]);
    budgets.apply();
    expect(inForce.all).toHaveLength(1);
    state.config = configOf('{}');
    budgets.apply();
    expect(inForce.all).toEqual([]);
    await vi.waitFor(() => expect(told).toHaveLength(2));
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
