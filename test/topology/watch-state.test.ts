/** The table of states of the watch over a catalog: what a stop, a start and a client do, whenever they come. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/types.ts';
import { SchemaWatch } from '../../src/topology/schema-watch.ts';
import { nextWatchState, watchStateMeanings } from '../../src/topology/watch-state.ts';
import type { WatchEvent, WatchState } from '../../src/topology/watch-state.ts';
import { nodeConfig } from './fixtures.ts';

const states = Object.keys(watchStateMeanings) as WatchState[];

test('only a start ends a stop, and only a client or a stop ends the sleep', () => {
  const after = (event: WatchEvent): Record<string, string> =>
    Object.fromEntries(states.map((state) => [state, nextWatchState(state, event)]));
  const { stopped, stopping } = after('stop');
  expect([stopped, stopping]).toEqual(['stopped', 'stopping']);
  expect(Object.values(after('stop')).every((state) => state.startsWith('stopp'))).toBe(true);
  for (const event of ['wake', 'look', 'rest', 'sleep'] as const) {
    expect(after(event)['stopped']).toBe('stopped');
    expect(['stopping', 'stopped']).toContain(after(event)['stopping']);
    if (event !== 'wake') expect(after(event)['asleep']).toBe('asleep');
  }
  expect(after('look')).toMatchObject({ resting: 'looking', looking: 'looking', stopping: 'stopping' });
});

const db1 = nodeConfig('db1');

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('whatever happens in whatever order: one question at a time, none while it is stopped, and the last start is heeded', async () => {
  const steps = fc.array(
    fc.constantFrom('start', 'stop', 'kick', 'changed', 'wake', 'leave', 'come', 'answer', 'turn'),
    {
      maxLength: 40,
    },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      let isUsed = true;
      let asking = 0;
      const answers: (() => void)[] = [];
      const watch = new SchemaWatch({
        connect: () => Promise.resolve({ query: () => Promise.resolve([]), close: () => Promise.resolve() } as never),
        source: () => ({ node: db1, isPrimary: true }),
        readCatalog: async () => {
          expect(++asking).toBe(1);
          await new Promise<void>((resolve) => answers.push(resolve));
          asking--;
          return {} as Catalog;
        },
        fingerprint: undefined,
        onCatalog: () => undefined,
        onProblem: (problem) => expect.unreachable(problem),
        isUsed: () => isUsed,
      });
      const answer = (): void => answers.splice(0).forEach((each) => each());
      for (const step of list) {
        if (step === 'start') watch.start();
        else if (step === 'stop') void watch.stop();
        else if (step === 'kick') watch.kick();
        else if (step === 'changed') watch.changed();
        else if (step === 'leave') isUsed = false;
        else if (step === 'answer') answer();
        else if (step === 'turn') await turn();
        else {
          isUsed = true;
          if (step === 'wake') watch.wake();
        }
      }
      // Whoever comes wakes it, and the catalog becomes known.
      isUsed = true;
      watch.start();
      watch.wake();
      watch.kick();
      for (let i = 0; i < 10; i++) {
        await turn();
        answer();
      }
      expect(watch.catalog).toBeDefined();
      const stopped = watch.stop();
      for (let i = 0; i < 3; i++) {
        await turn();
        answer();
      }
      await stopped;
      watch.kick();
      watch.wake();
      await turn();
      expect(asking).toBe(0);
      expect(answers).toEqual([]);
    }),
  );
});
