/**
 * Sync and Flush in the middle of COPY FROM STDIN are ignored, and count again once the COPY has failed: how many
 * ReadyForQuery come depends on where in the data the mistake is.
 */
import {
  bind,
  copyData,
  copyDone,
  copyFail,
  execute,
  extended,
  flush,
  functionCall,
  parse,
  query,
  sync,
} from '../messages.ts';
import type { Sent } from '../messages.ts';
import { a, b, script } from '../script.ts';

const make = a('CREATE TABLE t (i int, x text)');
const drop = a('DROP TABLE t');
const count = a('SELECT count(*), min(i), max(i) FROM t');
const good = copyData('1\tone\n');
const bad = copyData('bad\tone\n');
const copyIn = extended('COPY t FROM STDIN');
const copyQuery = query('COPY t FROM STDIN');
/** Whoever comes next on the same server gets its own answer. */
const others = [b('SELECT 1111'), a('SELECT 2222'), count];

/** All at once; as many ReadyForQuery as PostgreSQL sends. */
const trial = (name: string, ready: number, ...messages: Sent[]) =>
  script(name, [make, a.starts(...messages), a.hears('Z', ready), ...others, drop]);

const trials = [
  trial('bad data, Sync before and after CopyDone', 2, ...copyIn, bad, sync, copyDone, sync),
  trial('bad data, two Syncs', 2, ...copyIn, bad, sync, sync),
  trial('bad data, three Syncs around CopyDone', 3, ...copyIn, bad, sync, sync, copyDone, sync),
  trial('bad data, Syncs on all sides', 3, ...copyIn, sync, bad, sync, copyDone, sync, sync),
  trial('bad data behind a Sync that is ignored', 2, ...copyIn, good, sync, bad, sync, copyDone, sync),
  trial('a row in two pieces around a Sync', 1, ...copyIn, copyData('b'), sync, copyData('ad\tx\n'), copyDone, sync),
  trial('bad data and no CopyDone', 1, ...copyIn, sync, bad, sync),
  trial('bad data and a Flush', 1, ...copyIn, bad, flush, copyDone, flush, sync),
  trial('good data, Syncs everywhere', 1, ...copyIn, sync, good, sync, copyDone, sync),
  trial('good data, Flushes everywhere', 1, ...copyIn, flush, good, flush, copyDone, flush, sync),
  trial(
    'good data, and a batch behind it',
    2,
    ...copyIn,
    good,
    sync,
    copyDone,
    ...extended('SELECT 5'),
    sync,
    query('SELECT 6'),
  ),
  trial(
    'bad data, and a batch behind it',
    3,
    ...copyIn,
    bad,
    sync,
    copyDone,
    ...extended('SELECT 5'),
    sync,
    query('SELECT 6'),
  ),
  trial('CopyFail behind a Sync', 1, ...copyIn, good, sync, copyFail('no'), sync),
  trial('a table that is not there', 3, ...extended('COPY nowhere FROM STDIN'), sync, good, sync, copyDone, sync),
  trial('Query: Sync', 1, copyQuery, good, sync, copyDone),
  trial('Query: Sync and Flush', 1, copyQuery, good, sync, flush, copyDone),
  trial('Query: Flush', 1, copyQuery, good, flush, copyDone),
  trial('Query: a Sync behind CopyDone', 2, copyQuery, good, sync, copyDone, sync),
  trial('Query: bad data and Syncs', 3, copyQuery, bad, sync, copyDone, sync),
  trial('Query: bad data and a Query behind it', 2, copyQuery, bad, copyDone, query('SELECT 6')),
  trial(
    'Query: a table that is not there',
    3,
    query('COPY nowhere FROM STDIN'),
    good,
    sync,
    copyDone,
    query('SELECT 6'),
  ),
  trial(
    'Query: two COPYs, the second fails',
    3,
    ...[query('COPY t FROM STDIN; COPY t FROM STDIN'), good, sync, copyDone, bad, sync, sync, copyDone],
  ),
  trial('in a block', 4, query('BEGIN'), ...copyIn, bad, sync, copyDone, sync, query('ROLLBACK')),
];

/** What fails in a batch whose Sync has not come. */
const failing: Readonly<Record<string, readonly Sent[]>> = {
  Parse: [parse('', 'selec')],
  Execute: extended('SELECT 1/0'),
  Bind: [bind('', 'nowhere')],
  'Execute of no portal': [execute('nowhere')],
  nothing: extended('SELECT 1'),
};
/** ReadyForQuery if that has failed, and if not; 0: left out, as PostgreSQL itself refuses the next statement then. */
const behind: Readonly<Record<string, readonly [ready: number, ready: number, messages: readonly Sent[]]>> = {
  'a Query': [1, 0, [query('SELECT 1'), sync]],
  'a Query and Flush': [1, 0, [query('SELECT 1'), flush, sync]],
  'two Queries': [1, 0, [query('SELECT 1'), query('SELECT 2'), sync]],
  'a Query and a batch': [1, 2, [query('SELECT 1'), ...extended('SELECT 2'), sync]],
  'a Query that declares a cursor': [1, 2, [query('SELECT 1'), parse('', 'SELECT 3'), sync]],
  'a FunctionCall and a batch': [1, 2, [functionCall(177, '1', '2'), bind('', ''), execute(), sync]],
  'a COPY': [1, 0, [query('COPY t FROM STDIN'), good, copyDone, flush, sync]],
};

const skipped = Object.entries(failing).flatMap(([what, first]) =>
  Object.entries(behind).flatMap(([name, [ifFailed, ifDone, messages]]) => {
    const ready = what === 'nothing' ? ifDone : ifFailed;
    const steps = [make, a.starts(...first, ...messages), a.hears('Z', ready), ...others, drop];
    return ready === 0 ? [] : [script(`${name} behind an error in a batch: ${what}`, steps)];
  }),
);

export const copySyncs = [
  ...trials,
  script('a trigger that fails before any data', [
    make,
    a("CREATE FUNCTION f_no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$"),
    a('CREATE TRIGGER no BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION f_no()'),
    a.starts(...copyIn, sync),
    a.hears('Z'),
    a.starts(...copyIn, good, copyDone, sync),
    a.hears('Z'),
    ...others,
    drop,
    a('DROP FUNCTION f_no'),
  ]),
  ...skipped,
];
