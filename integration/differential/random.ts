/**
 * Random sessions of several clients for fast-check: what people do, in any order, also where it makes no sense.
 * Nothing in them blocks another client, so that every step ends.
 */
import fc from 'fast-check';
import {
  bind,
  closePortal,
  closeStatement,
  copyData,
  copyDone,
  copyFail,
  describePortal,
  describeStatement,
  execute,
  extended,
  flush,
  functionCall,
  parse,
  query,
  run,
  sync,
  type Sent,
} from './messages.ts';
import { a, b, c, type Script, type Step, type Way } from './script.ts';
import { names, preparedTexts, statements } from './vocabulary.ts';

type Messages = fc.Arbitrary<readonly Sent[]>;
type Steps = fc.Arbitrary<readonly Step[]>;

const clients = { a, b, c };
type Name = keyof typeof clients;

const int4pl = 177;

const portals = fc.constantFrom('x', 'y');
const rowLimit = fc.integer({ min: 0, max: 3 });

/** A part of a batch: no Sync in it. */
const partOf = (sql: fc.Arbitrary<string>): Messages =>
  fc.oneof(
    { arbitrary: sql.map((text) => extended(text)), weight: 3 },
    fc.tuple(names, preparedTexts).map(([name, text]) => [parse(name, text)]),
    fc.tuple(names, preparedTexts).map(([name, text]) => [parse(name, text), ...run(name)]),
    { arbitrary: names.map((name) => run(name)), weight: 2 },
    names.map((name) => [describeStatement(name)]),
    names.map((name) => [closeStatement(name)]),
    preparedTexts.map((text) => [parse('', text)]),
    fc.constant(run('')),
    fc.constant([describeStatement('')]),
    fc.tuple(portals, names, rowLimit).map(([portal, name, rows]) => [bind(portal, name), execute(portal, rows)]),
    fc.tuple(portals, rowLimit).map(([portal, rows]) => [execute(portal, rows)]),
    portals.map((portal) => [describePortal(portal)]),
    portals.map((portal) => [closePortal(portal)]),
    fc.constant([flush]),
  );

/** By a name of its own: nothing but a COPY goes on with data. */
const startOfCopy = [parse('load', 'COPY f_w FROM STDIN'), bind('', 'load'), execute()];
/** The data of a COPY, to its end. */
const copied: Messages = fc.constantFrom(
  [copyData('4\n'), copyData('5\n'), copyDone],
  [copyData('4\n5'), copyDone],
  [copyData('x\n'), copyDone],
  [copyDone],
  [copyData('4\n'), copyFail('enough')],
);

/** What a client says in one write and then waits for: Queries, batches and pipelines of them. */
function wordsOf(sql: fc.Arbitrary<string>): Messages {
  const batch = fc.array(partOf(sql), { minLength: 1, maxLength: 4 }).map((parts) => [...parts.flat(), sync]);
  const copyBatch = copied.map((data) => [...startOfCopy, ...data, sync]);
  const one = sql.map((text) => [query(text)]);
  return fc.oneof(
    { arbitrary: one, weight: 12 },
    { arbitrary: batch, weight: 10 },
    {
      arbitrary: fc.array(sql, { minLength: 2, maxLength: 3 }).map((texts) => [query(texts.join('; '))]),
      weight: 4,
    },
    {
      arbitrary: fc.array(fc.oneof(batch, one), { minLength: 2, maxLength: 4 }).map((all) => all.flat()),
      weight: 4,
    },
    { arbitrary: fc.constantFrom('1', '2147483647').map((left) => [functionCall(int4pl, left, '2')]), weight: 1 },
    { arbitrary: copyBatch, weight: 1 },
  );
}

const name = fc.constantFrom<Name>('a', 'b', 'c');

