/**
 * currval() and lastval() in transaction mode, outside of the transaction that advanced the sequence, on servers that take
 * turns: the client's own value wherever it can be had, and never another client's.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  startTestWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: TestWeir;
let a: pg.Client;
let b: pg.Client;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const sizes = { default_pool_size: 3, min_pool_size: 3, max_pool_size: 3, server_round_robin: true };
  const more = { pool_mode: 'transaction', resize: { enabled: false }, log: { level: 'error' }, ...sizes };
  weir = await startTestWeir(weirConfig(cluster, { database, replicas: [] }, more));
  // A server changes its clients only within a worker.
  await fillOtherWorkers(weir, 5);
});
beforeEach(async () => {
  [a, b] = [await connectPg(`${weir.url({ database })}?application_name=a`), await connectPg(weir.url({ database }))];
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const notDefined = { code: '55000' };

async function one(client: pg.Client, sql: string): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(sql);
  return Object.values(rows[0] ?? {})[0];
}

/** Makes things, and waits until Weir knows them. */
async function make(sql: string): Promise<void> {
  await b.query(sql);
  await b.query('SELECT 1');
  const route = async (): Promise<string> => {
    await b.query('SELECT 1');
    return String(await one(b, 'SHOW weir.last_route'));
  };
  await until('the catalog', async () => !(await route()).includes('not known'));
}

async function pinsOfA(): Promise<unknown> {
  const admin = await connectPg(weir.adminUrl());
  const { rows } = await admin.query('SHOW CLIENTS');
  return rows.find((row) => row.application_name === 'a')?.pins;
}

test.each([0, 1, 2])('neither another client’s value nor an old one, wherever a client writes (%s)', async (turns) => {
  await make('CREATE SEQUENCE numbers; CREATE TABLE other (x int)');
  const rest = async (client: pg.Client, times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await client.query('SELECT 1');
  };
  await rest(b, turns);
  await a.query("SELECT nextval('numbers')");
  await a.query("SELECT nextval('numbers')");
  await b.query("SELECT nextval('numbers')");
  // To where b has just been, or a some time ago.
  await rest(b, 2 - turns);
  await a.query('UPDATE other SET x = 1');
  const said = await one(a, "SELECT currval('numbers')").catch((error: { code: string }) => error.code);
  expect(['2', '55000']).toContain(said);
  await b.query('DROP SEQUENCE numbers; DROP TABLE other');
});

test('right after DDL, when nobody knows what a function is', async () => {
  await a.query('CREATE SEQUENCE behind_ddl');
  await a.query("SELECT nextval('behind_ddl')");
  await a.query("SELECT nextval('behind_ddl'::regclass)");
  expect(await one(a, "SELECT currval('behind_ddl')")).toBe('2');
  expect(await one(a, 'SELECT lastval()')).toBe('2');
});

test('behind a trigger of which nobody knows what it leaves, whose server is reset', async () => {
  await make(`CREATE TABLE triggered (id serial, x int);
    CREATE FUNCTION anything() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM random(); RETURN NEW; END $$;
    CREATE TRIGGER t AFTER INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION anything()`);
  for (let i = 1; i <= 3; i++) {
    await a.query('INSERT INTO triggered (x) VALUES (1)');
    expect(await one(a, "SELECT currval('triggered_id_seq')")).toBe(String(i));
    await expect(b.query("SELECT currval('triggered_id_seq')")).rejects.toMatchObject(notDefined);
  }
});

test('in turns with another client, and in a transaction', async () => {
  await make('CREATE TABLE turns (id serial, x int)');
  for (const client of [a, b]) await client.query('INSERT INTO turns (x) VALUES (1)');
  expect(await one(a, 'SELECT lastval()')).toBe('1');
  expect(await one(b, 'SELECT lastval()')).toBe('2');
  const c = await connectPg(weir.url({ database }));
  await c.query('BEGIN; INSERT INTO turns (x) VALUES (1)');
  expect(await one(c, "SELECT currval('turns_id_seq')")).toBe('3');
  await c.query('COMMIT');
  expect(await one(c, 'SELECT lastval()')).toBe('3');
});

test('what a default, a CHECK or a rule asks for is the client’s own, and pins nobody', async () => {
  await make(`CREATE TABLE parents (id serial, x int);
    CREATE TABLE children (parent int DEFAULT currval('parents_id_seq'));
    CREATE TABLE checked (x int CHECK (x >= currval('parents_id_seq')));
    CREATE TABLE ruled (x int); CREATE TABLE noted (parent int);
    CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO noted VALUES (currval('parents_id_seq'))`);
  for (let i = 0; i < 3; i++) await b.query('INSERT INTO parents (x) VALUES (1)');
  for (const insert of ['children DEFAULT VALUES', 'checked VALUES (1)', 'ruled VALUES (1)']) {
    await expect(a.query(`INSERT INTO ${insert}`)).rejects.toMatchObject(notDefined);
  }
  expect(await one(a, 'INSERT INTO parents (x) VALUES (2) RETURNING id')).toBe(4);
  expect(await one(a, 'INSERT INTO children DEFAULT VALUES RETURNING parent')).toBe(4);
  await a.query('INSERT INTO checked VALUES (4)');
  await expect(a.query('INSERT INTO checked VALUES (3)')).rejects.toMatchObject({ code: '23514' });
  await a.query('INSERT INTO ruled VALUES (1)');
  expect(await one(a, 'SELECT parent FROM noted')).toBe(4);
  expect(await pinsOfA()).toBe('');
});

test('what a function or a trigger asks for is the client’s own, too', async () => {
  await make(`CREATE SEQUENCE asked;
    CREATE FUNCTION asks() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN currval('asked'); END $$;
    CREATE TABLE told (x int, seen bigint);
    CREATE FUNCTION sees() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := lastval(); RETURN NEW; END $$;
    CREATE TRIGGER t BEFORE INSERT ON told FOR EACH ROW EXECUTE FUNCTION sees()`);
  for (let i = 0; i < 3; i++) await b.query("SELECT nextval('asked')");
  for (let i = 0; i < 3; i++) {
    await expect(a.query('SELECT asks()')).rejects.toMatchObject(notDefined);
    await expect(a.query('INSERT INTO told VALUES (1)')).rejects.toMatchObject(notDefined);
  }
  await a.query("SELECT nextval('asked')");
  expect(await one(a, 'SELECT asks()')).toBe('4');
  expect(await one(a, 'INSERT INTO told VALUES (1) RETURNING seen')).toBe('4');
  expect(await one(a, 'SELECT asks()')).toBe('4');
  expect(await pinsOfA()).toBe('');
});
