/**
 * Conversations as PostgreSQL allows them, of messages at and around every size at which Weir changes what it does, in
 * chunks that end anywhere, with somebody who stops reading for a while.
 */
import fc from 'fast-check';
import { close, describe, flush, parse, query, sync } from '../../src/protocol/write.ts';
import { bind, copyData, copyDone, copyFail, execute } from './frames.ts';

/** What happens next: some bytes are said, some turns pass, an end stops reading or goes on. */
export type Step =
  | { readonly does: 'say'; readonly bytes: number }
  | { readonly does: 'wait'; readonly turns: number }
  | { readonly does: 'client reads' | 'servers read'; readonly isReading: boolean };

export interface FlowConversation {
  readonly messages: readonly Buffer[];
  readonly steps: readonly Step[];
}

const KB = 1024;
const thresholds = [0, 1, 4 * KB, 8 * KB, 16 * KB, 32 * KB, 64 * KB, 256 * KB, 1024 * KB];

/** Of a whole message, in bytes; the large ones are rare, as they take the time. */
const size = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(0, 1) },
      { weight: 4, arbitrary: fc.constantFrom(...thresholds) },
      { weight: 3, arbitrary: fc.constantFrom(64 * KB, 192 * KB, 256 * KB, 300 * KB) },
    ),
    fc.integer({ min: -6, max: 6 }),
  )
  .map(([at, more]) => Math.max(0, at + more));

/** The message that `make` makes of so much filling that it has `bytes` bytes, if it can be that small. */
function ofSize(bytes: number, make: (filling: string) => Buffer): Buffer {
  return make('x'.repeat(Math.max(0, bytes - make('').length)));
}

const noTypes = Buffer.alloc(2);
const name = fc.constantFrom('', '', '', 's1', 's2', 's3', 's4');
const portal = fc.constantFrom('', '', 'p');
const texts: readonly ((filling: string) => string)[] = [
  (filling) => `SELECT '${filling}'`,
  (filling) => `SELECT 'a' /* ${filling} */`,
  (filling) => `INSERT INTO lines VALUES ('${filling}')`,
  (filling) => `/* weir: route=primary */ SELECT '${filling}'`,
];
const text = fc.constantFrom(...texts);
const parseOf = fc
  .record({ name, text, size })
  .map((one) => ofSize(one.size, (filling) => parse(one.name, Buffer.from(one.text(filling)), noTypes)));
const bindOf = fc
  .record({ name, portal, size })
  .map((one) => ofSize(one.size, (filling) => bind(one.portal, one.name, Buffer.from(filling))));
const queryOf = fc.record({ text, size }).map((one) => ofSize(one.size, (filling) => query(one.text(filling))));
const copyOf = size.map((bytes) => ofSize(bytes, (filling) => copyData(Buffer.from(filling))));

/** What drivers do: a statement, its values, its rows. */
const usual = fc
  .record({ name, text, textSize: size, valueSize: size, isDescribed: fc.boolean() })
  .map((one) => [
    ofSize(one.textSize, (filling) => parse(one.name, Buffer.from(one.text(filling)), noTypes)),
    ofSize(one.valueSize, (filling) => bind('', one.name, Buffer.from(filling))),
    ...(one.isDescribed ? [describe('P', '')] : []),
    execute(''),
    sync,
  ]);
/** A statement of before once more, on whatever server. */
const again = fc
  .record({ name, size })
  .map((one) => [ofSize(one.size, (filling) => bind('', one.name, Buffer.from(filling))), execute(''), sync]);
const part = fc.oneof(
  { weight: 4, arbitrary: parseOf },
  { weight: 4, arbitrary: bindOf },
  { weight: 3, arbitrary: portal.map((one) => execute(one)) },
  { weight: 2, arbitrary: name.map((one) => describe('S', one)) },
  { weight: 1, arbitrary: portal.map((one) => describe('P', one)) },
  { weight: 1, arbitrary: name.map((one) => close('S', one)) },
  { weight: 2, arbitrary: fc.constant(flush) },
);
const anyOrder = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => [...parts, sync]);
const copying = fc
  .record({ isSimple: fc.boolean(), pieces: fc.array(copyOf, { maxLength: 5 }), isDone: fc.boolean() })
  .map(({ isSimple, pieces, isDone }) => {
    const sql = 'COPY lines FROM STDIN';
    const begins = isSimple ? [query(sql)] : [parse('', Buffer.from(sql), noTypes), bind('', ''), execute('')];
    return [...begins, ...pieces, isDone ? copyDone : copyFail, ...(isSimple ? [] : [sync])];
  });
const words = fc.constantFrom('BEGIN', 'COMMIT', 'ROLLBACK', 'fail', "SET application_name = 'x'", '');

const unit = fc.oneof(
  { weight: 5, arbitrary: usual },
  { weight: 3, arbitrary: again },
  { weight: 3, arbitrary: queryOf.map((one) => [one]) },
  { weight: 3, arbitrary: anyOrder },
  { weight: 2, arbitrary: copying },
  { weight: 2, arbitrary: words.map((sql) => [query(sql)]) },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: size.map((bytes) => ({ does: 'say', bytes: bytes + 1 }) as const) },
  { weight: 3, arbitrary: fc.constant({ does: 'say', bytes: 64 * KB } as const) },
  { weight: 3, arbitrary: fc.constant({ does: 'say', bytes: Infinity } as const) },
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 6 }).map((turns) => ({ does: 'wait', turns }) as const) },
  { weight: 2, arbitrary: fc.boolean().map((isReading) => ({ does: 'client reads', isReading }) as const) },
  { weight: 3, arbitrary: fc.boolean().map((isReading) => ({ does: 'servers read', isReading }) as const) },
);

/** What the last row of every conversation says. */
export const lastWords = 'the end';

/** Ends outside of any transaction. */
export const flowConversation: fc.Arbitrary<FlowConversation> = fc.record({
  messages: fc
    .array(unit, { minLength: 1, maxLength: 6 })
    .map((units) => [...units.flat(), query('ROLLBACK'), query(`SELECT '${lastWords}'`)]),
  steps: fc.array(step, { maxLength: 24 }),
});
