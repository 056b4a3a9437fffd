/** What the bytes of terminals mean, also where a slow link delivers them in pieces. */
import { PassThrough } from 'node:stream';
import type { Key } from 'node:readline';
import type { ReadStream } from 'node:tty';
import { expect, it } from 'vitest';
import { keysOf, readKeys } from '../../../src/cli/top/terminal-keys.ts';

async function keysFrom(pieces: readonly (string | Buffer)[]): Promise<string[]> {
  const input = new PassThrough();
  const keys: string[] = [];
  readKeys(input as unknown as ReadStream);
  input.on('keypress', (text: string | undefined, key: Key) => keys.push(...keysOf(text, key)));
  for (const piece of pieces) {
    input.write(piece);
    await new Promise(setImmediate);
  }
  return keys;
}

it.each([
  ['\u001b[A\u001bOB', ['up', 'down']],
  ['\u001b[5~\u001b[6~\u001b[H\u001bOF\u001b[1~\u001b[4~', ['pageup', 'pagedown', 'home', 'end', 'home', 'end']],
  ['\u001bOP\u001b[[C\u001b[14~\u001b[17~\u001b[20~\u001b[21~', ['f1', 'f3', 'f4', 'f6', 'f9', 'f10']],
  ['q\r\n\t\u001b[Z\u007f\b', ['q', 'enter', 'enter', 'tab', 'backtab', 'backspace', 'backspace']],
  ['\u0003\u0004\u001a\u000c\u000e\u0010', ['interrupt', 'interrupt', 'suspend', 'refresh', 'down', 'up']],
  [' Z<>/?é😀', [' ', 'Z', '<', '>', '/', '?', 'é', '😀']],
  ['\u0001\u001b[200~\u001b[99;1~\u001b[15~', []],
  // Escape, and a key right behind it.
  ['\u001bq', ['escape', 'q']],
])('%j', async (input, keys) => {
  expect(await keysFrom([input])).toEqual(keys);
  // A byte at a time.
  expect(await keysFrom([...Buffer.from(input)].map((byte) => Buffer.of(byte)))).toEqual(keys);
});

it('Escape alone is a key', async () => {
  const input = new PassThrough();
  readKeys(input as unknown as ReadStream);
  const key = new Promise<string[]>((resolve) =>
    input.on('keypress', (text: string | undefined, pressed: Key) => resolve(keysOf(text, pressed))),
  );
  input.write('\u001b');
  expect(await key).toEqual(['escape']);
});
