/**
 * Why a worker could not start, from what it wrote to its standard error. Fails when the operator would read a stack, or nothing.
 */
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { LastWords, telling } from '../../src/workers/last-words.ts';

describe('the telling part', () => {
  test.each([
    [
      'of an error that nobody caught',
      'file:///x.mjs:1\nthrow new Error("boom");\n^\n\nError: boom\n    at x.mjs:1:7\n\nNode.js v20',
      'Error: boom',
    ],
    [
      'of one with a code',
      "node:internal\n  throw err;\n\nError [ERR_X]: Cannot find 'a'\n    at b",
      "Error [ERR_X]: Cannot find 'a'",
    ],
    [
      'of a configuration',
      'weir.yaml:3: pool: no such key\nweir.yaml:4: listen: bad\n',
      'weir.yaml:3: pool: no such key; weir.yaml:4: listen: bad',
    ],
    ['of nothing', '\n', ''],
  ])('%s', (_what, text, expected) => expect(telling(text)).toBe(expected));
});

test('all is passed on; what was said after it served is not why it could not start', async () => {
  const stream = new PassThrough();
  const passed: string[] = [];
  const words = new LastWords(stream, (chunk) => void passed.push(chunk.toString()));
  stream.write('warning: one\n');
  await new Promise((resolve) => setImmediate(resolve));
  words.forget();
  stream.write('two\n');
  await new Promise((resolve) => setImmediate(resolve));
  stream.destroy();
  expect(await words.afterExit()).toBe('');
  expect(passed.join('')).toBe('warning: one\ntwo\n');
});

test('a pipe that somebody holds open is not waited for', async () => {
  const stream = new PassThrough();
  const words = new LastWords(stream, () => undefined);
  stream.write('port is taken\n');
  expect(await words.afterExit()).toBe('port is taken');
  expect(await new LastWords(null, () => undefined).afterExit()).toBe('');
});
