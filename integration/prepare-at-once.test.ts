/**
 * A Parse whose text a server has prepared before is answered without a server, so that clients of one thread that prepare
 * and wait (pgbench -M prepared) do not wait for each other for ever; and it is answered by a server wherever only a server
 * knows. To see it fail: let preparesAtOnce return false, or let it ignore the user or the catalog.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Backend } from '../src/protocol/codes.ts';
import { readErrorFields } from '../src/protocol/read.ts';
import { closeStatement, describeStatement, parse, query, run, sync, type Sent } from './differential/messages.ts';
import { RawClient } from './differential/raw-client.ts';
import { closeClients, fillOtherWorkers, findProgram, pgUrl, runProgram, startTestWeir } from './harness/index.ts';
import { until, useCluster, users, weirConfig, type TestWeir } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: TestWeir;
const open: RawClient[] = [];
let names = 0;

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(
    `SET ROLE app; CREATE TABLE t (k int PRIMARY KEY, v int); INSERT INTO t SELECT g, 0 FROM generate_series(1, 20) g;
     CREATE SCHEMA closed; CREATE TABLE closed.t (k int);`,
    { database },
  );
  const settings = { default_pool_size: 1, max_pool_size: 1, resize: { enabled: false } };
  const config = weirConfig(
    cluster,
    { database, serverUser: null, replicas: [] },
    { ...settings, auth: { user: users.monitor } },
  );
  weir = await startTestWeir(config);
  // What is prepared in one worker no other knows.
  await fillOtherWorkers(weir, 10);
  const client = await rawClient();
  await until('the catalog to be known', async () => {
    await ask(client, parse(`n${++names}`, 'SELECT 1'), sync);
    return (await lastRoute(client)).includes('prepared before');
  });
});
afterAll(() => weir.stop());
afterEach(async () => {
  for (const client of open.splice(0)) client.close();
  await closeClients();
});

async function rawClient(user: string = users.app): Promise<RawClient> {
  const client = await RawClient.open(
    { host: weir.host, port: weir.port, user, password: cluster.password, database },
    {},
  );
  open.push(client);
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  client.received.length = 0;
  return client;
}

/** Sends, and takes what comes up to ReadyForQuery: the letters of the messages, with SQLSTATEs. */
async function ask(client: RawClient, ...messages: readonly Sent[]): Promise<string> {
  client.send(Buffer.concat(messages.map(({ bytes }) => bytes)));
  const isThere = await client.until(() => client.received.at(-1)?.type === Backend.ReadyForQuery);
  expect(isThere, 'ReadyForQuery').toBe(true);
  const letters = client.received.map(({ type, body }) => {
    const letter = String.fromCharCode(type);
    return type === Backend.ErrorResponse ? `E${readErrorFields(body, 0, body.length).get('C') ?? ''}` : letter;
  });
  client.received.length = 0;
  return letters.join(' ');
}

async function lastRoute(client: RawClient): Promise<string> {
  client.send(query('SHOW weir.last_route').bytes);
  await client.until(() => client.received.at(-1)?.type === Backend.ReadyForQuery);
  return client.received
    .splice(0)
    .map(({ body }) => body.toString())
    .join('');
}

const byKey = parse('s', 'SELECT v FROM t WHERE k = $1');

/** Keeps the only server while `then` goes on. */
async function whileServerIsTaken(then: () => Promise<void>): Promise<void> {
  const holder = await rawClient();
  await ask(holder, query('BEGIN; SELECT 1'));
  await then();
  await ask(holder, query('ROLLBACK'));
}

describe('with the only server taken', () => {
  test('what was prepared before is prepared at once, and described, and runs when there is a server', async () => {
    expect(await ask(await rawClient(), byKey, describeStatement('s'), sync)).toBe('1 t T Z');
    const client = await rawClient();
    await whileServerIsTaken(async () => {
      expect(await ask(client, byKey, sync)).toBe('1 Z');
      expect(await ask(client, parse('d', 'SELECT v FROM t WHERE k = $1'), describeStatement('d'), sync)).toBe(
        '1 t T Z',
      );
    });
    expect(await ask(client, ...run('s', '1'), sync)).toBe('2 D C Z');
    expect(await ask(client, ...run('d', '2'), sync)).toBe('2 D C Z');
    expect(await ask(client, parse('e', 'SELECT v FROM t WHERE k = $1'), sync)).toBe('1 Z');
    expect(await lastRoute(client)).toContain('prepared before');
  });

  test('the description is the one that the server gave', async () => {
    const bytes = async (): Promise<Buffer[]> => {
      const client = await rawClient();
      const text = 'SELECT k AS key, v, $1::text AS t FROM t WHERE k = $2';
      client.send(Buffer.concat([parse('x', text), describeStatement('x'), sync].map((one) => one.bytes)));
      await client.until(() => client.received.at(-1)?.type === Backend.ReadyForQuery);
      return client.received.map(({ type, body }) => Buffer.concat([Buffer.from([type]), body]));
    };
    const first = await bytes();
    await whileServerIsTaken(async () => expect(await bytes()).toEqual(first));
  });
});

describe('a server is asked', () => {
  test('for a name that is taken', async () => {
    const client = await rawClient();
    expect(await ask(client, byKey, sync)).toBe('1 Z');
    expect(await ask(client, byKey, sync)).toBe('E42P05 Z');
    expect(await ask(client, closeStatement('s'), sync)).toBe('3 Z');
    expect(await ask(client, byKey, sync)).toBe('1 Z');
    expect(await ask(client, query('PREPARE own AS SELECT 1'))).toBe('C Z');
    expect(await ask(client, parse('own', 'SELECT v FROM t WHERE k = $1'), sync)).toBe('E42P05 Z');
  });

  test('by a user who may not use the schema', async () => {
    expect(await ask(await rawClient(), parse('c', 'SELECT k FROM closed.t'), sync)).toBe('1 Z');
    const other = await rawClient(users.app2);
    expect(await ask(other, parse('c', 'SELECT k FROM closed.t'), sync)).toBe('E42501 Z');
  });

  test('after DDL', async () => {
    const client = await rawClient();
    expect(await ask(client, query('CREATE TABLE gone (k int)'))).toBe('C Z');
    expect(await ask(client, parse('g', 'SELECT k FROM gone'), sync)).toBe('1 Z');
    expect(await ask(client, query('DROP TABLE gone'))).toBe('C Z');
    expect(await ask(await rawClient(), parse('g', 'SELECT k FROM gone'), sync)).toBe('E42P01 Z');
  });

  test('with other settings of what a text means', async () => {
    const client = await rawClient();
    expect(await ask(client, parse('n', 'SELECT k FROM t'), sync)).toBe('1 Z');
    expect(await ask(client, query("SET search_path = 'pg_catalog'"))).toMatch(/^C( S)? Z$/);
    expect(await ask(client, parse('m', 'SELECT k FROM t'), sync)).toBe('E42P01 Z');
  });
});

describe.skipIf(findProgram('pgbench') === undefined)('pgbench -M prepared (needs pgbench)', () => {
  test('more clients than servers in one thread do not wait for each other', async () => {
    const pgbench = findProgram('pgbench') as string;
    const at = { user: users.app, database };
    await runProgram(pgbench, ['-i', '-q', '-s', '1', cluster.url(cluster.primary, at)]);
    const args = ['-n', '-M', 'prepared', '-c', '8', '-j', '1', '-t', '50', pgUrl(weir, at)];
    const { code, stdout, stderr } = await runProgram(pgbench, args, { timeoutMs: 60_000 });
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    expect(stdout).toContain('number of transactions actually processed: 400/400');
  });
});
