/** Rates of `weir top` are differences between two looks, and nothing where there is nothing to compare. */
import { expect, it } from 'vitest';
import { counterRates, summaryOf } from '../../../src/cli/top/frame.ts';
import { pages, pagesOf } from '../../../src/cli/top/pages.ts';
import { frame, stats } from './fixtures.ts';

it('the first look has the averages of the last minute', () => {
  expect(counterRates(frame())[0]).toMatchObject({ 'queries/s': 7, 'xacts/s': 3, query_ms: 2, 'replica/s': null });
});

it('later ones have differences over time', () => {
  const second = frame({ 'SHOW STATS': [stats(500, { to_replica: 101 })] }, frame());
  const row = { 'queries/s': 200, 'xacts/s': 100, query_ms: 1.5, 'replica/s': 50.5 };
  expect(counterRates(second)[0]).toMatchObject(row);
  expect(summaryOf(second)).toMatchObject({ queriesPerSecond: 200, xactsPerSecond: 100 });
});

it('no rate from a counter that has fallen, and none for a new database', () => {
  const fallen = frame({ 'SHOW STATS': [stats(5), { ...stats(9), database: 'new' }] }, frame());
  expect(counterRates(fallen).map((row) => row['queries/s'])).toEqual([null, null]);
});

it('no time per query without queries', () => {
  expect(counterRates(frame({}, frame()))[0]).toMatchObject({ 'queries/s': 0, query_ms: null });
});

it('sums of all pools, and the longest wait', () => {
  const sums = { clients: 7, waiting: 4, maxwaitMs: 1_250, serversActive: 4, servers: 6 };
  expect(summaryOf(frame())).toMatchObject(sums);
});

it('CPU of workers by their process; a page of workers if there are several', () => {
  const two = [
    { worker: 1, pid: 10, cpu_seconds: 2 },
    { worker: 2, pid: 11, cpu_seconds: 9 },
  ];
  const second = frame({ 'SHOW WORKERS': two }, frame());
  expect(pages.workers.rows(second).map((row) => row['cpu_%'])).toEqual([50, null]);
  expect(pagesOf(second)).toContain('workers');
  expect(pagesOf(frame())).not.toContain('workers');
});
