/**
 * DDL around Weir, then a write through it that does more by it than Weir can know: the session's own reads are right at
 * once, those of others as soon as Weir has noticed the DDL, from the cache and from replicas that lag. To see it fail:
 * do not invalidate in onCatalog (src/app/database.ts); accept whatever entry in Freshness.accepts (src/cache/freshness.ts).
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  closeClients,
  connectBeside,
  connectPg,
  lastRoute,
  startTestWeir,
  until,
  useCluster,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: TestWeir;

beforeAll(async () => {
  database = await cluster.createDatabase();
  weir = await startTestWeir(
    weirConfig(
      cluster,
      { database },
      { cache: { enabled: true, ttl: '1h' }, routing: { max_replica_lag: '1h', read_only_functions: [] } },
    ),
  );
});
afterEach(closeClients);
afterAll(() => weir.stop());

/** How often everything was forgotten since the catalog was another. */
async function noticed(): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${weir.httpPort}/metrics`)).text();
  return Number(/^weir_cache_invalidations_total\{source="catalog"\} (\d+)/m.exec(metrics)?.[1]);
}

/** `t` is read, and `t_source` is written. */
interface Way {
  readonly setup?: (t: string) => string;
  readonly ddl: (t: string) => string;
  readonly write?: (t: string) => string;
  readonly read?: (t: string) => string;
  /** Such answers are not kept. */
  readonly isUncached?: true;
}

const noting = (t: string, body: string): string =>
  `CREATE OR REPLACE FUNCTION ${t}_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} RETURN NULL; END $$;`;
const trigger = (t: string): string =>
  `CREATE TRIGGER note AFTER UPDATE ON ${t}_source FOR EACH STATEMENT EXECUTE FUNCTION ${t}_note();`;
const reading = (t: string, from: string): string =>
  `CREATE OR REPLACE FUNCTION ${t}_sum() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT sum(v) FROM ${from}';`;
const sum = (from: string): string => `SELECT coalesce(sum(v), 0)::int AS v FROM ${from}`;

const ways: Record<string, Way> = {
  'a trigger': { ddl: (t) => noting(t, `UPDATE ${t} SET v = v + 1;`) + trigger(t) },
  'a rule': { ddl: (t) => `CREATE RULE note AS ON UPDATE TO ${t}_source DO ALSO UPDATE ${t} SET v = v + 1` },
  'the function of a trigger': {
    setup: (t) => noting(t, '') + trigger(t),
    ddl: (t) => noting(t, `UPDATE ${t} SET v = v + 1;`),
  },
  'a default that writes': {
    setup: (t) => `CREATE FUNCTION ${t}_bump() RETURNS int LANGUAGE sql AS 'UPDATE ${t} SET v = v + 1 RETURNING v';
      ALTER TABLE ${t}_source ADD d int`,
    ddl: (t) => `ALTER TABLE ${t}_source ALTER d SET DEFAULT ${t}_bump()`,
    write: (t) => `INSERT INTO ${t}_source (v) VALUES (7)`,
  },
  'a key that updates': {
    ddl: (t) => `ALTER TABLE ${t} ADD FOREIGN KEY (v) REFERENCES ${t}_source (v) ON UPDATE CASCADE`,
  },
  'a key that deletes': {
    ddl: (t) => `ALTER TABLE ${t} ADD FOREIGN KEY (v) REFERENCES ${t}_source (v) ON DELETE CASCADE`,
    write: (t) => `DELETE FROM ${t}_source`,
  },
  'a view over another table': {
    setup: (t) => `CREATE VIEW ${t}_view AS SELECT v FROM ${t}`,
    ddl: (t) => `CREATE OR REPLACE VIEW ${t}_view AS SELECT v FROM ${t}_source`,
    read: (t) => sum(`${t}_view`),
  },
  'a function that reads another table': {
    setup: (t) => reading(t, t),
    ddl: (t) => reading(t, `${t}_source`),
    read: (t) => `SELECT ${t}_sum()::int AS v`,
  },
  'a row policy': {
    setup: (t) => `ALTER TABLE ${t} FORCE ROW LEVEL SECURITY`,
    ddl: (t) => `CREATE POLICY p ON ${t} USING (v = (SELECT max(v) FROM ${t}_source));
      ALTER TABLE ${t} ENABLE ROW LEVEL SECURITY`,
    isUncached: true,
  },
  'a child': { ddl: (t) => `ALTER TABLE ${t}_source INHERIT ${t}` },
  'a partition': {
    setup: (t) => `ALTER TABLE ${t}_source DROP CONSTRAINT ${t}_source_pkey;
      DROP TABLE ${t}; CREATE TABLE ${t} (v int) PARTITION BY LIST (v); CREATE TABLE ${t}_1 PARTITION OF ${t} FOR VALUES IN (1)`,
    ddl: (t) => `ALTER TABLE ${t} ATTACH PARTITION ${t}_source DEFAULT`,
    write: (t) => `UPDATE ${t}_source SET v = 40`,
  },
};

