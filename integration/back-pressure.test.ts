/**
 * Requests and answers larger than what anybody keeps, against real PostgreSQL: whatever the sizes and whoever is slow,
 * everything is answered, and nobody is left behind.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { sync } from '../src/protocol/write.ts';
import { bind, execute, parseText } from '../test/fuzz/frames.ts';
import {
  closeClients,
  connectPg,
  RawClient,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: WeirProcess;
/** A plain socket takes at once what an encrypted one takes a while later. */
const plain = { tls: { server: { mode: 'disable' } } };
let raw: RawClient[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
  const pool = { default_pool_size: 2, max_pool_size: 2, resize: { enabled: false } };
  weir = await startWeir(weirConfig(cluster, { database }, { ...pool, ...plain, auth: { type: 'trust' } }));
});
afterEach(async () => {
  for (const client of raw) client.end();
  raw = [];
  await closeClients();
});
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

async function connectRaw(): Promise<RawClient> {
  const client = await RawClient.connect(weir, { user: users.app, database });
  raw.push(client);
  return client;
}

/** Nobody is in the lists but who is idle, and no server is kept. */
async function expectNothingOwed(): Promise<void> {
  const console = await connectPg(weir.adminUrl());
  const rows = async (what: string): Promise<Record<string, string>[]> => (await console.query(`SHOW ${what}`)).rows;
  await until('every client to be idle', async () =>
    (await rows('CLIENTS')).every((row) => row['database'] !== database || row['state'] === 'idle'),
  );
  await until('every server to be idle', async () => (await rows('SERVERS')).every((row) => row['state'] === 'idle'));
  const isBusy = `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND state <> 'idle'`;
  await until('PostgreSQL to have nothing to do', async () => {
    return (await cluster.query(isBusy, { values: [database, users.app] })).length === 0;
  });
  await console.end();
}

/** A text of about this many bytes with one parameter, its value, and the length of that is the answer. */
const bigBatch = (textBytes: number, valueBytes: number): Buffer =>
  Buffer.concat([
    parseText('', `select length($1) -- ${'x'.repeat(textBytes)}`),
    bind('', '', Buffer.alloc(valueBytes, 'v')),
    execute(''),
    sync,
  ]);

describe('a batch larger than what is kept', () => {
  test.each([
    [300_000, 70_000],
    [270_000, 60_000],
    [600_000, 300_000],
    [262_140, 65_536],
    [1_048_000, 1_048_000],
    [1_100_000, 3_000_000],
    [4_096, 300_000],
  ])('Parse of %i bytes and Bind of %i, on new and used servers', async (textBytes, valueBytes) => {
    for (let round = 0; round < 6; round++) {
      const client = await connectRaw();
      const answer = client.next();
      await client.send(bigBatch(textBytes, valueBytes));
      expect((await answer).values).toEqual([String(valueBytes)]);
    }
    await expectNothingOwed();
  });

  test('an INSERT of 15,000 rows with three parameters each, from node-postgres', async () => {
    const client = await connectPg(weir.url({ database }));
    await client.query('CREATE TABLE IF NOT EXISTS bulk (a int, b text, c text)');
    const rows = 15_000;
    const places = Array.from({ length: rows }, (_, i) => `($${3 * i + 1},$${3 * i + 2},$${3 * i + 3})`).join(',');
    const values = Array.from({ length: rows }, (_, i) => [i, `name ${i}`, 'x'.repeat(i % 20)]).flat();
    for (let round = 0; round < 3; round++) {
      await client.query('TRUNCATE bulk');
      const { rowCount } = await client.query(`INSERT INTO bulk VALUES ${places}`, values);
      expect(rowCount).toBe(rows);
    }
    const { rows: sums } = await client.query('SELECT count(*)::int AS n, sum(a)::int AS s FROM bulk');
    expect(sums).toEqual([{ n: rows, s: (rows * (rows - 1)) / 2 }]);
    await expectNothingOwed();
  });

  test('an IN list of 25,000 parameters', async () => {
    const wanted = Array.from({ length: 25_000 }, (_, i) => i);
    const places = wanted.map((i) => `$${i + 1}::int`).join(',');
    const sql = `SELECT count(*)::int AS n FROM generate_series(0, 99999) AS i WHERE i IN (${places})`;
    for (let round = 0; round < 4; round++) {
      const client = await connectPg(weir.url({ database }));
      expect((await client.query(sql, wanted)).rows).toEqual([{ n: 25_000 }]);
      expect((await client.query({ name: 'many', text: sql, values: wanted })).rows).toEqual([{ n: 25_000 }]);
      await client.end();
    }
    await expectNothingOwed();
  });
});
