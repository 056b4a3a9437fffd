/**
 * An entry out of Redis, of which nothing is believed: whatever has become of its bytes, it is the answer that was stored or
 * none; and of what somebody has stored with a digest that fits, only an answer that a client can read as the one to its request.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { Parser } from 'pg-protocol/dist/parser.js';
import { describe, expect, it } from 'vitest';
import { answerForm } from '../../src/cache/answer-form.ts';
import { decodeEntry, encodeEntry } from '../../src/cache/entry-format.ts';
import { Backend } from '../../src/protocol/codes.ts';
import { isWholeAnswer } from '../../src/protocol/whole-answer.ts';
import type { AnswerForm } from '../../src/protocol/whole-answer.ts';
import {
  commandComplete,
  dataRow,
  errorResponse,
  frame,
  parameterDescription,
  parameterStatus,
  readyForQuery,
} from '../../src/protocol/write.ts';

const stamps = 'inc-1|1,22|';
const key = Buffer.from('the full key');

/** What follows the name of the statement in Bind. */
function bindOf(parameters: readonly (string | null)[], formats: readonly number[]): Buffer {
  const words = (list: readonly number[]): Buffer =>
    Buffer.concat([list.length, ...list].map((n) => Buffer.from([n >> 8, n & 255])));
  const values = parameters.map((text) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(text === null ? -1 : Buffer.byteLength(text));
    return Buffer.concat([length, Buffer.from(text ?? '')]);
  });
  return Buffer.concat([words([]), words([]).fill(parameters.length, 1), ...values, words(formats)]);
}

function described(columns: number, formats: readonly number[] = []): Buffer {
  const body: Buffer[] = [Buffer.from([0, columns])];
  for (let i = 0; i < columns; i++) {
    const rest = Buffer.alloc(18);
    rest.writeInt16BE((formats.length === 1 ? formats[0] : formats[i]) ?? 0, 16);
    body.push(Buffer.from(`column ${i}\0`), rest);
  }
  return frame(Backend.RowDescription, Buffer.concat(body));
}

const parsed = frame(Backend.ParseComplete);
const bound = frame(Backend.BindComplete);
const ready = readyForQuery('I');

interface Sample {
  readonly shape: string;
  readonly bind: Buffer | undefined;
  readonly answer: Buffer;
}

function sample(shape: string, rows: (string | null)[][], columns: number, formats: number[] = []): Sample {
  const heads: Record<string, Buffer> = {
    Q: described(columns),
    P: parsed,
    S: Buffer.concat([parameterDescription([23, 25]), described(columns)]),
    B: bound,
    D: described(columns, formats),
    E: Buffer.alloc(0),
  };
  const head = [...shape].map((letter) => heads[letter]!);
  const answer = Buffer.concat([...head, ...rows.map(dataRow), commandComplete(`SELECT ${rows.length}`), ready]);
  return { shape, bind: shape === 'Q' ? undefined : bindOf(['7', null], formats), answer };
}

const two = [
  ['one', null],
  ['', 'vier'],
];
const samples: readonly [string, Sample][] = [
  ['simple', sample('Q', two, 2)],
  ['simple, no rows', sample('Q', [], 2)],
  ['simple, no columns', sample('Q', [[], []], 0)],
  ['extended', sample('PBDE', two, 2)],
  ['extended, binary', sample('PBDE', two, 2, [1])],
  ['extended, both formats', sample('PSBDE', two, 2, [0, 1])],
  ['extended, not described', sample('BE', two, 2)],
  ['extended, the statement described', sample('PSBE', two, 2, [1, 0])],
  ['a prepared statement', sample('SBDE', two, 2, [1, 1])],
];

const formOf = ({ shape, bind }: Sample): AnswerForm => answerForm({ shape, bind })!;