/** A client that begins something, and what the others say before it goes on. */
function begun(says: Readonly<Record<Name, Messages>>, start: Messages, end: Messages): Steps {
  const others = fc.array(
    fc.oneof(...(['a', 'b', 'c'] as const).map((who) => says[who].map((messages) => [who, messages] as const))),
    { maxLength: 3 },
  );
  return fc
    .tuple(name, start, others, end)
    .map(([who, first, between, last]) => [
      clients[who].starts(first),
      ...between.filter(([other]) => other !== who).map(([other, messages]) => clients[other](messages)),
      clients[who](last),
    ]);
}

/** A batch that is left open behind a Flush, and its end; a COPY of which the data come later. */
function left(says: Readonly<Record<Name, Messages>>, part: Messages): Steps {
  const parts = fc.array(part, { minLength: 1, maxLength: 3 }).map((all) => all.flat());
  return fc.oneof(
    begun(
      says,
      parts.map((all) => [...all, flush]),
      parts.map((all) => [...all, sync]),
    ),
    begun(says, fc.constant([query('COPY f_w FROM STDIN')]), copied),
    begun(
      says,
      fc.constant([...startOfCopy, flush]),
      copied.map((data) => [...data, sync]),
    ),
  );
}

/** Reads only, which may run on a replica. */
const readOnly: Steps = fc
  .tuple(
    name,
    fc.constantFrom('BEGIN READ ONLY', 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'),
    fc.array(
      fc.constantFrom('SELECT name FROM f_items WHERE id = 7', 'SELECT 1', 'SELECT 1/0', 'INSERT INTO f_w VALUES (6)'),
      { maxLength: 3 },
    ),
    fc.constantFrom('COMMIT', 'ROLLBACK'),
  )
  .map(([who, begin, reads, end]) => [begin, ...reads, end].map((text) => clients[who](text)));

const startup: Readonly<Record<string, string>>[] = [
  {},
  { options: '-c bytea_output=escape -c app.z=mine', IntervalStyle: 'iso_8601' },
  { extra_float_digits: '0', application_name: 'random' },
];
const shownAtStart =
  "SELECT '\\x01'::bytea, 0.1::float8 + 0.2, '1 day'::interval, nullif(current_setting('app.z', true), '')";

/** Somebody who comes back, perhaps with settings of his own. */
const back: Steps = fc
  .tuple(name, fc.constantFrom(...startup))
  .map(([who, parameters]) => [clients[who].leaves(), clients[who].connects(parameters), clients[who](shownAtStart)]);

function stepsOf(comeAndGo: boolean): Steps {
  const sqlOf = { a: statements('a', !comeAndGo), b: statements('b', !comeAndGo), c: statements('c', !comeAndGo) };
  const says = { a: wordsOf(sqlOf.a), b: wordsOf(sqlOf.b), c: wordsOf(sqlOf.c) };
  const said = (who: Name): Steps => says[who].map((messages) => [clients[who](messages)]);
  return fc.oneof(
    { arbitrary: fc.oneof(said('a'), said('b'), said('c')), weight: 20 },
    { arbitrary: left(says, partOf(sqlOf.a)), weight: 2 },
    { arbitrary: readOnly, weight: 1 },
    ...(comeAndGo ? [{ arbitrary: back, weight: 3 }] : []),
  );
}

/** Clients that talk in any order; each may hold a server of its own. */
export const sessions: fc.Arbitrary<Script> = fc
  .tuple(
    fc.boolean().chain((comeAndGo) => fc.array(stepsOf(comeAndGo), { minLength: 1, maxLength: 25 })),
    fc.constantFrom<Way>('roomy', 'turns', 'crowded', 'session'),
  )
  .map(([steps, way]) => ({ name: 'random', steps: steps.flat(), ways: [way] }));

/** As a test would be written down: for the report of a failure. */
export function printed(script: Script): string {
  return script.steps
    .map((one) =>
      one.do === 'say'
        ? `${one.client}: ${one.messages.map(({ label }) => label).join(' / ')}${one.waits ? '' : ' ...'}`
        : `${one.client} ${one.do}s`,
    )
    .join('\n');
}