test.each(Object.entries(ways))('%s', async (name, way) => {
  const t = name.replaceAll(' ', '_');
  const direct = await connectPg(cluster.url(cluster.primary, { user: cluster.superuser, database }));
  await direct.query(`SET ROLE app;
    CREATE TABLE ${t}_source (v int PRIMARY KEY); INSERT INTO ${t}_source VALUES (10);
    CREATE TABLE ${t} (v int); INSERT INTO ${t} VALUES (10); ${way.setup?.(t) ?? ''}`);
  await cluster.waitForReplicas();
  const open = (): Promise<pg.Client> => connectPg(weir.url({ database }));
  const [writer, reader] = [await open(), await open()];
  const read = way.read?.(t) ?? sum(t);
  const ask = async (client: pg.Client, hint = ''): Promise<number | undefined> =>
    (await client.query<{ v: number }>(hint + read)).rows[0]?.v;
  const past = '/* weir: cache=off */ ';
  const before = (await direct.query<{ v: number }>(read)).rows[0]?.v;
  const cached = (by: pg.Client, what: number | undefined): Promise<unknown> =>
    until('the answer to be cached', async () => {
      expect(await ask(by)).toBe(what);
      return (await lastRoute(by)).startsWith('cache');
    });
  await cached(reader, before);
  await cached(writer, before);
  await until('a replica to answer', async () => {
    expect(await ask(writer, past)).toBe(before);
    return (await lastRoute(writer)).includes('replica');
  });
  for (const replica of cluster.replicas) await cluster.pauseReplay(replica);
  try {
    const noticedBefore = await noticed();
    await direct.query(way.ddl(t));
    await writer.query(way.write?.(t) ?? `UPDATE ${t}_source SET v = v + 1`);
    const own = [await ask(writer), await ask(writer, past), await ask(writer)];
    const now = (await direct.query<{ v: number }>(read)).rows[0]?.v;
    expect(now).not.toBe(before);
    expect(own).toEqual([now, now, now]);
    await until('the DDL to be noticed', async () => (await noticed()) > noticedBefore);
    const fresh = await open();
    expect([await ask(fresh, past), await ask(fresh), await ask(reader), await ask(writer)]).toEqual([
      now,
      now,
      now,
      now,
    ]);
    if (way.isUncached) return;
    await cached(reader, now);
    await cached(writer, now);
  } finally {
    for (const replica of cluster.replicas) await cluster.resumeReplay(replica);
  }
});

/** Another client of that client's worker. */
const beside = (client: pg.Client): Promise<pg.Client> =>
  connectBeside(client, () => connectPg(weir.url({ database })));

/** The worker of that client knows of the table, and of the DDL of the same transaction. */
const untilKnown = (client: pg.Client, table: string): Promise<unknown> =>
  until(`${table} to be known`, async () => {
    await client.query(`SELECT FROM ${table}`);
    return !(await lastRoute(client)).includes('unknown');
  });

/** Bound when nobody knew of the trigger, committed when everybody does: what it wrote is not what its plan says. */
test('a transaction that was under way when the DDL was noticed', async () => {
  const direct = await connectPg(cluster.url(cluster.primary, { user: cluster.superuser, database }));
  await direct.query(`SET ROLE app; ${noting('late', 'UPDATE late SET v = v + 1;')}
    CREATE TABLE late_source (v int); INSERT INTO late_source VALUES (1);
    CREATE TABLE late (v int); INSERT INTO late VALUES (10);`);
  const open = (): Promise<pg.Client> => connectPg(weir.url({ database }));
  const [writer, reader] = [await open(), await open()];
  const ask = async (client: pg.Client): Promise<unknown> =>
    (await client.query<{ v: number }>(sum('late'))).rows[0]?.v;
  const untilCached = (): Promise<unknown> =>
    until('the answer to be cached', async () => {
      expect(await ask(reader)).toBe(10);
      return (await lastRoute(reader)).startsWith('cache');
    });
  await untilCached();
  const noticedBefore = await noticed();
  await direct.query(`BEGIN; ${trigger('late')} CREATE TABLE late_known (); COMMIT`);
  await writer.query('BEGIN');
  await writer.query('UPDATE late_source SET v = v + 1');
  await until('the DDL to be noticed', async () => (await noticed()) > noticedBefore);
  if (workersOfTests() !== undefined)
    for (const client of [await beside(writer), reader]) await untilKnown(client, 'late_known');
  await untilCached();
  await writer.query('COMMIT');
  expect([await ask(reader), await ask(writer)]).toEqual([11, 11]);
});
