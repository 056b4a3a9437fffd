/**
 * What a client of a random session says: single statements, by subject. Nothing in them blocks another client, nothing
 * is told to another one (what comes on its own comes at no fixed place), and nothing is of docs/what-differs.md.
 */
import fc from 'fast-check';

type Sql = fc.Arbitrary<string>;

const pick = (...values: string[]): Sql => fc.constantFrom(...values);

const values: Readonly<Record<string, readonly string[]>> = {
  work_mem: ["'701kB'", "'702kB'", 'DEFAULT', "'nonsense'"],
  TimeZone: ["'Asia/Tokyo'", "'Europe/Rome'", 'DEFAULT'],
  DateStyle: ["'German'", "'SQL, DMY'", 'ISO'],
  search_path: ['f_one', 'f_two, public', 'public, f_one', 'DEFAULT'],
  'app.y': ["'one'", "'two'", 'DEFAULT'],
};

const settings = fc.constantFrom(...Object.keys(values)).chain((name) => {
  const value = fc.constantFrom(...(values[name] as string[]));
  const shown = `nullif(current_setting('${name}', true), '')`;
  return fc.oneof(
    value.map((one) => `SET ${name} = ${one}`),
    value.map((one) => `SET LOCAL ${name} = ${one}`),
    fc.constant(`RESET ${name}`),
    fc.constant(`SELECT ${shown}`),
    fc.constant(`SELECT ${shown}`),
    fc.boolean().map((isLocal) => `SELECT set_config('${name}', 'public', ${String(isLocal)})`),
  );
});

/** Settings that no text tells: changed in functions and procedures, and taken back there. */
const hiddenSettings = pick(
  "SELECT f_set('work_mem', '703kB')",
  "SELECT f_set('search_path', 'f_two')",
  "SELECT f_set('app.y', 'three')",
  "SELECT f_set('work_mem', 'nonsense')",
  "DO $$ BEGIN SET work_mem = '704kB'; END $$",
  "DO $$ BEGIN SET LOCAL TimeZone = 'Europe/Rome'; END $$",
  "DO $$ BEGIN SET TimeZone = 'Europe/Rome'; PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN SET work_mem = '705kB'; END $$",
  'CALL f_commit()',
);

const transactions = pick(
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
  'ROLLBACK AND CHAIN',
  'BEGIN ISOLATION LEVEL REPEATABLE READ',
  'SHOW transaction_isolation',
  'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE',
  'SET CONSTRAINTS ALL DEFERRED',
  'SET CONSTRAINTS ALL IMMEDIATE',
  'INSERT INTO f_child VALUES (99)',
  'INSERT INTO f_child VALUES (7)',
);

const twoPhases = (client: string): Sql =>
  pick(
    `PREPARE TRANSACTION 'f_${client}'`,
    `PREPARE TRANSACTION 'f_${client}'`,
    `COMMIT PREPARED 'f_${client}'`,
    `ROLLBACK PREPARED 'f_${client}'`,
    'SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY 1',
  );

const plain = pick(
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
  'SELECT current_user, session_user',
  'SELECT f_raise()',
  'SELECT pg_current_xact_id_if_assigned() IS NULL',
  "SELECT nextval('f_seq')",
  'COPY (SELECT i FROM f_w ORDER BY i) TO STDOUT',
  'COPY (SELECT 1 / (3 - id) FROM f_items ORDER BY id) TO STDOUT',
);

const temporaryObjects = pick(
  'CREATE TEMP TABLE tmp (i int)',
  'CREATE TEMP TABLE tmp (i int) ON COMMIT DROP',
  'CREATE TEMP TABLE tmp (i int) ON COMMIT DELETE ROWS',
  'INSERT INTO tmp VALUES (1)',
  'SELECT count(*) FROM tmp',
  'DROP TABLE tmp',
  'SELECT f_temp()',
  'SELECT count(*) FROM made_in_function',
  'DROP TABLE made_in_function',
  'CREATE TEMP TABLE f_twin AS SELECT 7 AS a',
);

