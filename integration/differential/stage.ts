/**
 * Where scripts are played: one database of the shared cluster, and one Weir that offers it under a name for each way
 * through. Between two plays everything that scripts have made is dropped again.
 */
import pg from 'pg';
import { startWeirInProcess, useCluster, users, weirConfig, type WeirInProcess } from '../harness/index.ts';
import { Mover } from '../harness/hand-over.ts';
import { play, type Pace, type Transcript } from './play.ts';
import type { Script, Way } from './script.ts';

const ways: Readonly<Record<Way, Record<string, unknown>>> = {
  pooled: { pool_mode: 'transaction', default_pool_size: 1, max_pool_size: 1 },
  turns: {
    ...{ pool_mode: 'transaction', default_pool_size: 3, max_pool_size: 3 },
    ...{ min_pool_size: 3, server_round_robin: true },
  },
  roomy: { pool_mode: 'transaction', default_pool_size: 3, max_pool_size: 3 },
  evicting: { pool_mode: 'transaction', default_pool_size: 1, max_pool_size: 1, max_prepared_statements: 2 },
  crowded: { pool_mode: 'transaction', default_pool_size: 3, max_pool_size: 3, max_prepared_statements: 2 },
  session: { pool_mode: 'session', default_pool_size: 5, max_pool_size: 5 },
  statement: { pool_mode: 'statement', default_pool_size: 1, max_pool_size: 1 },
};

/** What scripts find: their names begin with f_. */
const fixtures = `
  CREATE TABLE f_items (id int PRIMARY KEY, name text NOT NULL, price numeric(8,2));
  INSERT INTO f_items SELECT i, 'item ' || i, i * 1.5 FROM generate_series(1, 20) i;
  CREATE TABLE f_w (i int);
  CREATE VIEW f_cheap AS SELECT id, name FROM f_items WHERE price < 10;
  CREATE FUNCTION f_double(i int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i * 2';
  CREATE FUNCTION f_set(name text, value text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config(name, value, false); END $$;
  CREATE PROCEDURE f_commit() LANGUAGE plpgsql AS
    $$ BEGIN SET LOCAL work_mem = '701kB'; COMMIT; SET work_mem = '702kB'; COMMIT; SET LOCAL work_mem = '703kB'; END $$;
  CREATE FUNCTION f_temp() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN CREATE TEMP TABLE made_in_function (i int); END $$;
  CREATE FUNCTION f_temp_again() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    DROP TABLE IF EXISTS again; CREATE TEMP TABLE again AS SELECT 7 AS i; RETURN (SELECT sum(i) FROM again); END $$;
  CREATE FUNCTION f_raise() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'; END $$;
  CREATE FUNCTION f_who() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('app.who', true) $$;
  CREATE SCHEMA f_one; CREATE SCHEMA f_two;
  CREATE TABLE f_one.f_twin (a int); INSERT INTO f_one.f_twin VALUES (1);
  CREATE TABLE f_two.f_twin (a text); INSERT INTO f_two.f_twin VALUES ('two');
  CREATE TABLE f_child (i int REFERENCES f_items DEFERRABLE);
  CREATE SEQUENCE f_seq;
`;

/** How long a client may take to come to rest: longer than a reset of its server takes. */
const restMs = 40;

/** Somebody whom "app" may be. */
const role = 'differential_role';

const sweepUp = `
DO $$ DECLARE what text; BEGIN
  FOR what IN
    SELECT format('DROP %s IF EXISTS %s CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
             WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass)
      FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S', 'p')
       AND relname NOT LIKE 'f\\_%'
    UNION ALL SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure)
      FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname NOT LIKE 'f\\_%'
    UNION ALL SELECT format('DROP TYPE IF EXISTS %s CASCADE', oid::regtype)
      FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typname NOT LIKE 'f\\_%' AND typtype IN ('e', 'd')
    UNION ALL SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', nspname)
      FROM pg_namespace WHERE nspname LIKE 's\\_%'
    UNION ALL SELECT format('SELECT lo_unlink(%s)', oid) FROM pg_largeobject_metadata
  LOOP EXECUTE what; END LOOP;
  DELETE FROM f_w;
  DELETE FROM f_child;
  PERFORM setval('f_seq', 1, false);
END $$`;

