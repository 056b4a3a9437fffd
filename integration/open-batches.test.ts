/**
 * A batch of the extended protocol runs as it arrives, as in PostgreSQL: an error comes before Sync, a lock is taken when
 * Execute arrives, what commits before Sync is seen by others. A batch that comes whole is still routed and cached as one.
 * To see it fail: let Intake wait for Sync.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type pg from 'pg';
import { Backend } from '../src/protocol/codes.ts';
import { readErrorFields } from '../src/protocol/read.ts';
import { closeStatement, describeStatement, extended, line, parse, query } from './differential/messages.ts';
import { bind, copyData, copyDone, execute, flush, run, sync, type Sent } from './differential/messages.ts';
import { RawClient } from './differential/raw-client.ts';
import {
  closeClients,
  connectPg,
  lastRoute,
  startTestWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: TestWeir;
let direct: pg.Client;
const open: RawClient[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(
    'SET ROLE app; CREATE TABLE t (k int PRIMARY KEY, v int); INSERT INTO t SELECT g, 0 FROM generate_series(1, 20) g; GRANT ALL ON t TO public',
    { database },
  );
  await cluster.waitForReplicas();
  const settings = { default_pool_size: 2, max_pool_size: 2, routing: { consistency: 'session' } };
  weir = await startTestWeir(
    weirConfig(cluster, { database }, { ...settings, auth: { type: 'trust' }, cache: { enabled: true } }),
  );
});
afterAll(() => weir.stop());
afterEach(async () => {
  for (const client of open.splice(0)) client.close();
  await closeClients();
});

async function rawClient(at: { host: string; port: number } = weir, user: string = users.app): Promise<RawClient> {
  const client = await RawClient.open({ host: at.host, port: at.port, user, password: '', database }, {});
  open.push(client);
  await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
  client.received.length = 0;
  return client;
}

const say = (client: RawClient, ...messages: readonly Sent[]): void =>
  client.send(Buffer.concat(messages.map(({ bytes }) => bytes)));

async function hears(client: RawClient, type: number): Promise<string> {
  const isThere = await client.until(() => client.received.some((one) => one.type === type));
  expect(isThere, `message ${String.fromCharCode(type)}`).toBe(true);
  return client.received.map((one) => String.fromCharCode(one.type)).join('');
}

/** Everything up to ReadyForQuery, taken: the types of the messages, and SQLSTATEs of errors. */
async function answer(client: RawClient): Promise<{ types: string; sqlstates: (string | undefined)[] }> {
  const types = await hears(client, Backend.ReadyForQuery);
  const errors = client.received.filter(({ type }) => type === Backend.ErrorResponse);
  const sqlstates = errors.map(({ body }) => readErrorFields(body, 0, body.length).get('C'));
  client.received.length = 0;
  return { types, sqlstates };
}

async function straight(): Promise<pg.Client> {
  direct = await connectPg(cluster.url(cluster.primary, { user: cluster.superuser, database }));
  return direct;
}

async function advisoryLocks(key: number): Promise<number> {
  const sql = "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted";
  return (await direct.query<{ n: number }>(sql, [key])).rows[0]?.n ?? -1;
}

