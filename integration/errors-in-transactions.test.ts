/**
 * An error that Weir itself answers in an open transaction block makes the transaction fail, like every error in PostgreSQL:
 * nothing of it is committed, whatever the client sends after it.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { query as queryMessage } from '../src/protocol/write.ts';
import { bind, describeStatement, execute, flush, parse, query, sync, type Sent } from './differential/messages.ts';
import { closeClients, RawClient, startTestWeir, useCluster, users, weirConfig } from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: TestWeir;
let client: RawClient;

const insert = 'INSERT INTO kept VALUES (1)';
const wrong = 'SET weir.bogus = 1';

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query('CREATE TABLE kept (n int)', { database });
  await cluster.query('GRANT ALL ON kept TO PUBLIC', { database });
  weir = await startTestWeir(weirConfig(cluster, { database }, { auth: { type: 'trust' } }));
});
afterEach(async () => {
  client.end();
  await closeClients();
  await cluster.query('TRUNCATE kept', { database });
});
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const connect = async (): Promise<void> => void (client = await RawClient.connect(weir, { user: users.app, database }));
const kept = async (): Promise<number> => {
  const [row] = await cluster.query<{ n: string }>('SELECT count(*) AS n FROM kept', { database });
  return Number(row?.n);
};
const states = async (...texts: readonly string[]): Promise<(string | undefined)[]> => {
  const all: (string | undefined)[] = [];
  for (const text of texts) all.push((await client.ask(text)).sqlstate);
  return all;
};
/** All at once. @returns the SQLSTATE of each ReadyForQuery's part */
const pipeline = async (readies: number, ...messages: readonly Sent[]): Promise<(string | undefined)[]> => {
  const answers = Array.from({ length: readies }, () => client.next());
  await client.send(Buffer.concat(messages.map(({ bytes }) => bytes)));
  return (await Promise.all(answers)).map(({ sqlstate }) => sqlstate);
};

test.each([
  ['an unknown setting', wrong, '42704'],
  ['a bad value', "SET weir.route = 'nowhere'", '22023'],
  ['SHOW of an unknown setting', 'SHOW weir.bogus', '42704'],
  ['SET LOCAL', "SET LOCAL weir.route = 'primary'", '0A000'],
  ['a setting among other statements', `${insert}; SET weir.route = 'primary'`, '0A000'],
])('%s fails the transaction, and COMMIT commits nothing', async (_what, text, sqlstate) => {
  await connect();
  expect(await states('BEGIN', insert, text, insert, 'SHOW weir.route', 'COMMIT')).toEqual([
    ...[undefined, undefined, sqlstate, '25P02', '25P02', undefined],
  ]);
  expect(await kept()).toBe(0);
  expect(await states(insert)).toEqual([undefined]);
  expect(await kept()).toBe(1);
});

test('a transaction that is READ ONLY on a replica fails, too', async () => {
  await connect();
  expect(await states('BEGIN READ ONLY', wrong, 'SELECT 1', 'ROLLBACK', 'SELECT 1')).toEqual([
    ...[undefined, '42704', '25P02', undefined, undefined],
  ]);
});

test('ROLLBACK TO SAVEPOINT takes the error back', async () => {
  await connect();
  const texts = ['BEGIN', insert, 'SAVEPOINT s', insert, wrong, 'ROLLBACK TO SAVEPOINT s', insert, 'COMMIT'];
  expect(await states(...texts)).toEqual([...Array(4).fill(undefined), '42704', ...Array(3).fill(undefined)]);
  expect(await kept()).toBe(2);
});

test('in a pipeline of Query messages nothing behind the error runs', async () => {
  await connect();
  const texts = ['BEGIN', insert, wrong, insert, 'COMMIT', insert];
  expect(await pipeline(6, ...texts.map(query))).toEqual([
    ...[undefined, undefined, '42704', '25P02', undefined, undefined],
  ]);
  expect(await kept()).toBe(1);
});

test('in the extended protocol', async () => {
  await connect();
  const run = (sql: string): readonly Sent[] => [parse('', sql), bind('', ''), execute(), sync];
  expect(await pipeline(6, ...['BEGIN', insert, wrong, insert, 'COMMIT', insert].flatMap(run))).toEqual([
    ...[undefined, undefined, '42704', '25P02', undefined, undefined],
  ]);
  expect(await kept()).toBe(1);
});

test('in a batch that is flushed before its Sync', async () => {
  await connect();
  expect(await states('BEGIN', insert)).toEqual([undefined, undefined]);
  expect(await pipeline(1, parse('', wrong), describeStatement(''), bind('', ''), execute(), flush, sync)).toEqual([
    '42704',
  ]);
  expect(await states(insert, 'COMMIT')).toEqual(['25P02', undefined]);
  expect(await kept()).toBe(0);
});

test('several statements in one text are one transaction, of which nothing stays', async () => {
  await connect();
  expect(await states(`${insert}; ${wrong}`)).toEqual(['0A000']);
  expect(await kept()).toBe(0);
});

test('what is sent behind a BEGIN that is refused with a setting in its text does not run without it', async () => {
  await connect();
  const answer = client.next();
  await client.send(Buffer.concat([`BEGIN; ${wrong}`, insert, 'COMMIT'].map((text) => queryMessage(text))));
  await expect(answer).rejects.toThrow('0A000');
  expect(await kept()).toBe(0);
});
