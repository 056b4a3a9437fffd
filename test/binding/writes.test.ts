/**
 * Which tables a write may change, through triggers, rules and foreign keys. Fails if one is missing: the cache would keep
 * stale rows.
 */
import { describe, expect, test } from 'vitest';
import { binderOf, catalog, factsOf, planOf, writesOf } from './example-catalog.ts';

describe('the write closure', () => {
  test.each<[string, string[]]>([
    ['INSERT INTO orders VALUES (1)', ['orders']],
    ['INSERT INTO users VALUES (1)', ['users']],
    ['INSERT INTO users VALUES (1) ON CONFLICT DO NOTHING', ['lines', 'orders', 'users']],
    ['UPDATE users SET a = 1', ['lines', 'orders', 'users']],
    ['DELETE FROM users', ['carts', 'lines', 'orders', 'users']],
    ['MERGE INTO users u USING lines l ON true WHEN MATCHED THEN DELETE', ['carts', 'lines', 'orders', 'users']],
    ['UPDATE orders SET a = 1', ['orders']],
    ['DELETE FROM orders', ['lines', 'orders']],
    ['WITH d AS (DELETE FROM orders RETURNING 1) INSERT INTO strict SELECT * FROM d', ['lines', 'orders', 'strict']],
    ['WITH i AS (INSERT INTO strict VALUES (1)) SELECT 1', ['strict']],
    ['TRUNCATE users', ['users']],
    ['TRUNCATE users CASCADE', ['carts', 'lines', 'orders', 'strict', 'users']],
    ['COPY orders FROM STDIN', ['orders']],
    ['INSERT INTO events_1 VALUES (1)', ['events']],
    ['INSERT INTO v VALUES (1)', ['users']],
    ['DELETE FROM vv', ['carts', 'lines', 'orders', 'users']],
    ['REFRESH MATERIALIZED VIEW m', ['m']],
    ['REFRESH MATERIALIZED VIEW CONCURRENTLY m', ['m']],
    ['REFRESH MATERIALIZED VIEW m_writer', ['*']],
    ['INSERT INTO scratch VALUES (1)', ['scratch']],
    ['INSERT INTO users SELECT now(), random(), nextval($$numbers$$)', ['users']],
    ['INSERT INTO users SELECT f_vouched()', ['users']],
    ['INSERT INTO users SELECT f_vol()', ['*']],
    ['INSERT INTO users SELECT missing()', ['*']],
    ['INSERT INTO users SELECT * FROM v_writer', ['*']],
    ['INSERT INTO missing VALUES (1)', ['*']],
    ['INSERT INTO pg_temp.t VALUES (1)', []],
    ['WITH x AS (INSERT INTO pg_temp.t VALUES (1)) INSERT INTO strict VALUES (1)', ['strict']],
    ['UPDATE touched SET a = 1', ['touched']],
    ['UPDATE audited SET a = 1', ['*']],
    ['INSERT INTO vouched_trigger VALUES (1)', ['vouched_trigger']],
    ['INSERT INTO keyed VALUES (1)', ['keyed']],
    ['INSERT INTO ruled VALUES (1)', ['*']],
    ['DELETE FROM pg_class', ['*']],
    ['SELECT f_vol()', ['*']],
    ['SELECT f_stb()', []],
    ["SELECT nextval('numbers'), set_config('a.b', 'c', true), pg_advisory_lock(1), pg_notify('a', 'b')", []],
    ["SELECT query_to_xml('DELETE FROM users', true, true, '')", ['*']],
    ['SELECT * FROM users FOR UPDATE', []],
    ['SELECT name @!@ 1 FROM users', ['*']],
    ['SELECT * FROM missing', []],
    ['CALL p()', ['*']],
    ["DO 'BEGIN END'", ['*']],
    ['EXECUTE q', ['*']],
    ['PREPARE q AS INSERT INTO users VALUES (1)', []],
    ['DECLARE c CURSOR FOR SELECT f_vol()', ['*']],
    ['DECLARE c CURSOR FOR SELECT * FROM users', []],
    ['EXPLAIN DELETE FROM users', []],
    ['EXPLAIN ANALYZE DELETE FROM orders', ['lines', 'orders']],
    ['COPY (SELECT f_vol()) TO STDOUT', ['*']],
    ["COPY (SELECT f_vol()) TO PROGRAM 'cat'", ['*']],
    ["COPY users TO '/tmp/x'", []],
    ['DROP TABLE users', ['*']],
    ['SELECT * INTO n FROM users', ['*']],
    ['CREATE TABLE n AS SELECT 1', ['*']],
    ['CREATE TEMP TABLE n AS SELECT * FROM users', []],
    ['CREATE TEMP TABLE n AS SELECT f_vol()', ['*']],
    ['SELECT * INTO TEMP n FROM users', []],
    ['GRANT SELECT ON users TO app', []],
    ['LOCK users', []],
    ['LISTEN x', []],
    ['NOTIFY x', []],
    ['VACUUM users', []],
    ['SET a.b = 1', []],
    ['SHOW a.b', []],
    ['BEGIN', []],
    ['COMMIT', []],
    ["PREPARE TRANSACTION 'x'", []],
    ["COMMIT PREPARED 'x'", ['*']],
    ['INSERT INTO orders VALUES (1); INSERT INTO strict VALUES (1)', ['orders', 'strict']],
    ['BEGIN; INSERT INTO orders VALUES (1); COMMIT', ['orders']],
    ['no such statement', ['*']],
  ])('%s', (sql, expected) => {
    expect(writesOf(planOf(sql))).toEqual(expected);
  });

  test('a text that is too long for its template counts as the worst it may be', () => {
    const long = `INSERT INTO users (${Array.from({ length: 900 }, (_, i) => `column_${i}`).join(', ')}) VALUES (1)`;
    expect(writesOf(planOf(long))).toEqual(['carts', 'lines', 'orders', 'users']);
    // Not templated: only the first keyword of it is known.
    expect(writesOf(planOf("INSERT INTO users VALUES (U&'x') ON CONFLICT (id) DO UPDATE SET a = 1"))).toEqual([
      'carts',
      'lines',
      'orders',
      'users',
    ]);
  });

  test('an unqualified target that several schemas of the path have means all of them', () => {
    const plan = binderOf().bind(factsOf('INSERT INTO users VALUES (1)'), catalog, 'tenant, public', 'app');
    expect(writesOf(plan)).toEqual(['tenant.users', 'users']);
  });
});

