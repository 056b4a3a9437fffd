/**
 * A rolling restart: one worker after the other, one restart at a time, and what became of the last ten is kept. Fails when two
 * run at once, when a failure is not told, or when a worker is skipped.
 */
import { describe, expect, test } from 'vitest';
import { WeirEnds } from '../../src/workers/restarts.ts';
import { RollingRestart } from '../../src/workers/rolling-restart.ts';

interface Bench {
  readonly restarts: RollingRestart;
  /** Numbers of the workers whose replacement has begun. */
  readonly begun: number[];
  readonly logged: string[];
  /** Whether it was wanted, each time. */
  readonly handedOver: boolean[];
  /** What the next supervisor does. */
  readonly next: { prepare(): Promise<readonly string[]>; handOver(): Promise<void> };
  /** The replacement that is under way. */
  finish(error?: Error): Promise<void>;
}

function bench(workers = 3): Bench {
  const begun: number[] = [];
  const logged: string[] = [];
  const handedOver: boolean[] = [];
  const next = { prepare: () => Promise.resolve(['listen']), handOver: () => Promise.resolve() };
  let settle: (error?: Error) => void = () => undefined;
  let epochMs = 0;
  const restarts = new RollingRestart({
    workers,
    prepare: () => next.prepare(),
    handOver: (isWanted) => {
      handedOver.push(isWanted);
      return next.handOver();
    },
    replace: (number) => {
      begun.push(number);
      return new Promise((resolve, reject) => {
        settle = (error) => (error === undefined ? resolve() : reject(error));
      });
    },
    finish: () => Promise.resolve(5),
    epochMs: () => (epochMs += 1_000),
    log: (level, event, message) => void logged.push(`${level} ${event}: ${message}`),
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const finish = async (error?: Error): Promise<void> => {
    // The next supervisor may be starting.
    await turn();
    settle(error);
    await turn();
  };
  return { restarts, begun, logged, handedOver, next, finish };
}

describe('a restart', () => {
  test('replaces one after the other; a second request joins it', async () => {
    const { restarts, begun, finish } = bench();
    expect(restarts.rows()).toEqual([]);
    const first = restarts.begin();
    expect(first).toMatchObject({ isJoined: false, restart: { number: 1, state: 'running', workers: 3, replaced: 0 } });
    await finish();
    expect(begun).toEqual([1, 2]);
    const second = restarts.begin();
    expect(second).toMatchObject({ isJoined: true, restart: { number: 1, state: 'running', replaced: 1 } });
    await finish();
    await finish();
    const done = {
      number: 1,
      state: 'done',
      workers: 3,
      replaced: 3,
      isSupervisorReplaced: true,
      endedClients: 5,
      startedAtMs: 1_000,
      finishedAtMs: 2_000,
      kept: ['listen'],
    };
    expect(await first.over).toEqual({ ...done, problem: undefined });
    expect(await second.over).toEqual(await first.over);
    expect(restarts.rows()).toEqual([await first.over]);
    expect(begun).toEqual([1, 2, 3]);
    expect(restarts.begin()).toMatchObject({ isJoined: false, restart: { number: 2 } });
  });

  test('ends at the first worker that cannot be replaced, and says so', async () => {
    const { restarts, begun, logged, finish } = bench();
    const { over } = restarts.begin();
    await finish(new Error('it crashes'));
    expect(await over).toMatchObject({
      state: 'failed',
      replaced: 0,
      problem: 'no worker is replaced, the old ones go on: it crashes',
    });
    expect(begun).toEqual([1]);
    expect(logged.at(-1)).toBe('error restart_failed: no worker is replaced, the old ones go on: it crashes');
    const again = restarts.begin();
    expect(again.isJoined).toBe(false);
    await finish();
    await finish(new Error('no memory'));
    expect((await again.over).problem).toBe('only 1 of 3 workers are replaced, the old ones go on: no memory');
    expect(restarts.rows().map(({ number, state }) => [number, state])).toEqual([
      [2, 'failed'],
      [1, 'failed'],
    ]);
  });

  test('says in plain words that Weir ends', async () => {
    const { restarts, finish } = bench();
    const { over } = restarts.begin();
    await finish();
    await finish(new WeirEnds());
    expect((await over).problem).toBe('Weir ends: 1 of 3 workers were replaced');
  });

  test('begins with the next supervisor, which takes over at the end; if it cannot start, no worker is replaced', async () => {
    const { restarts, begun, handedOver, next, finish } = bench(1);
    next.prepare = () => Promise.reject(new Error('3 times in a row, the new supervisor has ended'));
    const { over } = restarts.begin();
    expect((await over).problem).toBe(
      'no worker is replaced, the old ones go on: 3 times in a row, the new supervisor has ended',
    );
    expect([begun, handedOver]).toEqual([[], [false]]);
    next.prepare = () => Promise.resolve([]);
    next.handOver = () => {
      expect(restarts.rowsAfter()[0]).toMatchObject({ number: 2, state: 'done', isSupervisorReplaced: true });
      return Promise.reject(new Error('it is gone'));
    };
    const again = restarts.begin();
    await finish();
    expect(await again.over).toMatchObject({
      state: 'failed',
      replaced: 1,
      isSupervisorReplaced: false,
      problem: 'all 1 workers are replaced, but not the supervisor: it is gone',
    });
    expect(handedOver).toEqual([false, true]);
  });

  test('the last ten are kept', async () => {
    const { restarts, finish } = bench(1);
    for (let i = 0; i < 12; i++) {
      restarts.begin();
      await finish();
    }
    expect(restarts.rows().map(({ number }) => number)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
  });
});
