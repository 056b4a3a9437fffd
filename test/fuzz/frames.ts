/**
 * What clients without manners say once they are logged in: proper messages in any order, cut, changed, doubled, with
 * lengths that lie, in chunks of any size.
 */
import fc from 'fast-check';
import { Frontend } from '../../src/protocol/codes.ts';
import { close, describe, flush, frame, parse, query, strings, sync, terminate } from '../../src/protocol/write.ts';

export interface Cut {
  readonly at: number;
  readonly byte: number;
  readonly how: 'change' | 'drop' | 'insert' | 'end' | 'length' | 'double';
}

export interface Sequence {
  readonly messages: readonly Buffer[];
  readonly cuts: readonly Cut[];
  /** Where the chunks end. */
  readonly splits: readonly number[];
  /** Turns of the event loop between chunks, and before it leaves. */
  readonly patience: number;
  readonly isDeaf: boolean;
}

/** Stands for eight letters that no other client says: whoever hears another's has been given another's answer. */
export const tokenMark = '@@TOKEN@';

const noTypes = Buffer.from([0, 0]);
export const bind = (portal: string, name: string, value?: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(value?.length ?? 0);
  const values = value === undefined ? [Buffer.from([0, 0])] : [Buffer.from([0, 1]), length, value];
  return frame(Frontend.Bind, Buffer.concat([strings(portal, name), Buffer.from([0, 0]), ...values, noTypes]));
};
export const execute = (portal: string, rows = 0): Buffer =>
  frame(Frontend.Execute, Buffer.concat([strings(portal), Buffer.from([0, 0, 0, rows])]));
export const parseText = (name: string, sql: string): Buffer => parse(name, Buffer.from(sql), noTypes);
export const copyData = (bytes: Buffer): Buffer => frame(Frontend.CopyData, bytes);
export const copyDone = frame(Frontend.CopyDone);
export const copyFail = frame(Frontend.CopyFail, strings('no more'));

const read = `SELECT '${tokenMark}'`;
const texts = [
  read,
  read,
  `${read} FROM users`,
  `/* weir: route=primary */ ${read}`,
  `INSERT INTO lines VALUES ('${tokenMark}')`,
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  `BEGIN; ${read}; COMMIT`,
  `${read}; INSERT INTO lines VALUES (1)`,
  'COPY lines FROM STDIN',
  'COPY lines TO STDOUT',
  'fail',
  `SELECT pg_sleep(1), '${tokenMark}'`,
  "SET application_name = 'x'",
  'SET work_mem = 1000',
  "SET weir.route = 'replica'",
  'SHOW weir.last_route',
  'SET weir.bogus = 1',
  "SELECT set_config('weir.route', 'primary', false)",
  'DISCARD ALL',
  '',
  ';',
  `SELECT '${tokenMark}`,
];
const names = ['', '', 's1', 's2', 's3', 's4', 's5', '\u00e9'];

const text = fc.constantFrom(...texts);
const name = fc.constantFrom(...names);
const extended = fc.record({ name, text, portal: fc.constantFrom('', '', 'p1', 'p2'), rows: fc.constantFrom(0, 0, 1) });
/** A whole batch, as drivers send it. */
const batch = extended.map(({ name, text, portal, rows }) =>
  Buffer.concat([parseText(name, text), bind(portal, name), describe('P', portal), execute(portal, rows), sync]),
);
const message = fc.oneof(
  { weight: 6, arbitrary: text.map((sql) => query(sql)) },
  { weight: 5, arbitrary: batch },
  { weight: 2, arbitrary: extended.map((one) => parseText(one.name, one.text)) },
  { weight: 2, arbitrary: extended.map((one) => bind(one.portal, one.name)) },
  { weight: 2, arbitrary: extended.map((one) => execute(one.portal, one.rows)) },
  { weight: 2, arbitrary: name.map((one) => describe('S', one)) },
  { weight: 1, arbitrary: name.map((one) => describe('P', one)) },
  { weight: 1, arbitrary: name.map((one) => close('S', one)) },
  { weight: 1, arbitrary: name.map((one) => close('P', one)) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      sync,
      sync,
      flush,
      terminate,
      copyDone,
      copyFail,
      copyData(Buffer.from('one\n')),
      copyData(Buffer.alloc(300, 0x61)),
      frame(Frontend.FunctionCall, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0])),
      frame(Frontend.Password, strings('late')),
    ),
  },
);

const cut: fc.Arbitrary<Cut> = fc.record({
  at: fc.nat(600),
  byte: fc.oneof(fc.constantFrom(0, 1, 3, 4, 0x3f, 0x58, 0x7f, 0x80, 0xff), fc.nat(255)),
  how: fc.constantFrom('change', 'change', 'drop', 'insert', 'end', 'length', 'double'),
});

export const sequence: fc.Arbitrary<Sequence> = fc.record({
  messages: fc.oneof(
    { weight: 12, arbitrary: fc.array(message, { minLength: 1, maxLength: 6 }) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => [Buffer.from(bytes)]) },
  ),
  cuts: fc.oneof(fc.constant([]), fc.array(cut, { maxLength: 3 })),
  splits: fc.array(fc.nat(500), { maxLength: 3 }),
  patience: fc.constantFrom(0, 0, 1, 2, 6),
  isDeaf: fc.nat(19).map((dice) => dice === 0),
});

/** Index of the length field of the message that `at` is in, as far as the lengths before it are true. */
function lengthFieldAt(bytes: Buffer, at: number): number {
  let start = 0;
  while (start + 5 <= bytes.length) {
    const end = start + 1 + bytes.readInt32BE(start + 1);
    if (end > at || end <= start) return start + 1;
    start = end;
  }
  return Math.max(0, bytes.length - 4);
}

function mutate(bytes: Buffer, { at, byte, how }: Cut): Buffer {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (how) {
    case 'end':
      return before;
    case 'insert':
      return Buffer.concat([before, Buffer.from([byte]), after]);
    case 'drop':
      return Buffer.concat([before, after.subarray(1)]);
    case 'double':
      return Buffer.concat([bytes, after]);
    case 'length': {
      const changed = Buffer.from(bytes);
      const field = lengthFieldAt(bytes, place);
      if (field + 4 <= changed.length) changed[field + (at % 4)] = byte;
      return changed;
    }
    case 'change':
      return Buffer.concat([before, Buffer.from([byte]), after.subarray(1)]);
  }
}

/** What the client says, in chunks. */
export function chunksOf({ messages, cuts, splits }: Sequence, token: string): Buffer[] {
  let bytes: Buffer = Buffer.concat(messages);
  for (let at = bytes.indexOf(tokenMark); at !== -1; at = bytes.indexOf(tokenMark, at))
    bytes.write(token, at, 'latin1');
  for (const one of cuts) bytes = mutate(bytes, one);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const to of [...splits.map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b), bytes.length]) {
    if (to > from) chunks.push(bytes.subarray(from, to));
    from = Math.max(from, to);
  }
  return chunks;
}