describe('before its Sync', () => {
  test('an error is told', async () => {
    const client = await rawClient();
    say(client, parse('', 'SELECT nonsense_x'));
    await hears(client, Backend.ErrorResponse);
    say(client, sync);
    expect(await answer(client)).toEqual({ types: 'EZ', sqlstates: ['42703'] });
  });

  test('a lock is taken when Execute arrives', async () => {
    await straight();
    const client = await rawClient();
    say(client, ...extended('SELECT pg_advisory_xact_lock(7001)'));
    await until('the lock to be taken', async () => (await advisoryLocks(7001)) === 1);
    say(client, sync);
    expect((await answer(client)).types).toBe('12TDCZ');
    expect(await advisoryLocks(7001)).toBe(0);
  });

  test('one message in a read at a time, a batch is what it is in one', async () => {
    const client = await rawClient();
    const messages = [parse('s', 'SELECT v FROM t WHERE k = $1', [23]), describeStatement('s'), ...run('s', '1'), sync];
    for (const message of messages) {
      say(client, message);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect((await answer(client)).types).toBe('1tT2DCZ');
    for (const message of [closeStatement('s'), sync]) {
      say(client, message);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect((await answer(client)).types).toBe('3Z');
  });

  test('COPY begins', async () => {
    const client = await rawClient();
    say(client, ...extended('COPY t FROM STDIN'));
    await hears(client, Backend.CopyInResponse);
    say(client, copyData('101\t1\n'), copyDone, sync);
    expect((await answer(client)).types).toBe('12nGCZ');
  });

  test('a weir.* setting is refused, and the client goes on', async () => {
    await straight();
    const client = await rawClient();
    say(client, ...extended('SELECT pg_advisory_xact_lock(7002)'));
    await until('the batch to have begun', async () => (await advisoryLocks(7002)) === 1);
    say(client, ...extended("SET weir.route = 'primary'"), ...extended('SELECT 1'), sync);
    expect(await answer(client)).toEqual({ types: '12TDCEZ', sqlstates: ['0A000'] });
    say(client, query('SELECT 1'));
    expect((await answer(client)).types).toBe('TDCZ');
  });

  test('a client that leaves is rolled back, and its server is free again', async () => {
    await straight();
    const client = await rawClient();
    say(client, ...extended('UPDATE t SET v = 77 WHERE k = 2'), ...extended('SELECT pg_advisory_xact_lock(7003)'));
    await until('the batch to have begun', async () => (await advisoryLocks(7003)) === 1);
    client.close();
    await until('it to be over', async () => (await advisoryLocks(7003)) === 0);
    expect((await direct.query('SELECT v FROM t WHERE k = 2')).rows).toEqual([{ v: 0 }]);
    const others = await Promise.all([rawClient(), rawClient()]);
    for (const other of others) say(other, query('BEGIN; UPDATE t SET v = v WHERE k = 3; SELECT 1; COMMIT'));
    for (const other of others) expect((await answer(other)).types).toBe('CCTDCCZ');
  });

  test('a COMMIT is seen by others', async () => {
    await straight();
    const reader = await connectPg(weir.url({ user: users.app, database }));
    const read = async (): Promise<number | undefined> =>
      (await reader.query<{ v: number }>('SELECT v FROM t WHERE k = 4')).rows[0]?.v;
    await until('the answer to be cached', async () => {
      expect(await read()).toBe(0);
      return (await lastRoute(reader)).startsWith('cache');
    });
    const client = await rawClient();
    say(client, query('BEGIN'));
    await answer(client);
    say(client, ...extended('UPDATE t SET v = 1 WHERE k = 4'), ...extended('COMMIT'));
    const truth = async (): Promise<unknown> => (await direct.query('SELECT v FROM t WHERE k = 4')).rows[0];
    await until('the commit', async () => ((await truth()) as { v: number }).v === 1);
    expect(await read()).toBe(1);
    say(client, ...extended('UPDATE t SET v = 2 WHERE k = 4'), sync);
    await answer(client);
    expect(await read()).toBe(2);
  });

  test('the write of a batch that was begun before its Sync is seen by others', async () => {
    await straight();
    const reader = await connectPg(weir.url({ user: users.app, database }));
    const read = async (): Promise<number | undefined> =>
      (await reader.query<{ v: number }>('SELECT v FROM t WHERE k = 5')).rows[0]?.v;
    const client = await rawClient();
    for (let round = 1; round <= 3; round++) {
      await until('the answer to be cached', async () => {
        expect(await read()).toBe(round - 1);
        return (await lastRoute(reader)).startsWith('cache');
      });
      say(
        client,
        ...extended(`UPDATE t SET v = ${round} WHERE k = 5`),
        ...extended('SELECT pg_advisory_xact_lock(7005)'),
      );
      await until('the batch to have begun', async () => (await advisoryLocks(7005)) === 1);
      expect(await read()).toBe(round - 1);
      say(client, sync);
      await answer(client);
      expect(await read()).toBe(round);
    }
  });

  test('others wait for its server no longer than query_wait_timeout, and it goes on', async () => {
    await straight();
    const holders = await Promise.all([rawClient(), rawClient()]);
    for (const [i, holder] of holders.entries()) say(holder, ...extended(`SELECT pg_advisory_xact_lock(${7010 + i})`));
    await until('both to have begun', async () => (await advisoryLocks(7010)) + (await advisoryLocks(7011)) === 2);
    const third = await rawClient();
    say(third, ...extended('UPDATE t SET v = v WHERE k = 6'), sync);
    for (const holder of holders) say(holder, sync);
    expect((await answer(third)).types).toBe('12nCZ');
    for (const holder of holders) expect((await answer(holder)).types).toBe('12TDCZ');
  });
});

/** What libpq sends at the end of a pipeline, and what is like it: nothing of it begins a batch. */
const ends: Readonly<Record<string, readonly Sent[]>> = {
  'Flush behind Sync': [...extended('UPDATE t SET v = v WHERE k = 8'), sync, flush],
  'Flush behind the Sync of a read': [...extended('SELECT v FROM t WHERE k = 8'), sync, flush],
  'Flush behind Query': [query('UPDATE t SET v = v WHERE k = 8'), flush],
  'Flush by itself': [flush],
  'many of them': [flush, query('SELECT 1'), flush, flush, sync, flush],
  'what is left of a COPY, with Flush': [query('SELECT 1'), copyData('1'), copyDone, flush],
};

describe('without a batch', () => {
  const readies = (messages: readonly Sent[]): number =>
    messages.filter(({ bytes }) => bytes[0] === sync.bytes[0] || bytes[0] === query('').bytes[0]).length;
  const isReady = ({ received }: RawClient, count: number): boolean =>
    received.filter(({ type }) => type === Backend.ReadyForQuery).length === count;

  test.each(Object.keys(ends))('%s holds no server', async (name) => {
    const messages = ends[name] as readonly Sent[];
    const idle = await Promise.all(Array.from({ length: 4 }, () => rawClient()));
    for (const client of idle) say(client, ...messages);
    for (const client of idle) {
      expect(await client.until(() => isReady(client, readies(messages)))).toBe(true);
      client.received.length = 0;
    }
    const console = await connectPg(weir.adminUrl());
    const held = async (): Promise<number> =>
      (await console.query<{ state: string }>('SHOW SERVERS')).rows.filter(({ state }) => state === 'active').length;
    await until('no server to be held', async () => (await held()) === 0);
    const other = await rawClient();
    say(other, query('UPDATE t SET v = v WHERE k = 9'));
    expect((await answer(other)).types).toBe('CZ');
    await terminateServers();
    for (const client of idle) await untilServed(client);
  });
});

describe('a server that ends', () => {
  const asked: Readonly<Record<string, readonly Sent[]>> = {
    'behind a write, flushed': [...extended('UPDATE t SET v = 5 WHERE k = 11'), flush],
    'behind a read, flushed': [...extended('SELECT v FROM t WHERE k = 11'), flush],
    'behind Parse, flushed': [parse('', 'SELECT v FROM t WHERE k = 11'), flush],
    'behind a portal that is not done': [parse('', 'SELECT v FROM t'), bind('', ''), execute('', 2), flush],
  };

  test.each(Object.keys(asked))('ends its client, as without Weir, %s', async (name) => {
    const talk = async (client: RawClient): Promise<string[]> => {
      say(client, ...(asked[name] as readonly Sent[]));
      await client.until(() => client.received.some(({ type }) => lastOf.includes(type)));
      await terminateServers();
      // What it says before that would be part of the batch.
      await client.until(() => client.received.some(({ type }) => type === Backend.ErrorResponse));
      say(client, query('SELECT 42'));
      await client.until(() => client.isClosed);
      return client.received.map(({ type, body }) => line(type, body));
    };
    const wanted = await talk(await rawClient({ host: '127.0.0.1', port: cluster.primary.port }, users.trust));
    expect(wanted.at(-1)).toContain('57P01');
    await untilServed(await rawClient());
    expect(await talk(await rawClient())).toEqual(wanted);
  });
});

/** What the last message before Flush brings. */
const lastOf: readonly number[] = [Backend.CommandComplete, Backend.PortalSuspended, Backend.ParseComplete];

/** A write that reaches a server before Weir has seen that it was terminated is answered with that. Each write is answered. */
async function untilServed(client: RawClient): Promise<void> {
  await until('the client to be served', async () => {
    say(client, query('UPDATE t SET v = v WHERE k = 10'));
    return (await answer(client)).types === 'CZ';
  });
}

async function terminateServers(): Promise<void> {
  const sql = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = '${database}' AND backend_type = 'client backend' AND application_name NOT LIKE 'weir%'
      AND pid <> pg_backend_pid()`;
  await (await straight()).query(sql);
}

describe('a batch that comes whole', () => {
  test('is a read that the cache keeps, and then a hit', async () => {
    const client = await connectPg(weir.url({ user: users.app, database }));
    const routes: string[] = [];
    await until('a hit', async () => {
      await client.query('SELECT v FROM t WHERE k = $1', [7]);
      const route = await lastRoute(client);
      routes.push(route);
      return route.startsWith('cache');
    });
    expect(routes.filter((route) => !/; read|^cache; hit$/.test(route))).toEqual([]);
  });
});
