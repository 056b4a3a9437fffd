/**
 * The bounds that RESIZE POOL has set before a pool is used. Fails if the pool, when it is made, has another size than one that
 * was in use when they were set.
 */
import { expect, test } from 'vitest';
import { KeptBounds, resized, type Bounds, type PoolSize } from '../../src/pool/bounds.ts';

const configured: PoolSize = { limit: 8, min: 0, max: 20 };
const commands: readonly Bounds[] = [{ min: 1 }, { min: 6 }, { max: 4 }, { max: 9 }, { min: 2, max: 5 }];

function* sequences(length: number): Iterable<readonly Bounds[]> {
  if (length === 0) return yield [];
  for (const rest of sequences(length - 1)) for (const command of commands) yield [...rest, command];
}

test('what only some commands have said stays: MIN 6, then MAX 9', () => {
  let count = 0;
  for (const sequence of sequences(4)) {
    const kept = new KeptBounds();
    for (const { min, max } of sequence) kept.keep({ user: 'bob', node: undefined, min, max });
    const made = [...kept.of('bob', 'db1')].reduce(resized, configured);
    const { min, max } = sequence.reduce(resized, configured);
    expect({ min: made.min, max: made.max }, JSON.stringify(sequence)).toEqual({ min, max });
    count++;
  }
  expect(count).toBe(625);
});

test('however many there are, only the last thousand count', () => {
  const kept = new KeptBounds();
  for (let i = 0; i < 3_000; i++) kept.keep({ user: undefined, node: undefined, min: undefined, max: i });
  expect([...kept.of('bob', 'db1')]).toHaveLength(1_000);
});

test('MAX is the size of a pool that does not grow by itself, also above its old maximum; MIN alone only raises it', () => {
  const isFixed = true;
  expect(resized(configured, { max: 12, isFixed })).toEqual({ limit: 12, min: 0, max: 12 });
  expect(resized(configured, { max: 40, isFixed })).toEqual({ limit: 40, min: 0, max: 40 });
  expect(resized(configured, { max: 3, isFixed })).toEqual({ limit: 3, min: 0, max: 3 });
  expect(resized(configured, { min: 2, isFixed })).toEqual({ limit: 8, min: 2, max: 20 });
  expect(resized(configured, { max: 12, isFixed: false })).toEqual({ limit: 8, min: 0, max: 12 });
});
