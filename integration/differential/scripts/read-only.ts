/** READ ONLY transactions, which begin on a replica and may ask for what only a primary has. */
import { bind, describePortal, execute, extended, parse, query, sync } from '../messages.ts';
import { a, atOnce, b, script } from '../script.ts';

export const readOnly = [
  script('reads and what is refused', [
    a('BEGIN READ ONLY'),
    a('SELECT count(*) FROM f_items'),
    a('INSERT INTO f_w VALUES (1)'),
    a('SELECT 1'),
    a('ROLLBACK'),
    a('SELECT count(*) FROM f_w'),
  ]),
  script(
    'LISTEN is heard',
    [a('BEGIN READ ONLY'), a('LISTEN news'), a('COMMIT'), b("NOTIFY news, 'one'"), a.hears('A'), a('UNLISTEN news')],
    atOnce,
  ),
  script('NOTIFY', [a('BEGIN READ ONLY'), a("NOTIFY nobody, 'x'"), a('COMMIT'), a('SELECT 1')]),
  script('a temporary table', [
    a('START TRANSACTION READ ONLY'),
    a('CREATE TEMP TABLE ro_t (i int) ON COMMIT DROP'),
    a('INSERT INTO ro_t VALUES (1), (2)'),
    a('SELECT sum(i) FROM ro_t'),
    a('INSERT INTO f_w VALUES (1)'),
    a('ROLLBACK'),
    a('SELECT 1'),
  ]),
  script('READ WRITE after all', [
    a('BEGIN READ ONLY'),
    a('SET TRANSACTION READ WRITE'),
    a('INSERT INTO f_w VALUES (7)'),
    a('COMMIT'),
    a('SELECT * FROM f_w'),
  ]),
  script('another isolation level', [
    a('BEGIN TRANSACTION READ ONLY'),
    a('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'),
    a('SHOW transaction_isolation'),
    a('SHOW transaction_read_only'),
    a('COMMIT'),
  ]),
  script('with settings of its own', [
    a("SET TimeZone = 'Asia/Tokyo'"),
    a('BEGIN READ ONLY'),
    a('CREATE TEMP TABLE ro_z AS SELECT 1 AS i'),
    a("SELECT '2024-01-01 00:00+00'::timestamptz FROM ro_z"),
    a("SET LOCAL TimeZone = 'UTC'"),
    a("SELECT '2024-01-01 00:00+00'::timestamptz"),
    a('ROLLBACK'),
    a('SHOW TimeZone'),
  ]),
  script('in the extended protocol', [
    a('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'),
    a(parse('', 'CREATE TEMP TABLE ro_e (i int)'), bind('', ''), describePortal(''), execute(), sync),
    a(...extended('SELECT count(*) FROM ro_e'), sync),
    a('ROLLBACK'),
    a(...extended('SELECT 1'), sync),
  ]),
  script('said in one go', [
    a(
      query('BEGIN READ ONLY'),
      query('CREATE TEMP TABLE ro_p (i int)'),
      query('SELECT * FROM ro_p'),
      query('ROLLBACK'),
    ),
    a('SELECT 1'),
  ]),
  script('an error first, then nothing', [
    a('BEGIN READ ONLY'),
    a('LISTEN'),
    a('LISTEN news'),
    a('ROLLBACK'),
    a('SELECT 1'),
  ]),
  script('what a replica does as well stays there', [
    a('BEGIN READ ONLY'),
    a("SET LOCAL statement_timeout = '5s'"),
    a('SHOW statement_timeout'),
    a('DECLARE c CURSOR FOR SELECT id FROM f_items ORDER BY id'),
    a('FETCH 2 FROM c'),
    a('CLOSE c'),
    a('COMMIT AND CHAIN'),
    a('SELECT 1'),
    a('COMMIT'),
  ]),
];
