/** What happens only at the end of a transaction: deferred constraints and triggers, and errors of COMMIT and Sync. */
import { copyData, copyDone, extended, flush, parse, query, run, sync } from '../messages.ts';
import { a, atOnce, b, everywhere, script } from '../script.ts';

const make = a('CREATE TABLE t (i int UNIQUE DEFERRABLE INITIALLY DEFERRED)');
const drop = a('DROP TABLE t');
const twice = 'INSERT INTO t VALUES (1), (1)';

export const commits = [
  script(
    'a Query whose own commit fails',
    [make, a(twice), a(`SELECT 1; ${twice}; SELECT 2`), a('SELECT * FROM t'), drop],
    everywhere,
  ),
  script(
    'a batch that fails at its Sync',
    [
      make,
      a(...extended(twice), sync),
      a(...extended(twice), flush),
      a(sync),
      a(...extended('INSERT INTO t VALUES (5)'), ...extended(twice), sync, ...extended('SELECT count(*) FROM t'), sync),
      drop,
    ],
    everywhere,
  ),
  script('statements and settings of a batch that fails at its Sync', [
    make,
    a(parse('p', 'SELECT 7'), ...extended("SET work_mem = '701kB'"), ...extended(twice), sync),
    b('SHOW work_mem'),
    a(...run('p'), sync, query('SHOW work_mem')),
    drop,
  ]),
  script('COMMIT fails: by Query, by batch, in a pipeline', [
    make,
    a(`BEGIN; ${twice}`),
    a('COMMIT'),
    a(query(`BEGIN; ${twice}`), ...extended('COMMIT'), ...extended('SELECT 1'), sync, query('SELECT 2')),
    a(query(`BEGIN; SET work_mem = '701kB'; ${twice}`), query('COMMIT'), query('SHOW work_mem')),
    b('SHOW work_mem'),
    a(`BEGIN; ${twice}; COMMIT; SELECT 3`),
    a(`BEGIN; ${twice}; COMMIT AND CHAIN`),
    a('SELECT count(*) FROM t'),
    drop,
  ]),
  script('what was said in a transaction whose COMMIT fails', [
    make,
    a(`BEGIN; SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE gone (i int); LISTEN news; NOTIFY news, 'x'; ${twice}`),
    a('COMMIT'),
    b("NOTIFY news, 'y'"),
    a('SHOW TimeZone; SELECT count(*) FROM pg_listening_channels()'),
    a('SELECT * FROM gone'),
    drop,
  ]),
  script('SET CONSTRAINTS by name and its errors', [
    make,
    a('SET CONSTRAINTS t_i_key DEFERRED'),
    a('BEGIN; SET CONSTRAINTS t_i_key IMMEDIATE; INSERT INTO t VALUES (1)'),
    a('INSERT INTO t VALUES (1)'),
    a('ROLLBACK'),
    a('BEGIN; SET CONSTRAINTS nothing DEFERRED'),
    a('ROLLBACK'),
    a(`BEGIN; ${twice}; SAVEPOINT s; SET CONSTRAINTS ALL IMMEDIATE`),
    a('ROLLBACK TO s; DELETE FROM t; COMMIT'),
    b('SELECT count(*) FROM t'),
    drop,
  ]),
  script('deferred at one moment is checked at the next in a pipeline', [
    make,
    a(
      ...[query('BEGIN'), ...extended(twice), sync, ...extended('SET CONSTRAINTS ALL IMMEDIATE'), sync],
      ...[query('SELECT 1'), query('ROLLBACK'), query('SELECT count(*) FROM t')],
    ),
    drop,
  ]),
  script('COPY that a deferred constraint takes back', [
    make,
    a('COPY t FROM STDIN'),
    a(copyData('1\n1\n'), copyDone),
    a(...extended('COPY t FROM STDIN'), copyData('2\n2\n'), copyDone, sync),
    a('SELECT count(*) FROM t'),
    drop,
  ]),
  script('a trigger at the end of the transaction that speaks and sets', [
    a('CREATE TABLE t (i int)'),
    a(`CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE NOTICE 'at the end: %', NEW.i; IF NEW.i = 2 THEN RAISE EXCEPTION 'two'; END IF; RETURN NULL; END $$`),
    a(`CREATE CONSTRAINT TRIGGER tr AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION tr()`),
    a('INSERT INTO t VALUES (1); SELECT 1'),
    a(...extended('INSERT INTO t VALUES (1)'), ...extended('SELECT 1'), sync),
    a('BEGIN; INSERT INTO t VALUES (2)'),
    a('COMMIT'),
    b('SELECT * FROM t'),
    a('DROP TABLE t; DROP FUNCTION tr()'),
  ]),
  script('a cursor WITH HOLD is run at COMMIT, behind the deferred checks', [
    make,
    a(`BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT 1/0; ${twice}`),
    a('COMMIT'),
    a('BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT i FROM t; INSERT INTO t VALUES (3); COMMIT'),
    a('FETCH ALL FROM h; CLOSE h'),
    drop,
  ]),
  script(
    'serializable transactions that cannot both commit',
    [
      a('CREATE TABLE t AS SELECT i, 0 AS n FROM generate_series(1, 2) i'),
      a('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(n) FROM t'),
      b('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(n) FROM t'),
      a('UPDATE t SET n = 1 WHERE i = 1; COMMIT'),
      b('UPDATE t SET n = 1 WHERE i = 2'),
      b('ROLLBACK'),
      b('SELECT sum(n) FROM t'),
      a('DROP TABLE t'),
    ],
    atOnce,
  ),
];