const cursors = pick(
  'DECLARE h CURSOR WITH HOLD FOR SELECT id FROM f_items ORDER BY id',
  'DECLARE h CURSOR WITH HOLD FOR SELECT 1 / (3 - id) FROM f_items ORDER BY id',
  'DECLARE h SCROLL CURSOR FOR SELECT id FROM f_items ORDER BY id',
  'FETCH 2 FROM h',
  'FETCH BACKWARD 1 FROM h',
  'MOVE 1 IN h',
  'CLOSE h',
  'CLOSE ALL',
  'FETCH 1 FROM x',
  'CLOSE x',
  'SELECT name, is_holdable FROM pg_cursors WHERE name IN ($$h$$, $$x$$, $$y$$) ORDER BY 1',
);

const largeObjects = pick(
  'SELECT lo_open(lo_create(0), 393216)',
  "SELECT lowrite(0, 'abc')",
  'SELECT lo_lseek(0, 0, 0)',
  'SELECT loread(0, 2)',
  'SELECT lo_close(0)',
);

/** Locks of a session are gone a moment after their client has: none where clients leave. */
const locks = pick(
  'SELECT pg_try_advisory_lock(9)',
  'SELECT pg_try_advisory_lock_shared(9)',
  'SELECT pg_advisory_unlock(9)',
  'SELECT pg_advisory_unlock_all()',
  'SELECT pg_try_advisory_xact_lock(9)',
);

const channels = (client: string): Sql =>
  pick(`LISTEN news_${client}`, `NOTIFY news_${client}, 'x'`, 'UNLISTEN *', 'SELECT pg_listening_channels()');

const roles = pick(
  'SET ROLE differential_role',
  'SET LOCAL ROLE differential_role',
  'RESET ROLE',
  'SET SESSION AUTHORIZATION app',
  'RESET SESSION AUTHORIZATION',
);

const clearances = pick('RESET ALL', 'DISCARD ALL', 'DISCARD TEMP', 'DISCARD PLANS', 'DEALLOCATE ALL');

/** Names of prepared statements, of SQL and of the protocol. */
export const names = pick('p', 'q', 'r');

const sqlStatements = fc.oneof(
  names.map((one) => `DEALLOCATE ${one}`),
  names.map((one) => `EXECUTE ${one}`),
  fc
    .tuple(names, pick('SELECT 5', 'SELECT count(*) FROM f_w', 'SELECT * FROM f_twin'))
    .map(([one, text]) => `PREPARE ${one} AS ${text}`),
  fc.constant('SELECT name, from_sql FROM pg_prepared_statements ORDER BY 1'),
);

/** What is prepared under them by Parse. */
export const preparedTexts = pick(
  'SELECT 1',
  'SELECT count(*) FROM f_w',
  'SELECT name FROM f_items WHERE id < 4 ORDER BY id',
  'INSERT INTO f_w VALUES (3)',
  'SELECT * FROM f_twin',
  "SELECT '01/02/2020'::date",
  'SELECT 1/0',
  'SELEC',
  "SET work_mem = '703kB'",
  "SELECT set_config('app.y', 'four', false)",
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT one',
  'ROLLBACK TO one',
  'FETCH 1 FROM h',
  'COPY (SELECT i FROM f_w ORDER BY i) TO STDOUT',
);

/** Any statement of one client. */
export function statements(client: string, hasLocks: boolean): Sql {
  return fc.oneof(
    { arbitrary: plain, weight: 6 },
    { arbitrary: settings, weight: 6 },
    { arbitrary: transactions, weight: 6 },
    { arbitrary: hiddenSettings, weight: 1 },
    { arbitrary: sqlStatements, weight: 2 },
    { arbitrary: temporaryObjects, weight: 1 },
    { arbitrary: cursors, weight: 2 },
    { arbitrary: channels(client), weight: 1 },
    { arbitrary: largeObjects, weight: 1 },
    { arbitrary: twoPhases(client), weight: 1 },
    { arbitrary: roles, weight: 1 },
    { arbitrary: clearances, weight: 1 },
    ...(hasLocks ? [{ arbitrary: locks, weight: 1 }] : []),
  );
}