describe('changes of the catalog', () => {
  test.each<[string, boolean]>([
    ['CREATE TABLE n (i int)', true],
    ['ALTER TABLE users ADD a int', true],
    ['DROP VIEW v', true],
    ['CREATE INDEX ON users (id)', true],
    ['GRANT SELECT ON users TO app', true],
    ['CREATE POLICY p ON users', true],
    ['CREATE ROLE r', true],
    ['SELECT * INTO n FROM users', true],
    ['CREATE TABLE n AS SELECT 1', true],
    ['EXPLAIN ANALYZE CREATE TABLE n AS SELECT 1', true],
    ["CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = public, pg_temp AS 'SELECT 1'", true],
    ["CREATE TABLE n (a text DEFAULT 'pg_temp')", true],
    ['CREATE TEMP TABLE n (i int)', false],
    ['CREATE TEMPORARY VIEW n AS SELECT 1', false],
    ['CREATE LOCAL TEMP SEQUENCE n', false],
    ['CREATE TABLE pg_temp.n (i int)', false],
    ['SELECT * INTO TEMP n FROM users', false],
    ["DO 'BEGIN END'", true],
    ['CALL p()', true],
    ['SELECT f_ddl()', true],
    ['SELECT f_vol()', false],
    ['REFRESH MATERIALIZED VIEW m', false],
    ['TRUNCATE users', false],
    ['VACUUM', false],
    ['INSERT INTO users VALUES (1)', false],
    ['SELECT 1', false],
    ['CREATE SOMETHING NEW', true],
    ['SELECT is not SQL', false],
    ['SELECT 1; DROP TABLE users', true],
  ])('%s: %s', (sql, expected) => {
    expect(planOf(sql).changesCatalog).toBe(expected);
  });
});
