/**
 * Statements that a hot standby answers otherwise than a primary, or not at all (PostgreSQL's manual, "Hot Standby", and what
 * its source adds to that), and statements that it answers alike. Played by read-only.test.ts. What differs from one run to
 * the next even on one server is asked for so that it does not.
 */
export const fixtures = `
  CREATE TABLE ro_items AS SELECT i AS id, 'item ' || i AS name FROM generate_series(1, 20) i;
  CREATE UNLOGGED TABLE ro_unlogged AS SELECT i FROM generate_series(1, 3) i;
  CREATE TABLE ro_parts (i int) PARTITION BY RANGE (i);
  CREATE UNLOGGED TABLE ro_part PARTITION OF ro_parts FOR VALUES FROM (0) TO (100);
  INSERT INTO ro_parts VALUES (1), (2);
  CREATE MATERIALIZED VIEW ro_stored AS SELECT count(*) AS n FROM ro_items;
  CREATE SEQUENCE ro_seq;
  SELECT nextval('ro_seq');
  CREATE VIEW ro_seq_view AS SELECT last_value FROM ro_seq;
  CREATE VIEW ro_unlogged_view AS SELECT * FROM ro_unlogged;
  CREATE VIEW ro_recovery_view AS SELECT pg_is_in_recovery() AS here;
  CREATE FUNCTION ro_stable() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM ro_items';
  CREATE FUNCTION ro_seq_sql() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT last_value FROM ro_seq';
  CREATE FUNCTION ro_seq_dynamic() RETURNS bigint STABLE LANGUAGE plpgsql AS
    $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT last_value FROM ' || 'ro_seq' INTO n; RETURN n; END $$;
  CREATE FUNCTION ro_unlogged_sql() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM ro_unlogged';
  CREATE FUNCTION ro_volatile() RETURNS boolean LANGUAGE sql AS 'SELECT pg_is_in_recovery()';
  CREATE FUNCTION ro_temporary() RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN CREATE TEMP TABLE ro_made (i int) ON COMMIT DROP; INSERT INTO ro_made VALUES (7); RETURN 7; END $$;
  CREATE PROCEDURE ro_procedure() LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE '%', pg_is_in_recovery(); END $$;
`;

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** They change nothing, so that they are also asked outside of a transaction. */
export const questions = lines(`
  SELECT last_value FROM ro_seq
  SELECT is_called, last_value FROM public.ro_seq
  SELECT last_value + 1 FROM ro_items, ro_seq WHERE id = 1
  SELECT pg_sequence_last_value('ro_seq'::regclass)
  SELECT last_value FROM pg_sequences WHERE sequencename = 'ro_seq'
  SELECT last_value FROM ro_seq_view
  SELECT ro_seq_sql()
  SELECT ro_seq_dynamic()
  COPY (SELECT last_value FROM ro_seq) TO STDOUT
  SELECT (query_to_xml('SELECT last_value FROM ro_seq', true, false, ''))::text
  SELECT * FROM ro_unlogged
  TABLE ro_unlogged
  SELECT count(*) FROM ro_items JOIN ro_unlogged ON id = i
  SELECT count(*) FROM ro_parts
  SELECT * FROM ro_unlogged_view
  SELECT ro_unlogged_sql()
  COPY ro_unlogged TO STDOUT
  EXPLAIN (COSTS OFF) SELECT * FROM ro_unlogged
  EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT * FROM ro_unlogged
  SELECT txid_current() > 0
  SELECT txid_current_if_assigned() IS NULL
  SELECT pg_current_xact_id() IS NOT NULL
  SELECT pg_current_wal_lsn() IS NOT NULL
  SELECT pg_current_wal_insert_lsn() IS NOT NULL
  SELECT pg_current_wal_flush_lsn() IS NOT NULL
  SELECT pg_walfile_name(pg_current_wal_lsn()) IS NOT NULL
  SELECT pg_last_wal_receive_lsn()
  SELECT pg_last_wal_replay_lsn()
  SELECT pg_last_xact_replay_timestamp()
  SELECT pg_is_in_recovery()
  SELECT here FROM ro_recovery_view
  SELECT ro_volatile()
  SELECT pg_is_wal_replay_paused()
  SELECT pg_get_wal_replay_pause_state()
  SELECT pg_create_restore_point('ro')
  SELECT pg_switch_wal()
  SELECT pg_export_snapshot() IS NOT NULL
  SELECT count(*) FROM pg_stat_wal_receiver
  SELECT count(*) > 0 FROM pg_stat_replication
  SELECT count(*) FROM pg_prepared_xacts
  SELECT setting FROM pg_settings WHERE name = 'in_hot_standby'
  SELECT current_setting('in_hot_standby')
  SHOW in_hot_standby
  SHOW primary_conninfo
  SELECT inet_server_port() IS NOT NULL
  SELECT pg_try_advisory_xact_lock(7401)
  SELECT pg_advisory_xact_lock_shared(7401)
  SELECT pg_try_advisory_lock(7402), pg_advisory_unlock(7402)
  SELECT currval('ro_seq')
  SELECT * FROM ro_items WHERE id = 1 FOR UPDATE
  SELECT * FROM ro_items WHERE id = 1 FOR KEY SHARE
  SELECT * FROM ro_no_such_table
  SELECT ro_no_such_function(1)
  DO $$ BEGIN RAISE NOTICE '%', pg_is_in_recovery(); END $$
  CALL ro_procedure()
`);

