/**
 * The flags with which workers are started. Fails when a worker gets none, or others than the operator has chosen.
 */
import { expect, test } from 'vitest';
import { execArgvOfWorker } from '../../src/cli/heap-flags.ts';

test('a worker gets a small space for new objects beside what the operator has chosen', () => {
  expect(execArgvOfWorker([], '')).toEqual(['--max-semi-space-size=2']);
  expect(execArgvOfWorker(['--enable-source-maps'], '--max-old-space-size=500')).toEqual([
    '--enable-source-maps',
    '--max-semi-space-size=2',
  ]);
});

test('who has chosen the size of that space knows better', () => {
  expect(execArgvOfWorker(['--max-semi-space-size=64'], '')).toEqual(['--max-semi-space-size=64']);
  expect(execArgvOfWorker([], '--max-semi-space-size=64')).toEqual([]);
  expect(execArgvOfWorker([], '--min-semi-space-size=32')).toEqual([]);
});
