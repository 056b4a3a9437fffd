/**
 * Random sessions of several clients for fast-check: what people do, in any order, also where it makes no sense.
 * Nothing in them blocks another client, so that every step ends.
 */
import fc from 'fast-check';
import {
  bind,
  closePortal,
  closeStatement,
  describeStatement,
  execute,
  extended,
  flush,
  parse,
  query,
  run,
  sync,
  type Sent,
} from './messages.ts';
import { a, b, c, type Script, type Step, type Way, type Words } from './script.ts';

const clients = { a, b, c };

const pick = (...values: string[]): fc.Arbitrary<string> => fc.constantFrom(...values);

const values: Readonly<Record<string, readonly string[]>> = {
  work_mem: ["'701kB'", "'702kB'", 'DEFAULT', "'nonsense'"],
  TimeZone: ["'Asia/Tokyo'", "'Europe/Rome'", 'DEFAULT'],
  DateStyle: ["'German'", "'SQL, DMY'", 'ISO'],
  search_path: ['f_one', 'f_two, public', 'public, f_one', 'DEFAULT'],
  'app.y': ["'one'", "'two'", 'DEFAULT'],
};
const setting = fc.constantFrom(...Object.keys(values));

const settingSql = setting.chain((name) =>
  fc.oneof(
    fc.constantFrom(...(values[name] as string[])).map((value) => `SET ${name} = ${value}`),
    fc.constantFrom(...(values[name] as string[])).map((value) => `SET LOCAL ${name} = ${value}`),
    fc.constant(`RESET ${name}`),
    fc.constant(`SELECT nullif(current_setting('${name}', true), '')`),
    fc.constant(`SELECT nullif(current_setting('${name}', true), '')`),
    fc.boolean().map((isLocal) => `SELECT set_config('${name}', 'public', ${String(isLocal)})`),
  ),
);

const transactionSql = pick(
  'BEGIN',
  'BEGIN',
  'COMMIT',
  'COMMIT',
  'ROLLBACK',
  'ROLLBACK',
  'SAVEPOINT one',
  'SAVEPOINT two',
  'ROLLBACK TO one',
  'ROLLBACK TO two',
  'RELEASE one',
  'COMMIT AND CHAIN',
  'BEGIN READ ONLY',
  'BEGIN ISOLATION LEVEL REPEATABLE READ',
);

const plainSql = pick(
  'SELECT 1',
  'SELECT 1/0',
  'SELEC',
  '',
  'SELECT count(*) FROM f_w',
  'SELECT name FROM f_items WHERE id = 7',
  'SELECT * FROM f_twin',
  'INSERT INTO f_w VALUES (1)',
  'INSERT INTO f_w VALUES (2) RETURNING i',
  "SELECT '2020-01-02'::date, '2020-01-02 00:00+00'::timestamptz",
  'SELECT current_user',
);

const stateSql = pick(
  'CREATE TEMP TABLE tmp (i int)',
  'CREATE TEMP TABLE tmp (i int) ON COMMIT DROP',
  'INSERT INTO tmp VALUES (1)',
  'SELECT count(*) FROM tmp',
  'DROP TABLE tmp',
  'DECLARE h CURSOR WITH HOLD FOR SELECT id FROM f_items ORDER BY id',
  'DECLARE h CURSOR FOR SELECT id FROM f_items ORDER BY id',
  'FETCH 2 FROM h',
  'CLOSE h',
  'SELECT pg_try_advisory_lock(9)',
  'SELECT pg_advisory_unlock(9)',
  'SELECT pg_try_advisory_xact_lock(9)',
  'LISTEN news',
  'UNLISTEN *',
  'SET ROLE differential_role',
  'RESET ROLE',
  'RESET ALL',
  'DISCARD ALL',
  'DISCARD TEMP',
  'DEALLOCATE ALL',
);

const name = pick('p', 'q', 'r');
const preparedText = pick(
  'SELECT 1',
  'SELECT count(*) FROM f_w',
  'SELECT name FROM f_items WHERE id < 4 ORDER BY id',
  'INSERT INTO f_w VALUES (3)',
  'SELECT * FROM f_twin',
  "SELECT '01/02/2020'::date",
  'SELECT 1/0',
  'SELEC',
  "SET work_mem = '703kB'",
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
);
const namesSql = fc.oneof(
  name.map((one) => `DEALLOCATE ${one}`),
  name.map((one) => `EXECUTE ${one}`),
  fc.tuple(name, pick('SELECT 5', 'SELECT count(*) FROM f_w')).map(([one, sql]) => `PREPARE ${one} AS ${sql}`),
);

const sql = fc.oneof(
  { arbitrary: plainSql, weight: 5 },
  { arbitrary: settingSql, weight: 5 },
  { arbitrary: transactionSql, weight: 5 },
  { arbitrary: stateSql, weight: 3 },
  { arbitrary: namesSql, weight: 2 },
);

const part: fc.Arbitrary<readonly Sent[]> = fc.oneof(
  sql.map((text) => extended(text)),
  fc.tuple(name, preparedText).map(([one, text]) => [parse(one, text)]),
  fc.tuple(name, preparedText).map(([one, text]) => [parse(one, text), ...run(one)]),
  name.map((one) => run(one)),
  name.map((one) => run(one)),
  name.map((one) => [describeStatement(one)]),
  name.map((one) => [closeStatement(one)]),
  preparedText.map((text) => [parse('', text)]),
  fc.constant(run('')),
  fc.constant([describeStatement('')]),
  fc
    .tuple(pick('x', 'y'), name, fc.integer({ min: 0, max: 3 }))
    .map(([portal, one, rows]) => [bind(portal, one), execute(portal, rows)]),
  fc.tuple(pick('x', 'y'), fc.integer({ min: 0, max: 3 })).map(([portal, rows]) => [execute(portal, rows)]),
  pick('x', 'y').map((portal) => [closePortal(portal)]),
  fc.constant([flush]),
);

const batch = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => [...parts.flat(), sync]);

const words: fc.Arbitrary<Words[]> = fc.oneof(
  { arbitrary: sql.map((text) => [text]), weight: 6 },
  { arbitrary: batch.map((messages) => [messages]), weight: 5 },
  { arbitrary: fc.array(sql, { minLength: 2, maxLength: 3 }).map((texts) => [texts.join('; ')]), weight: 2 },
  {
    arbitrary: fc
      .array(
        fc.oneof(
          batch,
          sql.map((text) => [query(text)]),
        ),
        { minLength: 2, maxLength: 4 },
      )
      .map((all) => [all.flat()]),
    weight: 2,
  },
);

const step = fc.tuple(fc.constantFrom('a', 'b', 'c'), words).map(([who, what]): Step => {
  const client = clients[who as keyof typeof clients];
  return client(...what);
});

/** Clients that talk in any order; each may hold a server of its own. */
export const sessions: fc.Arbitrary<Script> = fc
  .tuple(fc.array(step, { minLength: 1, maxLength: 25 }), fc.constantFrom<Way>('roomy', 'crowded', 'session'))
  .map(([steps, way]) => ({ name: 'random', steps: [a('DELETE FROM f_w WHERE false'), ...steps], ways: [way] }));

/** As a test would be written down: for the report of a failure. */
export function printed(script: Script): string {
  return script.steps
    .map((one) => (one.do === 'say' ? `${one.client}: ${one.messages.map(({ label }) => label).join(' / ')}` : one.do))
    .join('\n');
}