/** They change something, or would. */
export const deeds = lines(`
  LOCK TABLE ro_items IN ACCESS SHARE MODE
  LOCK TABLE ro_items IN ROW EXCLUSIVE MODE
  LOCK TABLE ro_items
  ANALYZE ro_items
  VACUUM ro_items
  CHECKPOINT
  CLUSTER
  REINDEX TABLE ro_items
  REFRESH MATERIALIZED VIEW ro_stored
  INSERT INTO ro_items VALUES (99, 'x')
  INSERT INTO ro_unlogged VALUES (99)
  UPDATE ro_items SET name = 'x' WHERE id = 1
  DELETE FROM ro_items WHERE id = 1
  TRUNCATE ro_items
  WITH gone AS (DELETE FROM ro_items RETURNING id) SELECT count(*) FROM gone
  COPY ro_items FROM STDIN
  EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) DELETE FROM ro_items
  SELECT nextval('ro_seq')
  SELECT setval('ro_seq', 5)
  SELECT lo_create(7403)
  SELECT lo_open(7403, 393216)
  CREATE TABLE ro_new (i int)
  ALTER TABLE ro_items ADD COLUMN more int
  DROP TABLE ro_items
  CREATE TEMP TABLE ro_t (i int)
  CREATE TEMP TABLE ro_t AS SELECT id FROM ro_items
  SELECT id INTO TEMP ro_t FROM ro_items
  CREATE TEMP SEQUENCE ro_s
  CREATE TEMP VIEW ro_v AS SELECT 1 AS one
  SELECT ro_temporary()
  GRANT SELECT ON ro_items TO PUBLIC
  COMMENT ON TABLE ro_items IS 'x'
  LISTEN ro_news
  NOTIFY ro_news
  SELECT pg_notify('ro_news', 'x')
  PREPARE p AS SELECT 1
  DECLARE c CURSOR WITH HOLD FOR SELECT id FROM ro_items
  SET TRANSACTION READ WRITE
  SET transaction_read_only = off
  SET LOCAL transaction_read_only TO off
  SELECT set_config('transaction_read_only', 'off', true)
  SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
  BEGIN
  BEGIN READ WRITE
  START TRANSACTION ISOLATION LEVEL SERIALIZABLE
  BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
  RESET transaction_read_only
  SELECT set_config('transaction_isolation', 'serializable', true)
  COMMIT PREPARED 'ro_none'
  ROLLBACK PREPARED 'ro_none'
  ALTER SYSTEM SET work_mem = '1MB'
`);

/** A replica does and answers the same: a READ ONLY transaction that begins with one of them stays there. */
export const alike = lines(`
  SELECT count(*) FROM ro_items
  SELECT name FROM ro_items WHERE id = 7
  SELECT n FROM ro_stored
  SELECT ro_stable()
  SELECT now() IS NOT NULL
  SELECT random() < 2
  SELECT count(*) > 0 FROM pg_class
  SELECT relname FROM pg_catalog.pg_class WHERE relname = 'ro_items'
  SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'ro_items'::regclass AND attnum = 1
  COPY (SELECT id FROM ro_items ORDER BY id LIMIT 2) TO STDOUT
  EXPLAIN (COSTS OFF) SELECT * FROM ro_items
  EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT * FROM ro_items
  DECLARE c CURSOR FOR SELECT id FROM ro_items
  SAVEPOINT one
  SET LOCAL work_mem = '1MB'
  SELECT set_config('search_path', 'public', true)
  SELECT set_config('search_path', 'public', true), set_config('app.who', 'me', true)
  SHOW search_path
  SHOW transaction_read_only
  SHOW transaction_isolation
  UNLISTEN *
  BEGIN READ ONLY
`);
