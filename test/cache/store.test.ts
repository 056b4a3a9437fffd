/** What cache.max_memory means: the bytes that are counted are about those that are used. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { bench, flightOf, key, prefix } from './support.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

it('counts an entry at about what it costs', () => {
  const b = bench({ maxMemoryBytes: 1_000_000_000 });
  const tags = [`${prefix}r1`, `${prefix}cat`];
  const fill = (i: number): void => {
    const parts = { types: Buffer.from('types'), bind: Buffer.from(`value ${i}`), settings: 'x'.repeat(100) };
    const lookup = b.cache.lookup(key('SELECT * FROM accounts WHERE id = $1', parts), tags, 1e9, session, b.ticks);
    flightOf(lookup).store([Buffer.alloc(100)], 100);
  };
  const session = b.cache.newFreshness();
  for (let i = 0; i < 2_000; i++) fill(i);
  const [usedBefore, countedBefore] = [usedBytes(), b.cache.stats().bytes];
  for (let i = 2_000; i < 32_000; i++) fill(i);
  const used = (usedBytes() - usedBefore) / 30_000;
  const counted = (b.cache.stats().bytes - countedBefore) / 30_000;
  expect(counted / used).toBeGreaterThan(0.6);
  expect(counted / used).toBeLessThan(1.7);
});
