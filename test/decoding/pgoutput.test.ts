/** What is read of pgoutput's messages, and of a stream of bytes that is cut anywhere. */
import { expect, test } from 'vitest';
import { MessageHeads } from '../../src/decoding/message-heads.ts';
import { decode } from '../../src/decoding/pgoutput.ts';

const begin = (xid: number): Buffer => {
  const message = Buffer.alloc(21);
  message.write('B');
  message.writeUInt32BE(xid, 17);
  return message;
};

const row = (letter: string, oid: number): Buffer => {
  const message = Buffer.alloc(40);
  message.write(letter);
  message.writeUInt32BE(oid, 1);
  return message;
};

const truncate = (...oids: number[]): Buffer => {
  const message = Buffer.alloc(6 + 4 * oids.length);
  message.write('T');
  message.writeUInt32BE(oids.length, 1);
  for (const [i, oid] of oids.entries()) message.writeUInt32BE(oid, 6 + 4 * i);
  return message;
};

test('the beginning of a transaction, with an ID of 32 bits', () => {
  expect(decode(begin(0xffff_fff0), true)).toEqual({ kind: 'begin', xid: 0xffff_fff0 });
});

test.each(['I', 'U', 'D'])('the table of %s, whatever follows', (letter) => {
  expect(decode(row(letter, 3_000_000_000), false)).toEqual({ kind: 'written', relations: [3_000_000_000] });
});

test('all tables of a TRUNCATE, or that there are too many to know', () => {
  expect(decode(truncate(1, 70_000), true)).toEqual({ kind: 'written', relations: [1, 70_000] });
  expect(decode(truncate(1, 2), false)).toEqual({ kind: 'too long' });
});

test.each(['R', 'Y', 'O', 'M'])('%s says nothing of writes', (letter) => {
  expect(decode(Buffer.from(letter), true)).toEqual({ kind: 'other' });
});

test.each<[string, Buffer]>([
  ['an unknown message', Buffer.from('S')],
  ['an empty one', Buffer.alloc(0)],
  ['a short beginning', begin(1).subarray(0, 20)],
  ['a short row', row('U', 1).subarray(0, 4)],
  ['a TRUNCATE of more tables than there are', truncate(1, 2).subarray(0, 13)],
])('%s is an error', (_what, message) => {
  expect(() => decode(message, true)).toThrow(/pgoutput sent/);
});

test('messages come out whole, or their beginning, wherever the bytes are cut', () => {
  const lengths = [0, 1, 9, 10, 11, 500, 0, 10];
  const bytes = Buffer.concat(
    lengths.map((length, i) => {
      const message = Buffer.alloc(5 + length, i);
      message[0] = 0x61 + i;
      message.writeInt32BE(4 + length, 1);
      return message;
    }),
  );
  const expected = lengths.map((length, i) => [
    0x61 + i,
    Buffer.alloc(Math.min(10, length), i).toString('hex'),
    length,
  ]);
  for (let size = 1; size <= bytes.length; size++) {
    const got: [number, string, number][] = [];
    const heads = new MessageHeads(10, (type, body, length) => got.push([type, body.toString('hex'), length]));
    for (let at = 0; at < bytes.length; at += size) heads.push(bytes.subarray(at, at + size));
    expect(got, `in pieces of ${size}`).toEqual(expected);
  }
});

test.each([3, -1, 0x7fffffff])('a length of %i is an error', (length) => {
  const message = Buffer.alloc(5, 0x64);
  message.writeInt32BE(length, 1);
  expect(() => new MessageHeads(10, () => undefined).push(message)).toThrow(/invalid length/);
});
