/**
 * Statements over the schema of schema.ts and what Weir must make of them. `cached`: a read whose answer may be kept;
 * `read`: may run on a standby; `primary`: neither. Every one of them is valid SQL there.
 */
export type Expected = 'cached' | 'read' | 'primary';

/** One statement a line (`;;` between those that span several). */
function lines(text: string): readonly string[] {
  return text
    .split(/;;|\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

export const CACHED = lines(`
SELECT * FROM users
SELECT id, name FROM users WHERE id = 1 ORDER BY name LIMIT 5
SELECT count(*) FROM users
SELECT count(*), sum(total), avg(total), min(total) FROM orders
SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE o.total > 5
SELECT u.name FROM users u LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id LIMIT 1) x ON true
SELECT * FROM users WHERE id IN (SELECT user_id FROM orders WHERE total > 3)
SELECT * FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)
WITH big AS (SELECT * FROM orders WHERE total > 10) SELECT user_id, count(*) FROM big GROUP BY user_id
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t JOIN users ON users.id = t.n
TABLE users
SELECT * FROM public.users
SELECT * FROM tenant.users
SELECT sku, price FROM shop.items WHERE sku = 'a'
SELECT "Some Column" FROM "Odd Name"
SELECT * FROM events
SELECT * FROM events WHERE at = '2023-05-05'
SELECT * FROM events_2024
SELECT * FROM events_2024_a
SELECT * FROM animals
SELECT * FROM ONLY animals
SELECT * FROM cats
SELECT * FROM robocats
SELECT * FROM v_users
SELECT * FROM v_nested WHERE name LIKE 'user%'
SELECT * FROM m_totals
SELECT * FROM v_matview
SELECT m.total, u.name FROM m_totals m JOIN users u ON u.id = m.user_id
SELECT f_immutable(id) FROM users
SELECT upper(name), length(name), substring(name from 1 for 2), trim(name), position('s' in name) FROM users
SELECT to_char(created, 'YYYY-MM-DD'), date_trunc('day', created), extract(year from created) FROM users
SELECT created::date, created::text, created AT TIME ZONE 'UTC' FROM users
SELECT id::text, id::bigint, '1'::int, 'x'::varchar(10), 1.5::numeric(10,2), 'a'::char(3), ARRAY[1,2]::int[] FROM users
SELECT 'happy'::mood FROM users
SELECT id::positive FROM users
SELECT '[1,2]'::span FROM users
SELECT doc -> 'a' -> 'b', doc ->> 'a', doc #>> '{a,b}', doc @> '{"a": 1}', doc ? 'a' FROM users
SELECT tags || ARRAY['c'], tags && ARRAY['a'], 'a' = ANY (tags), tags[1], array_length(tags, 1), unnest(tags) FROM users
SELECT name || ' ' || email, name || id FROM users
SELECT json_agg(u), jsonb_agg(name), json_build_object('id', id), to_jsonb(u), row_to_json(u) FROM users u GROUP BY u.id, u
SELECT string_agg(name, ',' ORDER BY id), array_agg(id) FROM users
SELECT name, row_number() OVER (ORDER BY id), lag(id) OVER w, rank() OVER w FROM users WINDOW w AS (ORDER BY name)
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY user_id) FROM orders
SELECT user_id, sum(total) FROM orders GROUP BY ROLLUP (user_id) HAVING sum(total) > 1
SELECT coalesce(name, 'x'), nullif(id, 1), greatest(id, 2), least(id, 2), CASE WHEN id > 1 THEN 'a' ELSE 'b' END FROM users
SELECT created + interval '1 day', created - interval '1 hour', age(created, created) FROM users
SELECT * FROM users WHERE created BETWEEN '2024-01-01' AND '2024-02-01'
SELECT * FROM users WHERE name ILIKE 'U%' OR name SIMILAR TO 'u%' OR name ~ '^u' OR name LIKE 'x!%' ESCAPE '!'
SELECT * FROM users WHERE (id, name) IN ((1, 'user1'), (2, 'user2')) AND id IS DISTINCT FROM 3
SELECT id FROM users UNION SELECT user_id FROM orders EXCEPT SELECT 3
SELECT * FROM generate_series(1, 3) g JOIN users ON users.id = g
SELECT to_tsvector('english', name) @@ to_tsquery('english', 'user1') FROM users
SELECT (VALUES (1)), id FROM users
SELECT count(*) FILTER (WHERE id > 3) FROM users
SELECT md5(name), encode(sha256(name::bytea), 'hex'), hashtext(name) FROM users
SELECT format('%s-%s', id, name), concat(id, name), quote_literal(name) FROM users
SELECT agg_adds(id) FROM users
SELECT * FROM m_pure, mixed_logged
SELECT f_variadic(1, 2, 3) FROM users
SELECT pg_size_pretty(id::bigint) FROM users
`);

export const READS = lines(`
SELECT 1
SELECT 1 + 1 AS two, 'x' || 'y'
VALUES (1, 'a'), (2, 'b')
SELECT now(), statement_timestamp(), transaction_timestamp()
SELECT CURRENT_DATE, CURRENT_TIMESTAMP, LOCALTIME
SELECT current_user, session_user, current_schema, current_database()
SELECT id FROM users WHERE created < now()
SELECT id FROM users WHERE created < CURRENT_DATE
SELECT id FROM users WHERE created > 'yesterday'
SELECT 'now'::timestamptz FROM users
SELECT random(), id FROM users
SELECT * FROM users ORDER BY random() LIMIT 1
SELECT clock_timestamp(), timeofday()
SELECT gen_random_uuid()
SELECT pg_sleep(0)
SELECT f_stable(1)
SELECT f_stable(id) FROM users
SELECT f_stable_plpgsql()
SELECT * FROM f_set()
SELECT full_name(u) FROM users u
SELECT age(created) FROM users
SELECT * FROM v_time
SELECT * FROM v_today
SELECT * FROM v_sample
SELECT * FROM v_random
SELECT * FROM users TABLESAMPLE SYSTEM (50)
SELECT * FROM secrets
SELECT * FROM v_secrets
SELECT * FROM tenants
SELECT * FROM v_tenant
SELECT pg_typeof(id) FROM users
SELECT name @?@ 1 FROM users
SELECT has_table_privilege('users', 'SELECT')
SELECT obj_description(1, 'pg_class'), format_type(23, NULL), to_regclass('users')
SELECT 'users'::regclass
SELECT '(1,x)'::pair
SELECT current_setting('app.user', true)
SELECT current_setting('TimeZone')
SELECT pg_get_viewdef('v_users'::regclass)
SELECT pg_table_is_visible('users'::regclass)
SELECT currtid FROM (SELECT 1 AS currtid) x
SELECT generate_series(1, 3)
SELECT * FROM generate_series(now(), now() + interval '1 day', interval '1 hour')
EXPLAIN ANALYZE SELECT * FROM users
EXPLAIN (ANALYZE, VERBOSE, FORMAT JSON) SELECT count(*) FROM orders
COPY users TO STDOUT
COPY (SELECT * FROM orders WHERE total > 3) TO STDOUT WITH (FORMAT csv)
SELECT 1; SELECT count(*) FROM users
SELECT agg_adds(1)
SELECT jsonb_populate_record(NULL::pair, '{"a": 1}')
SELECT ts_headline('english', name, to_tsquery('english', 'user1')), json_object_agg(id, created) FROM users GROUP BY name HAVING now() > '2020-01-01'
SELECT current_schemas(true), f_immutable(1)
SELECT * FROM users WHERE id = (SELECT f_stable(0) - 20)
`);

export const PRIMARY = lines(`
INSERT INTO users (id, name) VALUES (100, 'x')
INSERT INTO users (id, name) SELECT id + 200, name FROM users RETURNING id
INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO NOTHING
INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name
INSERT INTO users (id, name) VALUES (15, 'x') ON CONFLICT (id) DO UPDATE SET id = 1000
UPDATE users SET name = 'y' WHERE id = 1
UPDATE users SET id = id + 1000 WHERE id = 15
UPDATE orders SET total = u.id FROM users u WHERE u.id = orders.user_id
DELETE FROM users WHERE id = 2
DELETE FROM users USING orders WHERE orders.user_id = users.id AND orders.id = 7
DELETE FROM orders WHERE id = 1
DELETE FROM order_lines
DELETE FROM ONLY animals
DELETE FROM animals
UPDATE animals SET name = 'x'
UPDATE robots SET model = 'y'
INSERT INTO robocats VALUES ('n', 1, 'm')
INSERT INTO events VALUES (9, '2024-07-07', 'a')
INSERT INTO events_2023 VALUES (9, '2023-07-07', 'a')
UPDATE events SET what = 'z' WHERE id = 2
DELETE FROM events_2024_a
MERGE INTO users u USING orders o ON o.user_id = u.id AND o.id = 1 WHEN MATCHED THEN UPDATE SET name = 'm'
MERGE INTO users u USING (SELECT 5 AS id) s ON s.id = u.id WHEN MATCHED THEN DELETE
TRUNCATE order_lines
TRUNCATE users CASCADE
TRUNCATE events
TRUNCATE events_2024_a
TRUNCATE carts, strict_refs RESTART IDENTITY
WITH x AS (UPDATE users SET name = 'z' RETURNING *) SELECT * FROM x
WITH x AS (DELETE FROM users WHERE id = 4 RETURNING id) INSERT INTO audit SELECT id::text FROM x
WITH x AS (INSERT INTO audit VALUES ('cte')) SELECT 1
SELECT * FROM (WITH y AS (SELECT 1) SELECT * FROM y) z, users FOR UPDATE OF users
SELECT * FROM users FOR UPDATE
SELECT * FROM users FOR NO KEY UPDATE OF users SKIP LOCKED
SELECT * FROM users FOR SHARE NOWAIT
SELECT * FROM users FOR KEY SHARE
SELECT * FROM (SELECT * FROM users FOR UPDATE) x
WITH x AS (SELECT * FROM users FOR SHARE) SELECT * FROM x
SELECT * FROM v_lock
SELECT * INTO new_table FROM users
SELECT * INTO TEMP new_temp FROM users
CREATE TABLE copy_of AS SELECT * FROM users
CREATE TEMP TABLE temp_of AS SELECT * FROM users
CREATE TEMP TABLE temp_writer AS SELECT f_writer() AS w
CREATE TABLE plain (i int)
CREATE INDEX ON users (name)
CREATE VIEW v_new AS SELECT 1 AS one
CREATE FUNCTION f_new() RETURNS int LANGUAGE sql AS 'SELECT 1'
ALTER TABLE users ADD COLUMN extra int
DROP TABLE carts CASCADE
COMMENT ON TABLE users IS 'x'
GRANT SELECT ON users TO PUBLIC
CREATE POLICY p2 ON secrets USING (true)
SELECT nextval('numbers')
SELECT setval('numbers', 10)
SELECT last_value FROM numbers
INSERT INTO serials (v) VALUES ('a')
SELECT f_volatile(1)
SELECT f_writer()
SELECT f_writer_sql()
SELECT id, f_writer() FROM users WHERE id = 1
SELECT * FROM users WHERE id = f_writer()
SELECT * FROM users ORDER BY f_writer()
SELECT * FROM f_writer()
SELECT CASE WHEN id = 1 THEN f_writer() END FROM users
SELECT (SELECT f_writer())
WITH x AS (SELECT f_writer()) SELECT * FROM x
SELECT f_default(1)
SELECT f_overload(1)
SELECT f_overload('x')
SELECT agg_writes(id) FROM users
SELECT u.touch_me FROM users u WHERE id = 1
SELECT (u).touch_me FROM users u WHERE id = 1
SELECT name @!@ 1 FROM users WHERE id = 1
SELECT id::logged_int FROM users WHERE id = 1
SELECT id::logged_more FROM users WHERE id = 1
SELECT '(1,x)'::logged_pair
SELECT '{1}'::logged_int[]
SELECT logged_int(1)
SELECT 'x'::text::wrapped
SELECT * FROM v_writer
SELECT * FROM v_over_writer
SELECT * FROM v_sequence
SELECT * FROM v_advisory
SELECT * FROM v_catalog
SELECT * FROM v_node
SELECT * FROM v_port
SELECT * FROM v_any_setting
SELECT * FROM v_scratch
SELECT * FROM v_domain
SELECT * FROM v_operator
SELECT * FROM vault
SELECT * FROM scratch
SELECT * FROM mixed
SELECT * FROM mixed_unlogged
SELECT * FROM outside
INSERT INTO scratch VALUES (2)
INSERT INTO v_users VALUES (300, 'via view')
UPDATE v_users SET name = 'via view' WHERE id = 3
DELETE FROM v_users WHERE id = 3
INSERT INTO v_rule VALUES (1, 'x')
INSERT INTO ruled VALUES (1)
INSERT INTO v_instead VALUES (301, 'x')
INSERT INTO audited VALUES (2, 2)
DELETE FROM audited
UPDATE shop.items SET price = 3 WHERE sku = 'a'
INSERT INTO logs VALUES (1, '2024-01-01')
INSERT INTO logs_all VALUES (1, '2024-01-01')
INSERT INTO unwatched VALUES (1)
INSERT INTO checked VALUES (1)
INSERT INTO codes (v) VALUES ('x')
INSERT INTO logged_values VALUES (1)
INSERT INTO vault VALUES (1)
UPDATE secrets SET owner = 'x'
INSERT INTO audit SELECT f_writer_sql()::text
UPDATE carts SET id = f_writer() + 10 WHERE id = 2
REFRESH MATERIALIZED VIEW m_totals
REFRESH MATERIALIZED VIEW m_pure
CALL p_write()
DO 'BEGIN INSERT INTO audit VALUES (''do''); END'
PREPARE q AS SELECT 1
LOCK TABLE users IN SHARE MODE
NOTIFY channel
LISTEN channel
UNLISTEN *
SET search_path = public
SET LOCAL work_mem = '1MB'
RESET work_mem
SHOW work_mem
SHOW search_path
DISCARD PLANS
EXPLAIN SELECT * FROM users
EXPLAIN INSERT INTO users (id, name) VALUES (1000, 'x')
EXPLAIN ANALYZE INSERT INTO users (id, name) VALUES (1000, 'x')
EXPLAIN ANALYZE SELECT f_writer()
EXPLAIN ANALYZE DELETE FROM users WHERE id = 6
EXPLAIN ANALYZE CREATE TABLE explained AS SELECT * FROM users
SELECT set_config('app.user', '1', false)
SELECT set_config('app.user', '1', true)
SELECT pg_advisory_lock(1)
SELECT pg_try_advisory_lock(1)
SELECT pg_advisory_xact_lock(1)
SELECT pg_advisory_unlock_all()
SELECT pg_notify('c', 'x')
SELECT txid_current()
SELECT pg_current_xact_id()
SELECT pg_current_wal_lsn()
SELECT pg_is_in_recovery()
SELECT pg_backend_pid()
SELECT pg_relation_size('users')
SELECT inet_server_addr()
SELECT version()
SELECT lo_create(0)
SELECT pg_export_snapshot()
SELECT pg_walfile_name('0/1'::pg_lsn)
SELECT current_setting('port')
SELECT current_setting(name) FROM users WHERE false
SELECT query_to_xml('SELECT 1', true, true, '')
SELECT ts_stat('SELECT NULL::tsvector')
SELECT setseed(0.5)
SELECT * FROM pg_class
SELECT * FROM pg_stat_activity
SELECT * FROM pg_catalog.pg_user
SELECT * FROM information_schema.tables
SELECT relname FROM pg_stat_user_tables
SELECT f_session()
SELECT f_ddl()
SELECT * FROM users, LATERAL (SELECT f_writer()) x
SELECT 1; INSERT INTO audit VALUES ('multi')
SELECT 1; SELECT f_writer()
COPY (SELECT f_writer()) TO STDOUT
COPY (INSERT INTO audit VALUES ('copy') RETURNING what) TO STDOUT
DECLARE c CURSOR FOR SELECT * FROM users
VACUUM users
ANALYZE users
CHECKPOINT
`);

/** Not inside a transaction block, or leaving something behind for the next statement of the test. */
export const UNTRIED: ReadonlySet<string> = new Set(['VACUUM users', 'CHECKPOINT']);

export const STATEMENTS: readonly (readonly [sql: string, expected: Expected])[] = [
  ...CACHED.map((sql) => [sql, 'cached'] as const),
  ...READS.map((sql) => [sql, 'read'] as const),
  ...PRIMARY.map((sql) => [sql, 'primary'] as const),
];
