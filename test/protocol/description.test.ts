/** The result type of an answer, read from its RowDescription. Fails if two different types look the same. */
import { describe, expect, test } from 'vitest';
import { Backend } from '../../src/protocol/codes.ts';
import { isSameDescription, noRows, resultTypeIn, resultTypeOf } from '../../src/protocol/description.ts';
import { commandComplete, dataRow, frame, noData, parseComplete, strings } from '../../src/protocol/write.ts';

interface Column {
  name: string;
  table?: number;
  type?: number;
  size?: number;
  modifier?: number;
  format?: number;
}

function rowDescription(...columns: Column[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(columns.length);
  const parts = columns.map(({ name, table = 0, type = 23, size = 4, modifier = -1, format = 0 }) => {
    const rest = Buffer.alloc(18);
    rest.writeInt32BE(table, 0);
    rest.writeInt32BE(type, 6);
    rest.writeInt16BE(size, 10);
    rest.writeInt32BE(modifier, 12);
    rest.writeInt16BE(format, 16);
    return Buffer.concat([strings(name), rest]);
  });
  return frame(Backend.RowDescription, Buffer.concat([count, ...parts]));
}

const typeOf = (message: Buffer): string => resultTypeOf(message[0] as number, message, 0, message.length);
const one = typeOf(rowDescription({ name: 'a' }, { name: 'b' }));

describe('the result type', () => {
  test.each([
    ['the table that a column comes from', [{ name: 'a', table: 16384 }, { name: 'b' }]],
    ['the format', [{ name: 'a', format: 1 }, { name: 'b' }]],
  ])('does not change with %s', (_what, columns: Column[]) => {
    expect(typeOf(rowDescription(...columns))).toBe(one);
  });

  test.each([
    ['a name', [{ name: 'a' }, { name: 'c' }]],
    ['a type', [{ name: 'a', type: 20 }, { name: 'b' }]],
    ['a modifier', [{ name: 'a', modifier: 12 }, { name: 'b' }]],
    ['the order', [{ name: 'b' }, { name: 'a' }]],
    ['one column more', [{ name: 'a' }, { name: 'b' }, { name: 'c' }]],
    ['one column less', [{ name: 'a' }]],
    ['no column', []],
  ])('changes with %s', (_what, columns: Column[]) => {
    expect(typeOf(rowDescription(...columns))).not.toBe(one);
  });

  test('no rows are something else than rows without columns', () => {
    expect(typeOf(noData)).toBe(noRows);
    expect(typeOf(rowDescription())).not.toBe(noRows);
  });

  test('is found in an answer, whole or in parts', () => {
    const answer = Buffer.concat([parseComplete, rowDescription({ name: 'a' }, { name: 'b' }), dataRow(['1', '2'])]);
    expect(resultTypeIn([answer])).toBe(one);
    expect(resultTypeIn([answer.subarray(0, 9), answer.subarray(9)])).toBe(one);
    expect(resultTypeIn([parseComplete, dataRow(['1']), rowDescription({ name: 'a' })])).toBeUndefined();
    expect(resultTypeIn([parseComplete, commandComplete('SELECT 0')])).toBeUndefined();
    expect(resultTypeIn([])).toBeUndefined();
  });
});

test('parameters count only where they are known', () => {
  const [none, int] = [Buffer.from([0, 0]), Buffer.from([0, 1, 0, 0, 0, 23])];
  const described = (parameters: Buffer | undefined, resultType = one): Parameters<typeof isSameDescription>[0] => ({
    parameters,
    resultType,
  });
  expect(isSameDescription(described(int), described(int))).toBe(true);
  expect(isSameDescription(described(int), described(none))).toBe(false);
  expect(isSameDescription(described(int), described(undefined))).toBe(true);
  expect(isSameDescription(described(int), described(int, noRows))).toBe(false);
});
