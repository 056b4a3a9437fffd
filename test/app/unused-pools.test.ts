/** pool_idle_timeout: a pool is late when it had neither clients nor servers for the whole time. */
import { expect, test } from 'vitest';
import { UnusedPools } from '../../src/app/unused-pools.ts';
import type { Pool } from '../../src/pool/pool.ts';

test('a pool is late when it was unused for so long, without a client in between', () => {
  const pool = { user: 'app', isUnused: true };
  const unused = new UnusedPools();
  let users = new Set<string>();
  let asked = 0;
  const look = (nowMs: number, timeoutMs = 10_000): number =>
    unused.look([pool as Pool], timeoutMs, nowMs, () => {
      asked++;
      return users;
    }).length;
  expect([look(1_000), look(10_900), look(11_900)]).toEqual([0, 0, 1]);
  users = new Set(['app', 'other']);
  expect([look(13_000), look(30_000)]).toEqual([0, 0]);
  users = new Set(['other']);
  expect([look(31_000), look(40_900), look(41_900)]).toEqual([0, 0, 1]);
  pool.isUnused = false;
  const before = asked;
  expect([look(50_000), look(90_000), asked]).toEqual([0, 0, before]);
  pool.isUnused = true;
  expect([look(91_000), look(91_500), look(101_000)]).toEqual([0, 0, 1]);
  expect([look(200_000, 0), look(300_000, 0)]).toEqual([0, 0]);
});
