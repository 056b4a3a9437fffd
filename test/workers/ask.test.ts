/**
 * Questions to other processes. Fails if the first answer waits for a worker that is silent, or a worker that is gone is an error.
 */
import { expect, test } from 'vitest';
import { ChannelClosed } from '../../src/workers/channel.ts';
import { firstKnown } from '../../src/workers/ask.ts';

const silent = new Promise<undefined>(() => undefined);
const gone = (): Promise<undefined> => Promise.reject(new ChannelClosed());

test('the first that knows is enough', async () => {
  expect(await firstKnown([silent, gone(), Promise.resolve(undefined), Promise.resolve(7)])).toBe(7);
});

test('nobody knows when all have said so, or are gone', async () => {
  expect(await firstKnown([gone(), Promise.resolve(undefined)])).toBeUndefined();
  expect(await firstKnown([])).toBeUndefined();
});
