/**
 * How many reads may use a primary for want of a replica. Fails if several processes together take more than half of it.
 */
import { expect, test } from 'vitest';
import { fallbackRoom, hasWaiting } from '../../src/app/node-pools.ts';
import type { Pool } from '../../src/pool/pool.ts';

const pool = (limit: number, max: number): Pool => ({ stats: () => ({ limit, max }) }) as unknown as Pool;

test('half of what the pools can grow to, or of what the server can spare', () => {
  expect(fallbackRoom([pool(10, 20), pool(4, 4)], true, Infinity, 1)).toBe(12);
  expect(fallbackRoom([pool(10, 20)], false, Infinity, 1)).toBe(5);
  expect(fallbackRoom([pool(10, 20)], true, 6, 1)).toBe(3);
  expect(fallbackRoom([pool(1, 1)], false, Infinity, 1)).toBe(1);
  expect(fallbackRoom([], true, Infinity, 1)).toBe(Infinity);
});

test('each of several processes has an equal part of it, and at least one', () => {
  expect(fallbackRoom([pool(20, 100)], true, Infinity, 3)).toBe(16);
  expect(fallbackRoom([pool(4, 4)], true, Infinity, 3)).toBe(1);
  expect(fallbackRoom([], true, Infinity, 3)).toBe(Infinity);
});

test('a node has no room if clients wait for any of its pools for which no connection is being opened', () => {
  const waiting = (count: number, login = 0): Pool => ({ stats: () => ({ waiting: count, login }) }) as unknown as Pool;
  expect(hasWaiting([])).toBe(false);
  expect(hasWaiting([waiting(0)])).toBe(false);
  expect(hasWaiting([waiting(0), waiting(2)])).toBe(true);
  expect(hasWaiting([waiting(1, 1), waiting(2, 3)])).toBe(false);
  expect(hasWaiting([waiting(1, 1), waiting(3, 2)])).toBe(true);
});