const preparedTransactions = `
  SELECT format('ROLLBACK PREPARED %L', gid) AS rollback FROM pg_prepared_xacts WHERE database = current_database()`;

export class Stage {
  private readonly database: string;
  private readonly admin: pg.Client;
  private readonly weir: WeirInProcess;
  private readonly port: number;
  /** For clients that change their Weir. */
  private other: WeirInProcess | undefined;
  private mover: Mover | undefined;

  private constructor(database: string, admin: pg.Client, weir: WeirInProcess, port: number) {
    this.database = database;
    this.admin = admin;
    this.weir = weir;
    this.port = port;
  }

  /** @param hidesCatalog Weir never gets to know the catalog of the database */
  static async open({ hidesCatalog = false } = {}): Promise<Stage> {
    const cluster = useCluster();
    const database = await cluster.createDatabase();
    const admin = new pg.Client({
      connectionString: cluster.url(cluster.primary, { user: cluster.superuser, database }),
    });
    await admin.connect();
    await admin.query(`DROP ROLE IF EXISTS ${role}; CREATE ROLE ${role}; GRANT ${role} TO ${users.app}`);
    await admin.query(`SET ROLE ${users.app}`);
    await admin.query(fixtures);
    await admin.query('RESET ROLE');
    // A part that only Weir reads: it knows the whole catalog or nothing.
    if (hidesCatalog) await admin.query('REVOKE SELECT ON pg_catalog.pg_policy FROM PUBLIC');
    await cluster.waitForReplicas();
    const weir = await startWeirInProcess(configuration(database));
    return new Stage(database, admin, weir, cluster.primary.port);
  }

  private address(port: number, database: string): Parameters<typeof play>[1] {
    const { password, users: names } = useCluster();
    return { host: '127.0.0.1', port, user: names.app, password, database };
  }

  /** For a client of any kind. */
  urlOf(way: Way): string {
    return this.weir.url({ database: way });
  }

  private async sweepUp(): Promise<void> {
    const { rows } = await this.admin.query<{ rollback: string }>(preparedTransactions);
    for (const { rollback } of rows) await this.admin.query(rollback);
    await this.admin.query(sweepUp);
  }

  async playDirectly(script: Script): Promise<Transcript> {
    await this.sweepUp();
    return play(script, this.address(this.port, this.database));
  }

  async playThrough(way: Way, script: Script, pace: Pace = 'at once'): Promise<Transcript> {
    await this.sweepUp();
    return play(script, this.address(this.weir.port, way), pace);
  }

  /**
   * After every step, all clients that come to rest in time go to another Weir, or back.
   * @returns how often one did, too
   */
  async playMoving(way: Way, script: Script): Promise<{ transcript: Transcript; moves: number }> {
    const { weir } = this;
    const other = (this.other ??= await startWeirInProcess(configuration(this.database)));
    const mover = (this.mover ??= new Mover());
    let moves = 0;
    const between = async (): Promise<void> => {
      const there = await mover.move(weir, other, restMs);
      // Those that have just come stay until the next step.
      const back = there.moved > 0 ? undefined : await mover.move(other, weir, restMs);
      moves += there.moved + (back?.moved ?? 0);
    };
    await this.sweepUp();
    const transcript = await play(script, this.address(weir.port, way), 'at once', between);
    return { transcript, moves };
  }

  async close(): Promise<void> {
    this.mover?.close();
    await this.other?.stop();
    await this.weir.stop();
    await this.admin.query(`DROP ROLE ${role}`);
    await this.admin.end();
  }
}

function configuration(database: string): Record<string, unknown> {
  const base = weirConfig(
    useCluster(),
    { database },
    { auth: { type: 'trust' }, resize: { enabled: false }, log: { level: 'error' } },
  );
  const nodes = (base['databases'] as Record<string, Record<string, unknown>>)[database];
  const databases = Object.fromEntries(Object.entries(ways).map(([way, settings]) => [way, { ...nodes, ...settings }]));
  return { ...base, databases };
}
