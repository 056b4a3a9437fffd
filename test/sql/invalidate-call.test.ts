/**
 * Which texts are a call of weir_invalidate() that Weir can answer, and how arrays in text and binary format are read.
 */
import { describe, expect, it } from 'vitest';
import { readArray, readBinaryArray, readInvalidateCall } from '../../src/sql/invalidate-call.ts';

const texts = (sql: string): unknown =>
  readInvalidateCall(sql)?.args.map((arg) => (arg.kind === 'text' ? arg.value : [arg.number, arg.isArray]));

describe('a call', () => {
  it.each([
    ["SELECT weir_invalidate('users')", ['users']],
    ["select WEIR_INVALIDATE ( 'a' , 'it''s', NULL ) ;", ['a', "it's", null]],
    [`SELECT "weir_invalidate"('a')`, ['a']],
    [
      'SELECT weir_invalidate($1, $2::text, $3::varchar[])',
      [
        [1, undefined],
        [2, false],
        [3, true],
      ],
    ],
    ['SELECT weir_invalidate(VARIADIC $1)', [[1, true]]],
    ["SELECT weir_invalidate(VARIADIC ARRAY['a', $1]::text[])", ['a', [1, undefined]]],
    ['SELECT weir_invalidate(\'{a,"b c",NULL}\'::text[])', ['a', 'b c', null]],
    ['SELECT weir_invalidate(ARRAY[]::text[])', []],
  ])('%s', (sql, expected) => {
    expect(texts(sql)).toEqual(expected);
  });

  it.each([
    "SELECT weir_invalidate('a'), 1",
    "SELECT weir_invalidate('a') FROM users",
    'SELECT weir_invalidate(name) FROM users',
    "SELECT weir_invalidate('a' || 'b')",
    "SELECT weir_invalidate('a'::int)",
    "SELECT weir_invalidate(E'a')",
    'SELECT weir_invalidate()',
    "SELECT weir_invalidate('a'",
    "SELECT weir_invalidate('a')) ",
    "SELECT weir_invalidate('{a,b'::text[])",
    'SELECT weir_invalidate($0)',
    "SELECT 1; SELECT weir_invalidate('a')",
    'SELECT weir_invalidate($1) WHERE true',
  ])('not %s', (sql) => {
    expect(readInvalidateCall(sql)).toBeUndefined();
  });

  it('has a column and a number of parameters', () => {
    expect(readInvalidateCall('SELECT weir_invalidate($2)')).toMatchObject({
      column: 'weir_invalidate',
      parameters: 2,
    });
    expect(readInvalidateCall('SELECT weir_invalidate($1) AS "N"')).toMatchObject({ column: 'N', parameters: 1 });
  });
});

it.each([
  ['{}', []],
  [' { a , "b,\\"c\\\\" , null , "null" } ', ['a', 'b,"c\\', null, 'null']],
  ['{a,}', undefined],
  ['{{a},{b}}', undefined],
  ['{"a}', undefined],
  ['{a"b}', undefined],
  ['a', undefined],
])('the array %s', (text, expected) => {
  expect(readArray(text)).toEqual(expected);
});

describe('an array in binary format', () => {
  const int = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const head = (count: number, dimensions = 1): Buffer[] => [dimensions, 0, 25, count, 1].map(int);

  it('is read', () => {
    const bytes = Buffer.concat([...head(3), int(2), Buffer.from('ü'), int(-1), int(0)]);
    expect(readBinaryArray(bytes)).toEqual(['ü', null, '']);
    expect(readBinaryArray(Buffer.concat([0, 0, 25].map(int)))).toEqual([]);
  });

  it('is refused if anything is not as it should be', () => {
    const whole = Buffer.concat([...head(1), int(1), Buffer.from('a')]);
    for (let length = 0; length < whole.length; length++)
      expect(readBinaryArray(whole.subarray(0, length))).toBeUndefined();
    expect(readBinaryArray(Buffer.concat([whole, int(0)]))).toBeUndefined();
    expect(readBinaryArray(Buffer.concat([...head(1, 2), int(1)]))).toBeUndefined();
    expect(readBinaryArray(Buffer.concat([...head(1), int(-5)]))).toBeUndefined();
  });
});
