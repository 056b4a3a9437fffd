/** Functions, procedures and DO blocks: what they keep, set and make, and FunctionCall of what changes the session. */
import { execute, extended, functionCall, parse, query, raw, run, sync } from '../messages.ts';
import { a, atOnce, b, script } from '../script.ts';

const set_config = 2078;
const pg_try_advisory_lock = 2882;
const pg_advisory_unlock = 2884;

export const functions = [
  script(
    'FunctionCall of set_config',
    [
      a(functionCall(set_config, 'work_mem', '701kB', 'f')),
      b('SHOW work_mem'),
      a('SHOW work_mem'),
      a('BEGIN'),
      a(functionCall(set_config, 'work_mem', '702kB', 't')),
      a('COMMIT'),
      a('SHOW work_mem'),
    ],
    ['session'],
  ),
  script('FunctionCall of set_config leaks to nobody', [
    a(functionCall(set_config, 'work_mem', '701kB', 'f')),
    b('SHOW work_mem'),
  ]),
  script('FunctionCall of what locks for a transaction', [
    a('BEGIN'),
    a(functionCall(pg_try_advisory_lock, '7301'), functionCall(pg_advisory_unlock, '7301')),
    a('COMMIT'),
    b('SELECT pg_try_advisory_xact_lock(7301)'),
  ]),
  script('plans of a function in another search_path', [
    a(`CREATE FUNCTION g() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT a::text FROM f_twin); END $$`),
    a('SET search_path = f_one, public'),
    a('SELECT g()'),
    b('SET search_path = f_two, public'),
    b('SELECT g()'),
    a('SELECT g()'),
    b('SELECT g()'),
    a('RESET search_path'),
    a('SELECT g()'),
    a('DROP FUNCTION g()'),
  ]),
  script(
    'a function that makes and drops temporary tables, again and again',
    [
      a('SELECT f_temp_again()'),
      b('SELECT * FROM again'),
      a('SELECT * FROM again'),
      a(...extended('SELECT f_temp_again()'), sync),
      a('BEGIN; DROP TABLE again; ROLLBACK'),
      a('SELECT * FROM again'),
      a('DISCARD ALL'),
      a('SELECT * FROM again'),
    ],
    ['roomy', 'session'],
  ),
  script(
    'DO that makes a temporary table ON COMMIT DROP, by EXECUTE',
    [
      a("DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE do_tmp (i int) ON COMMIT DROP'; INSERT INTO do_tmp VALUES (1); END $$"),
      a('SELECT * FROM do_tmp'),
      a("BEGIN; DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE do_tmp (i int) ON COMMIT DROP'; END $$"),
      a('SELECT count(*) FROM do_tmp'),
      b('SELECT count(*) FROM do_tmp'),
      a('COMMIT'),
      a('SELECT count(*) FROM do_tmp'),
    ],
    atOnce,
  ),
  script(
    'DO that listens, notifies and locks',
    [
      a("DO $$ BEGIN LISTEN do_news; PERFORM pg_notify('do_news', 'x'); PERFORM pg_advisory_lock(7302); END $$"),
      b('SELECT pg_try_advisory_lock(7302)'),
      a('SELECT pg_listening_channels()'),
      a('SELECT pg_advisory_unlock(7302); UNLISTEN *'),
      b('SELECT pg_try_advisory_xact_lock(7302)'),
    ],
    atOnce,
  ),
  script(
    'a subtransaction in PL/pgSQL takes its settings and tables back',
    [
      a(`DO $$ BEGIN
           BEGIN SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE undone (i int); RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END;
           SET DateStyle = German; END $$`),
      b('SHOW TimeZone; SHOW DateStyle'),
      a('SHOW TimeZone; SHOW DateStyle'),
      a('SELECT * FROM undone'),
    ],
    atOnce,
  ),
  script('what DO and CALL may not', [
    a('CREATE PROCEDURE pr() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO f_w VALUES (1); COMMIT; SELECT 1/0; END $$'),
    a('CALL pr()'),
    b('SELECT count(*) FROM f_w'),
    a('BEGIN; CALL pr()'),
    a('ROLLBACK'),
    a('DO $$ BEGIN ROLLBACK; INSERT INTO f_w VALUES (2); END $$'),
    a(...extended('SELECT 1'), ...extended('CALL pr()'), sync),
    b('SELECT count(*) FROM f_w'),
    a('SELECT pr()'),
    a('DROP PROCEDURE pr()'),
  ]),
  script('CALL with INOUT, described and run as a statement', [
    a('CREATE PROCEDURE pr(INOUT i int, x text) LANGUAGE plpgsql AS $$ BEGIN i := i + length(x); END $$'),
    a('CALL pr(1, $$abc$$)'),
    a(parse('c', 'CALL pr($1, $2)'), ...run('c', '2', 'ab'), sync),
    b('SELECT 1'),
    a(...run('c', '3', 'a'), sync),
    a('CALL pr(1)'),
    a('DROP PROCEDURE pr'),
  ]),
  script('errors from deep inside, with their context', [
    a("CREATE FUNCTION g1(i int) RETURNS int LANGUAGE sql AS 'SELECT 1 / i'"),
    a('CREATE FUNCTION g2(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN g1(i) + g1(i - 1); END $$'),
    a('SELECT g2(2), g2(1)'),
    a(...extended('SELECT g2($1)', '1'), sync),
    a("DO $$ BEGIN EXECUTE 'SELEC'; END $$"),
    a("DO $$ BEGIN RAISE SQLSTATE 'XX123' USING MESSAGE = 'own', TABLE = 't', COLUMN = 'c', SCHEMA = 's'; END $$"),
    a('SELECT 1'),
    a('DROP FUNCTION g2(int), g1(int)'),
  ]),
  script('a set of rows from a function, fetched in parts', [
    a('BEGIN'),
    a(
      parse('', 'SELECT i, f_raise() FROM generate_series(1, 4) i'),
      ...run('').slice(0, 1),
      execute('', 2),
      execute('', 1),
      sync,
    ),
    a(execute('', 2), sync),
    a('COMMIT'),
  ]),
  script('a function cancels its own statement', [
    a('SELECT pg_cancel_backend(pg_backend_pid())'),
    a(query('BEGIN'), query('SELECT pg_cancel_backend(pg_backend_pid())'), query('SELECT 1'), query('ROLLBACK')),
    a(...extended('SELECT pg_cancel_backend(pg_backend_pid())'), ...extended('SELECT 1'), sync),
    b('SELECT 1'),
  ]),
  script('a message of the protocol with a letter that it does not have', [
    a(raw('D', Buffer.from('Xname\0')), sync),
    a(raw('C', Buffer.from('Xname\0')), sync),
    a('SELECT 1'),
  ]),
];
