/**
 * DDL through one worker, seen through each of three, from a replica that has not replayed it: what a read without a table depends on
 * (functions, types, views) is new when the DDL was acknowledged, and stays so after the workers have read the catalog again.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  connectToEach,
  lastRoute,
  startCluster,
  startWorkers,
  until,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

const WORKERS = 3;
let cluster: Cluster;
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  database = await cluster.createDatabase();
  // The replica replays only when the test says so.
  const more = { routing: { max_replica_lag: '1h' }, cache: { enabled: true, ttl: '1h' } };
  weir = await startWorkers(WORKERS, weirConfig(cluster, { database }, more));
});
afterEach(async () => {
  await closeClients();
  await cluster.resumeReplay(cluster.replicas[0]!);
});
afterAll(async () => {
  await weir?.stop();
  await cluster.stop();
});

const open = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const each = (): Promise<pg.Client[]> => connectToEach(open, WORKERS);

/** The value, or the error. */
async function ask(client: pg.Client, sql: string): Promise<unknown> {
  try {
    return (await client.query<{ v: unknown }>(sql)).rows[0]?.v;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

async function prime(readers: readonly pg.Client[], sql: string, where: string): Promise<void> {
  for (const reader of readers)
    await until(`${sql} to be answered by the ${where}`, async () => {
      await ask(reader, sql);
      return (await lastRoute(reader)).startsWith(where);
    });
}

interface Way {
  readonly setup?: string;
  readonly ddl: string;
  readonly read: string;
  readonly before: unknown;
  readonly after: unknown;
}

const ways: Record<string, Way> = {
  'a function': {
    setup: "CREATE FUNCTION number() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'",
    ddl: "CREATE OR REPLACE FUNCTION number() RETURNS int STABLE LANGUAGE sql AS 'SELECT 2'",
    read: 'SELECT number() AS v',
    before: 1,
    after: 2,
  },
  'the operator that a function implements': {
    setup: `CREATE FUNCTION joined(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
      CREATE OPERATOR <#> (LEFTARG = int, RIGHTARG = int, FUNCTION = joined)`,
    ddl: "CREATE OR REPLACE FUNCTION joined(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 - $2'",
    read: 'SELECT 3 <#> 1 AS v',
    before: 4,
    after: 2,
  },
  'a view without a table': {
    setup: 'CREATE VIEW constant AS SELECT 1 AS v',
    ddl: 'CREATE OR REPLACE VIEW constant AS SELECT 2 AS v',
    read: 'SELECT v FROM constant',
    before: 1,
    after: 2,
  },
  'a value of an enum': {
    setup: "CREATE TYPE mood AS ENUM ('calm')",
    ddl: "ALTER TYPE mood RENAME VALUE 'calm' TO 'glad'",
    read: "SELECT 'glad'::mood::text AS v",
    before: '22P02',
    after: 'glad',
  },
  'a constraint of a domain': {
    setup: 'CREATE DOMAIN small AS int CONSTRAINT below CHECK (VALUE < 3)',
    ddl: 'ALTER DOMAIN small DROP CONSTRAINT below',
    read: 'SELECT 3::small::int AS v',
    before: '23514',
    after: 3,
  },
  'a new type': {
    ddl: "CREATE TYPE young AS ENUM ('a')",
    read: "SELECT to_regtype('young')::text AS v",
    before: null,
    after: 'young',
  },
};

test.each(Object.entries(ways))('%s', async (_name, { setup, ddl, read, before, after }) => {
  const writer = await open();
  if (setup !== undefined) await writer.query(setup);
  await cluster.waitForReplicas();
  const readers = await each();
  await prime(readers, read, 'replica');
  for (const reader of readers) expect(await ask(reader, read)).toBe(before);
  await cluster.pauseReplay(cluster.replicas[0]!);
  await writer.query(ddl);
  for (const reader of readers) await until('the DDL to be seen', async () => (await ask(reader, read)) === after);
  // Meanwhile the workers read the catalog again.
  for (let round = 0; round < 20; round++) {
    for (const reader of readers) expect(await ask(reader, read), await lastRoute(reader)).toBe(after);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

test('a function that writes from now on', async () => {
  const writer = await open();
  await writer.query(
    `CREATE TABLE notes (n int); CREATE FUNCTION note() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'`,
  );
  await cluster.waitForReplicas();
  const readers = await each();
  const count = 'SELECT count(*)::int AS v FROM notes';
  await prime(readers, 'SELECT note() AS v', 'replica');
  await prime(readers, count, 'cache');
  await cluster.pauseReplay(cluster.replicas[0]!);
  await writer.query(
    `CREATE OR REPLACE FUNCTION note() RETURNS int VOLATILE LANGUAGE sql AS 'INSERT INTO notes VALUES (1); SELECT 2'`,
  );
  for (const [i, reader] of readers.entries()) {
    await until('its new body to run', async () => (await ask(reader, 'SELECT note() AS v')) === 2);
    for (const other of readers)
      await until('what it has written to be seen', async () => (await ask(other, count)) === i + 1);
  }
});
