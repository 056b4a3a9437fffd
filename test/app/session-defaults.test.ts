/**
 * When new clients wait for the defaults of new sessions. Fails if one is let in by what was read before a change was decided,
 * by this process or by another one, or waits for ever.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DefaultsKeeper } from '../../src/app/session-defaults.ts';
import type { SessionDefaults } from '../../src/catalog/types.ts';

const defaults = (key: string): SessionDefaults => ({ key, plain: new Map(), of: () => new Map() });
let changes: number;
let keeper: DefaultsKeeper;

beforeEach(() => {
  vi.useFakeTimers();
  changes = 0;
  keeper = new DefaultsKeeper({
    pools: () => [],
    sessions: () => [],
    serverUser: (user) => user,
    onChange: () => changes++,
  });
  keeper.read(defaults('before'));
});
afterEach(() => vi.useRealTimers());

async function isKnown(): Promise<boolean> {
  let known = false;
  void keeper.whenKnown().then(() => (known = true));
  await vi.advanceTimersByTimeAsync(0);
  return known;
}

test('after a change here, what is read next tells', async () => {
  const before = keeper.key;
  expect([await isKnown(), before]).toEqual([true, expect.any(String)]);
  keeper.suspect();
  expect([await isKnown(), keeper.key]).toEqual([false, undefined]);
  keeper.read(defaults('after'));
  expect([await isKnown(), changes]).toEqual([true, 1]);
  expect(keeper.key).not.toBe(before);
});

test('while a change elsewhere is not decided, what is read is from before it', async () => {
  keeper.suspect(false);
  keeper.read(defaults('before'));
  expect(await isKnown()).toBe(false);
  keeper.suspect(true);
  expect(await isKnown()).toBe(false);
  keeper.read(defaults('after'));
  expect(await isKnown()).toBe(true);
});

test('nobody waits for ever', async () => {
  keeper.suspect(false);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await isKnown()).toBe(true);
});
