/**
 * The last client of all workers. Fails when a worker ends while another one still has clients, or waits for one that has died or
 * has never served.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { LastClients } from '../../src/workers/last-clients.ts';

function lastOf(...workers: number[]): LastClients<number> {
  const last = new LastClients<number>();
  for (const worker of workers) last.waitFor(worker);
  return last;
}

test('each worker waits for those that have clients, and not for those that have died', async () => {
  const last = lastOf(1, 2, 3);
  const over: number[] = [];
  const drained = (worker: number): void => void last.whenNoneIsLeft(worker).then(() => over.push(worker));
  drained(1);
  drained(3);
  await turn();
  expect(over).toEqual([]);
  last.gone(3);
  await turn();
  expect(over).toEqual([]);
  drained(2);
  await turn();
  expect(over.sort()).toEqual([1, 2, 3]);
});

test('the death of the last one with clients is the end of the wait', async () => {
  const last = lastOf(1, 2);
  const over = last.whenNoneIsLeft(1);
  last.gone(2);
  await over;
});

test('one that does not serve when Weir ends, or is only replaced, waits for nobody', async () => {
  await lastOf(1, 2).whenNoneIsLeft(3);
  await lastOf().whenNoneIsLeft(1);
});
