/**
 * A database with one of everything that decides where a statement may run: partitions, inheritance, views over views,
 * materialized views, foreign keys that cascade, triggers, rules, row security, functions of every volatility and
 * language, aggregates, sequences, unlogged and foreign tables, operators, casts and domains. For PostgreSQL 13 to 18.
 */
export const SCHEMA = `
CREATE SCHEMA shop;
CREATE SCHEMA tenant;
CREATE EXTENSION IF NOT EXISTS file_fdw;

CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, email text, created timestamptz DEFAULT now(), tags text[], doc jsonb, birthday date);
INSERT INTO users SELECT i, 'user' || i, 'u' || i || '@example.org', '2024-01-01'::timestamptz + i * interval '1 day', ARRAY['a','b'], '{"a": {"b": 1}}', '2000-01-01'
  FROM generate_series(1, 20) i;
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE, total numeric DEFAULT 0);
INSERT INTO orders SELECT i, 1 + i % 20, i * 1.5 FROM generate_series(1, 40) i;
CREATE TABLE order_lines (order_id int REFERENCES orders ON DELETE CASCADE, line int, note text, PRIMARY KEY (order_id, line));
INSERT INTO order_lines SELECT i, 1, 'line' FROM generate_series(1, 40) i;
CREATE TABLE carts (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE SET NULL);
INSERT INTO carts VALUES (1, 1), (2, 2);
CREATE TABLE strict_refs (id int PRIMARY KEY, cart_id int REFERENCES carts);
CREATE TABLE tenant.users (id int, name text);
INSERT INTO tenant.users VALUES (1, 'tenant');
CREATE TABLE shop.items (sku text PRIMARY KEY, price numeric, changed timestamptz);
INSERT INTO shop.items VALUES ('a', 1), ('b', 2);
CREATE TABLE "Odd Name" ("Some Column" int);
INSERT INTO "Odd Name" VALUES (1);

CREATE TABLE events (id int, at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (what);
CREATE TABLE events_2024_a PARTITION OF events_2024 FOR VALUES IN ('a');
CREATE TABLE events_2024_rest PARTITION OF events_2024 DEFAULT;
INSERT INTO events VALUES (1, '2023-05-05', 'a'), (2, '2024-05-05', 'a'), (3, '2024-06-06', 'b');
CREATE TABLE animals (name text);
CREATE TABLE cats (lives int) INHERITS (animals);
CREATE TABLE robots (model text);
CREATE TABLE robocats () INHERITS (cats, robots);
INSERT INTO cats VALUES ('tom', 9); INSERT INTO robocats VALUES ('r', 1, 'x');
CREATE TABLE mixed (id int, part int) PARTITION BY LIST (part);
CREATE TABLE mixed_logged PARTITION OF mixed FOR VALUES IN (1);
CREATE UNLOGGED TABLE mixed_unlogged PARTITION OF mixed FOR VALUES IN (2);
CREATE UNLOGGED TABLE scratch (id int);
INSERT INTO scratch VALUES (1);
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE outside (line text) SERVER files OPTIONS (filename '/dev/null');

CREATE SEQUENCE numbers;
CREATE TABLE serials (id serial PRIMARY KEY, v text, ident int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE counters (n bigint);
INSERT INTO counters VALUES (0);
CREATE TABLE audit (what text);

CREATE FUNCTION f_immutable(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION f_stable(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) + $1 FROM users';
CREATE FUNCTION f_stable_plpgsql() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM orders); END';
CREATE FUNCTION f_volatile(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
CREATE FUNCTION f_writer() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (''f''); RETURN 1; END';
CREATE FUNCTION f_writer_sql() RETURNS bigint LANGUAGE sql AS 'UPDATE counters SET n = n + 1 RETURNING n';
CREATE FUNCTION f_default(a int, b bigint DEFAULT nextval('numbers')) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION f_overload(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION f_overload(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT f_writer()';
CREATE FUNCTION f_variadic(VARIADIC int[]) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION f_set() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT id FROM users';
CREATE FUNCTION f_session() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN set_config(''app.x'', ''1'', false); END';
CREATE FUNCTION f_ddl() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TABLE made_by_f (i int); END';
CREATE FUNCTION full_name(users) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name';
CREATE FUNCTION touch_me(users) RETURNS int LANGUAGE sql AS 'SELECT f_writer()';
CREATE PROCEDURE p_write() LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (''p''); END';
CREATE FUNCTION f_next_code() RETURNS bigint LANGUAGE sql AS 'UPDATE counters SET n = n + 1 RETURNING n';
CREATE TABLE codes (id bigint DEFAULT f_next_code(), v text);
CREATE FUNCTION agg_step(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (''agg''); RETURN $1; END';
CREATE AGGREGATE agg_writes (int) (sfunc = agg_step, stype = int, initcond = '0');
CREATE AGGREGATE agg_adds (int) (sfunc = int4pl, stype = int, initcond = '0');

CREATE FUNCTION op_plain(users, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR @+@ (LEFTARG = users, RIGHTARG = int, FUNCTION = op_plain);
CREATE FUNCTION op_writes(text, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (''op''); RETURN 1; END';
CREATE OPERATOR @!@ (LEFTARG = text, RIGHTARG = int, FUNCTION = op_writes);
CREATE FUNCTION op_stable(text, int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT count(*) > 0 FROM users';
CREATE OPERATOR @?@ (LEFTARG = text, RIGHTARG = int, FUNCTION = op_stable);

CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION check_writes(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (''check''); RETURN true; END';
CREATE DOMAIN logged_int AS int CHECK (check_writes(VALUE));
CREATE DOMAIN logged_more AS logged_int;
CREATE TYPE logged_pair AS (a logged_int, b text);
CREATE TABLE logged_values (v logged_int);
CREATE TYPE wrapped AS (v text);
CREATE FUNCTION wrap(text) RETURNS wrapped LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (''cast''); RETURN ROW($1)::wrapped; END';
CREATE CAST (text AS wrapped) WITH FUNCTION wrap(text);

CREATE VIEW v_users AS SELECT id, name FROM users WHERE id > 1;
CREATE VIEW v_nested AS SELECT o.id, u.name FROM orders o JOIN v_users u ON u.id = o.user_id;
CREATE VIEW v_time AS SELECT id FROM users WHERE created < now();
CREATE VIEW v_today AS SELECT id, CURRENT_DATE AS today FROM users;
CREATE VIEW v_writer AS SELECT f_writer() AS w;
CREATE VIEW v_over_writer AS SELECT u.id FROM users u, v_writer;
CREATE VIEW v_sequence AS SELECT nextval('numbers') AS n;
CREATE VIEW v_lock AS SELECT id FROM users FOR UPDATE;
CREATE VIEW v_advisory AS SELECT pg_try_advisory_lock(1) AS locked;
CREATE VIEW v_catalog AS SELECT relname FROM pg_class;
CREATE VIEW v_node AS SELECT pg_is_in_recovery() AS standby;
CREATE VIEW v_sample AS SELECT id FROM users TABLESAMPLE BERNOULLI (50);
CREATE VIEW v_scratch AS SELECT id FROM scratch;
CREATE VIEW v_random AS SELECT id, random() AS r FROM users;
CREATE VIEW v_domain AS SELECT id::logged_int AS v FROM users;
CREATE VIEW v_regclass AS SELECT name::regclass AS c FROM users WHERE false;
CREATE VIEW v_operator AS SELECT name @!@ 1 AS x FROM users;
CREATE VIEW v_rule AS SELECT id, name FROM users;
CREATE RULE r_insert AS ON INSERT TO v_rule DO INSTEAD INSERT INTO audit VALUES ('rule');
CREATE TABLE ruled (id int);
CREATE RULE r_also AS ON INSERT TO ruled DO ALSO INSERT INTO audit VALUES ('also');
CREATE VIEW v_instead AS SELECT id, name FROM users;
CREATE MATERIALIZED VIEW m_totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY 1;
CREATE MATERIALIZED VIEW m_pure AS SELECT count(*) AS n FROM v_users;
CREATE VIEW v_matview AS SELECT * FROM m_totals WHERE total > 10;

CREATE FUNCTION t_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END';
CREATE FUNCTION t_touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed = now(); RETURN NEW; END';
CREATE FUNCTION t_instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO users VALUES (NEW.id, NEW.name); RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON shop.items FOR EACH ROW EXECUTE FUNCTION t_touch();
CREATE TRIGGER instead INSTEAD OF INSERT ON v_instead FOR EACH ROW EXECUTE FUNCTION t_instead();
CREATE TABLE audited (id int PRIMARY KEY, user_id int REFERENCES orders ON DELETE CASCADE);
INSERT INTO audited VALUES (1, 1);
CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON audited FOR EACH ROW EXECUTE FUNCTION t_audit();
CREATE TABLE logs (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE logs_all PARTITION OF logs DEFAULT;
CREATE TRIGGER logged AFTER INSERT ON logs_all FOR EACH ROW EXECUTE FUNCTION t_audit();
CREATE TABLE unwatched (id int);
CREATE TRIGGER off AFTER INSERT ON unwatched FOR EACH ROW EXECUTE FUNCTION t_audit();
ALTER TABLE unwatched DISABLE TRIGGER off;
CREATE TABLE checked (id int CHECK (check_writes(id)));

CREATE TABLE secrets (id int, owner text);
INSERT INTO secrets VALUES (1, 'app');
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (owner = current_user);
CREATE TABLE vault (id int);
ALTER TABLE vault ENABLE ROW LEVEL SECURITY;
CREATE POLICY noisy ON vault USING (f_writer() > 0);
CREATE TABLE tenants (id int, tenant int);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON tenants USING (tenant = current_setting('app.tenant', true)::int);
CREATE VIEW v_tenant AS SELECT current_setting('App.Tenänt', true) AS tenant, id FROM users;
CREATE VIEW v_port AS SELECT current_setting('port') AS port;
CREATE VIEW v_any_setting AS SELECT current_setting(name, true) AS value FROM users;
CREATE VIEW v_secrets AS SELECT id FROM secrets;
`;