/** An independent reading: which messages, how many columns in each, and formats. */
function readByPgProtocol(bytes: Buffer): { name: string; columns?: number; formats?: (string | number)[] }[] {
  const messages: { name: string; columns?: number; formats?: (string | number)[] }[] = [];
  new Parser().parse(Buffer.from(bytes), (message) => {
    const { name, fieldCount, fields } = message as unknown as {
      name: string;
      fieldCount?: number;
      fields?: unknown[];
    };
    const formats =
      name === 'rowDescription' ? (fields as { format: string }[]).map(({ format }) => format) : undefined;
    messages.push({
      name,
      ...(fieldCount === undefined ? {} : { columns: fieldCount }),
      ...(formats === undefined ? {} : { formats }),
    });
  });
  return messages;
}

describe('an entry', () => {
  it.each(samples)('comes back as it was: %s', (_what, one) => {
    const value = encodeEntry(stamps, key, 1_234, [one.answer.subarray(0, 7), one.answer.subarray(7)]);
    expect(decodeEntry(value, stamps, key, formOf(one))).toEqual({ answer: one.answer, ttlMs: 1_234 });
  });

  it("is another key's if only the key differs, whatever its length", () => {
    const value = encodeEntry(stamps, key, 1_000, [samples[0]![1].answer]);
    for (const other of ['the full kez', 'short', '', 'a much longer key than that'])
      expect(decodeEntry(value, stamps, Buffer.from(other), formOf(samples[0]![1]))).toBe('other');
  });

  it.each(samples)('with any byte changed, cut anywhere, or with something behind is none: %s', (_what, one) => {
    const form = formOf(one);
    const value = encodeEntry(stamps, key, 1_000, [one.answer]);
    for (let at = stamps.length; at < value.length; at++) {
      expect(decodeEntry(value.subarray(0, at), stamps, key, form)).toBe('malformed');
      for (const change of [1, 2, 32, 128, 255]) {
        const changed = Buffer.from(value);
        changed[at]! ^= change;
        expect(decodeEntry(changed, stamps, key, form)).toBe('malformed');
      }
    }
    expect(decodeEntry(Buffer.concat([value, Buffer.from([0])]), stamps, key, form)).toBe('malformed');
  });

  it('put together from two of them, or moved under other stamps, is none', () => {
    const [one, other] = [samples[0]![1], samples[3]![1]];
    const [a, b] = [one, other].map(({ answer }) => encodeEntry(stamps, key, 1_000, [answer]));
    for (let at = stamps.length + 1; at < Math.min(a!.length, b!.length); at++) {
      const mixed = Buffer.concat([a!.subarray(0, at), b!.subarray(at)]);
      expect(decodeEntry(mixed, stamps, key, formOf(one))).toBe('malformed');
    }
    const moved = Buffer.concat([Buffer.from('inc-1|1,23|'), a!.subarray(stamps.length)]);
    expect(decodeEntry(moved, 'inc-1|1,23|', key, formOf(one))).toBe('malformed');
  });

  it('may be any bytes without harm, with or without a digest that fits', () => {
    const form = formOf(samples[0]![1]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isSigned) => {
        const rest = Buffer.from(bytes);
        const digest = createHash('sha256').update(stamps).update(rest).digest().subarray(0, 16);
        const value = Buffer.concat([Buffer.from(stamps), ...(isSigned ? [digest] : []), rest]);
        expect(['other', 'malformed']).toContain(decodeEntry(value, stamps, key, form));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([0, -1, NaN, Infinity])('with a life of %d is none', (ttlMs) => {
    const value = encodeEntry(stamps, key, ttlMs, [samples[0]![1].answer]);
    expect(decodeEntry(value, stamps, key, formOf(samples[0]![1]))).toBe('malformed');
  });

  it('of another kind of request, or of other formats, is none', () => {
    const all = samples.filter(([what]) => !what.includes('no '));
    for (const [, stored] of all)
      for (const [, asked] of all) {
        const value = encodeEntry(stamps, key, 1_000, [stored.answer]);
        const found = decodeEntry(value, stamps, key, formOf(asked));
        // Nothing in rows without a description says what they are: the key does.
        if (found !== 'malformed') expect(stored.answer.equals(asked.answer)).toBe(true);
      }
  });
});

describe('frames whose digest fits', () => {
  const [row, complete] = [dataRow(['one', null]), commandComplete('SELECT 1')];
  const two = described(2);
  const simple: AnswerForm = { headings: ['row'], formats: [], parameters: 0 };

  it.each<[string, Buffer[]]>([
    ['nothing before ReadyForQuery', []],
    ['no CommandComplete', [two, row]],
    ['two of them', [two, row, complete, complete]],
    ['two ReadyForQuery', [two, row, complete, ready]],
    ['ReadyForQuery before the rows', [two, ready, row, complete]],
    ['a second answer behind', [two, row, complete, two, row, complete]],
    ['a row behind the end', [two, complete, row]],
    ['no description', [row, complete]],
    ['two descriptions', [two, two, row, complete]],
    ['a description among the rows', [two, row, two, row, commandComplete('SELECT 2')]],
    ['fewer rows than counted', [two, row, commandComplete('SELECT 2')]],
    ['more rows than counted', [two, row, row, complete]],
    ['the tag of a write', [two, row, commandComplete('UPDATE 1')]],
    ['a tag without a number', [two, row, commandComplete('SELECT')]],
    ['a number spelled otherwise', [two, row, commandComplete('SELECT 01')]],
    ['a wider row', [two, dataRow(['a', 'b', 'c']), complete]],
    ['a narrower row', [two, dataRow(['a']), complete]],
    ['a binary column', [described(2, [0, 1]), row, complete]],
    ['an error', [errorResponse({ severity: 'ERROR', sqlstate: 'XX000', message: 'no' })]],
    ['an error behind rows', [two, row, errorResponse({ severity: 'ERROR', sqlstate: 'XX000', message: 'no' })]],
    ['a parameter', [two, parameterStatus('TimeZone', 'UTC'), row, complete]],
    ['a log-in', [frame(0x52, Buffer.alloc(4)), two, row, complete]],
    ['COPY', [frame(Backend.CopyOutResponse, Buffer.alloc(3)), complete]],
    ['no data', [frame(Backend.NoData), complete]],
    ['ParseComplete', [parsed, two, row, complete]],
    [
      'a column of -2 bytes',
      [two, frame(Backend.DataRow, Buffer.from([0, 2, 255, 255, 255, 254, 0, 0, 0, 0])), complete],
    ],
    [
      'a column longer than its row',
      [two, frame(Backend.DataRow, Buffer.from([0, 2, 0, 0, 0, 9, 0, 0, 0, 0])), complete],
    ],
    ['a row with a rest', [two, frame(Backend.DataRow, Buffer.concat([row.subarray(5), Buffer.alloc(1)])), complete]],
    ['an empty row', [two, frame(Backend.DataRow), complete]],
    ['-1 columns', [frame(Backend.RowDescription, Buffer.from([255, 255])), commandComplete('SELECT 0')]],
    ['a frame of length 0', [Buffer.from([Backend.RowDescription, 0, 0, 0, 0]), complete]],
    ['a negative length', [Buffer.from([Backend.RowDescription, 255, 255, 255, 255]), complete]],
  ])('%s: no answer', (_what, frames) => {
    expect(isWholeAnswer(Buffer.concat([two, row, complete, ready]), simple)).toBe(true);
    expect(isWholeAnswer(Buffer.concat([...frames, ready]), simple)).toBe(false);
  });

  it.each<[string, Buffer]>([
    ['without ReadyForQuery', Buffer.alloc(0)],
    ['in a transaction', readyForQuery('T')],
    ['in a failed transaction', readyForQuery('E')],
    ['with a longer ReadyForQuery', frame(Backend.ReadyForQuery, Buffer.from('II'))],
    ['with an empty ReadyForQuery', frame(Backend.ReadyForQuery)],
    ['with something behind', Buffer.concat([ready, Buffer.from('I')])],
  ])('%s: no answer', (_what, end) => {
    expect(isWholeAnswer(Buffer.concat([two, row, complete, end]), simple)).toBe(false);
  });

  /** Accepted means: a client that reads it finds what it has asked for, and nothing is left over. */
  function check(bytes: Buffer, form: AnswerForm): boolean {
    if (!isWholeAnswer(bytes, form)) return false;
    const names: Record<string, string> = {
      parse: 'parseComplete',
      bind: 'bindComplete',
      parameters: 'parameterDescription',
      row: 'rowDescription',
      'statement row': 'rowDescription',
    };
    const messages = readByPgProtocol(bytes);
    const heads = messages.splice(0, form.headings.length);
    expect(heads.map(({ name }) => name)).toEqual(form.headings.map((heading) => names[heading]));
    expect(messages.pop()?.name).toBe('readyForQuery');
    expect(messages.pop()?.name).toBe('commandComplete');
    expect(messages.every(({ name }) => name === 'dataRow')).toBe(true);
    const widths = [...heads, ...messages].flatMap(({ name, columns }) => (/row/i.test(name) ? [columns] : []));
    expect(new Set(widths).size).toBeLessThanOrEqual(1);
    const last = heads.at(-1);
    if (form.headings.at(-1) === 'row') {
      const { formats } = form;
      const asked = (i: number): number => (formats.length === 1 ? formats[0] : formats[i]) ?? 0;
      expect(last?.formats).toEqual(last?.formats?.map((_format, i) => (asked(i) === 0 ? 'text' : 'binary')));
    }
    return true;
  }

  it.each(samples)('with any byte changed, or cut anywhere, are refused or can be read: %s', (_what, one) => {
    const form = formOf(one);
    expect(check(one.answer, form)).toBe(true);
    for (let at = 0; at < one.answer.length; at++) {
      expect(check(one.answer.subarray(0, at), form)).toBe(false);
      for (const change of [1, 2, 3, 4, 7, 8, 16, 23, 32, 64, 128, 255]) {
        const changed = Buffer.from(one.answer);
        changed[at]! ^= change;
        check(changed, form);
      }
    }
  });

  it('in any order, with any left out or doubled, are refused or can be read', () => {
    const pieces = [
      parsed,
      bound,
      two,
      described(2, [1]),
      row,
      dataRow(['a']),
      complete,
      ready,
      parameterDescription([23]),
    ];
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...pieces), { maxLength: 7 }),
        fc.constantFrom(...samples),
        (frames, [, one]) => {
          check(Buffer.concat(frames), formOf(one));
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

describe('what is expected of an answer', () => {
  it('is read from the messages of the request', () => {
    expect(answerForm({ shape: 'Q', bind: undefined })).toEqual({ headings: ['row'], formats: [], parameters: 0 });
    expect(answerForm({ shape: 'PSBDE', bind: bindOf(['1', null], [1, 0]) })).toEqual({
      headings: ['parse', 'parameters', 'statement row', 'bind', 'row'],
      formats: [1, 0],
      parameters: 2,
    });
    expect(answerForm({ shape: 'BE some type', bind: bindOf([], []) })?.headings).toEqual(['bind']);
  });

  it('is nothing where the request makes no sense', () => {
    expect(answerForm({ shape: 'PXE', bind: bindOf([], []) })).toBeUndefined();
    const bind = bindOf(['seven', 'eight'], [1, 1]);
    for (let cut = 0; cut < bind.length; cut++)
      expect(answerForm({ shape: 'BE', bind: bind.subarray(0, cut) })).toBeUndefined();
    expect(answerForm({ shape: 'BE', bind: Buffer.concat([bind, Buffer.alloc(1)]) })).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void answerForm({ shape: 'BE', bind: Buffer.from(bytes) })));
  });
});
