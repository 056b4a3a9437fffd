/** What a log-in says goes out in one write, before Weir waits for the client: fails if it is sent twice, not at all, or in parts. */
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Unsent } from '../../src/frontend/unsent.ts';

function writesTo(): { readonly unsent: Unsent; readonly writes: string[] } {
  const writes: string[] = [];
  const socket = { write: (bytes: Buffer) => writes.push(bytes.toString()) } as unknown as Socket;
  return { unsent: new Unsent(socket), writes };
}

test('several frames are one write, in their order, and once', () => {
  const { unsent, writes } = writesTo();
  unsent.say(Buffer.from('a'));
  unsent.say(Buffer.from('b'));
  expect(writes).toEqual([]);
  unsent.send();
  unsent.send();
  expect(writes).toEqual(['ab']);
});

test('what is taken is not sent', () => {
  const { unsent, writes } = writesTo();
  unsent.say(Buffer.from('a'));
  unsent.send();
  unsent.say(Buffer.from('b'));
  expect(unsent.take().toString()).toBe('b');
  unsent.send();
  expect(writes).toEqual(['a']);
});

test('what nobody takes in this turn is sent at its end', async () => {
  const { unsent, writes } = writesTo();
  unsent.say(Buffer.from('a'));
  unsent.sendSoon();
  expect(writes).toEqual([]);
  await new Promise(setImmediate);
  expect(writes).toEqual(['a']);
  unsent.say(Buffer.from('b'));
  unsent.sendSoon();
  unsent.take();
  await new Promise(setImmediate);
  expect(writes).toEqual(['a']);
});
