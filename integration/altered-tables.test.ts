/**
 * Prepared statements of drivers whose table is altered beside Weir, when the next server has to prepare them anew: the
 * driver is told as PostgreSQL would tell it, nothing is written, and nobody is left behind who waits for that server.
 * Byte for byte it is in differential/scripts/altered-tables.ts.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Backend } from '../src/protocol/codes.ts';
import { describeStatement, parse, run, sync, type Sent } from './differential/messages.ts';
import { RawClient } from './differential/raw-client.ts';
import {
  PASSWORD,
  closeClients,
  connectPg,
  connectPostgresJs,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
const servers = 3;
const pool = { default_pool_size: servers, max_pool_size: servers, resize: { enabled: false } };
const changed = { code: '0A000', routine: 'RevalidateCachedQuery', message: 'cached plan must not change result type' };
let weir: WeirProcess;
let database: string;
let others: pg.Client[];
/** Number of the present test; a table has it in its name, so that no catalog of an earlier test has that table. */
let made = 0;

beforeAll(async () => {
  database = await cluster.createDatabase();
  weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, pool));
});
beforeEach(async () => {
  await admin('CREATE TABLE t (i int); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO app');
  await admin(`CREATE TABLE made_${++made} (); ALTER TABLE made_${made} OWNER TO app`);
  others = await Promise.all(Array.from({ length: servers }, connect));
});
afterEach(async () => {
  await closeClients();
  await admin(`DROP TABLE t, made_${made}`);
});
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const admin = (sql: string): Promise<unknown> => cluster.query(sql, { database });
const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const read = { name: 'read', text: 'SELECT * FROM t' };
const write = { name: 'write', text: 'INSERT INTO t (i) VALUES (2) RETURNING *' };

/** Runs `prepare` when one server is free, and after it only the others are. */
async function preparedElsewhere<T>(prepare: () => Promise<T>): Promise<T> {
  const [last, ...first] = others as [pg.Client, ...pg.Client[]];
  for (const other of first) await other.query('BEGIN');
  const result = await prepare();
  await last.query('BEGIN');
  for (const other of first) await other.query('COMMIT');
  return result;
}

async function rows(): Promise<number> {
  const [row] = await cluster.query<{ n: number }>('SELECT count(*)::int AS n FROM t', { database });
  return row?.n ?? -1;
}

/** Weir has noticed this test's tables, so it can tell what only reads. */
async function known(): Promise<void> {
  const client = await connect();
  await until('Weir to know the tables', async () => {
    await client.query(`SELECT FROM made_${made}`);
    const { rows: shown } = await client.query<Record<string, string>>('SHOW weir.last_route');
    return shown[0]?.['weir.last_route']?.includes('unknown') === false;
  });
}

test('node-postgres is told that the result type has changed, and nothing is written', async () => {
  const client = await connect();
  await preparedElsewhere(async () => {
    expect((await client.query(read)).rows).toEqual([{ i: 1 }]);
    expect((await client.query(write)).rows).toEqual([{ i: 2 }]);
  });
  await admin('ALTER TABLE t ADD COLUMN j int DEFAULT 5');
  for (let i = 0; i < 2; i++) {
    await expect(client.query(write)).rejects.toMatchObject(changed);
    await expect(client.query(read)).rejects.toMatchObject(changed);
  }
  expect(await rows()).toBe(2);
  expect((await client.query({ ...write, name: 'anew' })).rows).toEqual([{ i: 2, j: 5 }]);
  expect((await client.query({ ...read, name: 'also anew' })).rows).toHaveLength(3);
  await client.query('BEGIN');
  await expect(client.query(read)).rejects.toMatchObject(changed);
  await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
  await client.query('ROLLBACK');
  await admin('ALTER TABLE t DROP COLUMN j');
  expect((await client.query(read)).rows).toHaveLength(3);
});

test('postgres.js prepares it again by itself', async () => {
  const sql = connectPostgresJs(weir.url({ database }));
  const ask = (): Promise<unknown[]> => sql`SELECT * FROM t WHERE i = ${1}`.then((found) => [...found]);
  expect(await preparedElsewhere(ask)).toEqual([{ i: 1 }]);
  await admin('ALTER TABLE t ADD COLUMN j int DEFAULT 5');
  expect(await ask()).toEqual([{ i: 1, j: 5 }]);
});

test('a client that prepares the same text later has the new one', async () => {
  const [old, late] = [await connect(), await connect()];
  await preparedElsewhere(() => old.query(read));
  await admin('ALTER TABLE t ADD COLUMN j int DEFAULT 5');
  expect((await late.query(read)).rows).toEqual([{ i: 1, j: 5 }]);
  await expect(old.query(read)).rejects.toMatchObject(changed);
  expect((await late.query(read)).rows).toEqual([{ i: 1, j: 5 }]);
});

test('what a client knows from the cache alone is kept too', async () => {
  const cached = await startWeir(
    weirConfig(cluster, { database, replicas: [] }, { ...pool, cache: { enabled: true } }),
  );
  try {
    others = await Promise.all(others.map(() => connectPg(cached.url({ database }))));
    const [first, second] = [await connectPg(cached.url({ database })), await connectPg(cached.url({ database }))];
    await preparedElsewhere(async () => {
      await until('the answer to be cached', async () => {
        await first.query(read);
        await first.query({ ...read, name: '' });
        const { rows: shown } = await first.query<Record<string, string>>('SHOW weir.last_route');
        return shown[0]?.['weir.last_route'] === 'cache; hit';
      });
    });
    expect((await second.query(read)).rows).toEqual([{ i: 1 }]);
    const { rows: shown } = await second.query<Record<string, string>>('SHOW weir.last_route');
    expect(shown[0]?.['weir.last_route']).toBe('cache; hit');
    await admin('ALTER TABLE t ADD COLUMN j int DEFAULT 5');
    const told: unknown[] = [];
    let refused: unknown;
    await until('Weir to ask a server', async () => {
      const answer: unknown = await second.query(read).catch((error: unknown) => error);
      if (answer instanceof Error) refused = answer;
      else told.push((answer as pg.QueryResult).rows);
      return refused;
    });
    expect(refused).toMatchObject(changed);
    expect(told).toEqual(told.map(() => [{ i: 1 }]));
  } finally {
    await closeClients();
    await cached.stop();
  }
});

/** `answer` sends messages, waits for a ReadyForQuery for each Sync, and gives the types of all that came. */
async function openRaw(): Promise<{ client: RawClient; answer: (...said: Sent[]) => Promise<string> }> {
  const address = { host: '127.0.0.1', port: weir.port, user: users.app, password: PASSWORD, database };
  const client = await RawClient.open(address, {});
  const readies = (): number => client.received.filter(({ type }) => type === Backend.ReadyForQuery).length;
  await client.until(() => readies() === 1);
  const answer = async (...said: Sent[]): Promise<string> => {
    const count = said.filter(({ type }) => type === sync.type).length;
    client.received.length = 0;
    client.send(Buffer.concat(said.map(({ bytes }) => bytes)));
    await client.until(() => readies() === count);
    return client.received.map(({ type }) => String.fromCharCode(type)).join('');
  };
  return { client, answer };
}

test('statements without a name, described first and run later', async () => {
  const { client, answer } = await openRaw();
  await known();
  const select = parse('', 'SELECT i, 1 / i FROM t WHERE i > $1');
  expect(await preparedElsewhere(() => answer(select, describeStatement(''), sync))).toBe('1tTZ');
  const once = [...run('', '0'), sync];
  expect(await answer(...once, ...once)).toBe('2DCZ2DCZ');
  await (others[0] as pg.Client).query('COMMIT');
  expect(await preparedElsewhere(() => answer(select, describeStatement(''), sync))).toBe('1tTZ');
  await admin('ALTER TABLE t ALTER i TYPE numeric; INSERT INTO t VALUES (0)');
  expect(await answer(...run('', '-1'), sync, ...once, parse('', 'SELECT 1'), ...run(''), sync)).toBe('EZEZ12DCZ');
  client.close();
});

test.each([
  ['run twice in a batch', 'EZ', () => [...run(''), ...run(''), sync]],
  ['run in two batches sent together', 'EZEZ', () => [...run(''), sync, ...run(''), sync]],
  // PostgreSQL describes the parameters before it looks at the rest.
  ['described and run', 'tEZ', () => [describeStatement(''), ...run(''), sync]],
  ['run, described and run', 'EZ', () => [...run(''), describeStatement(''), ...run(''), sync]],
])('a statement without a name that has changed is %s: one error for each batch', async (_how, expected, said) => {
  const { client, answer } = await openRaw();
  await known();
  await preparedElsewhere(() => answer(parse('', 'SELECT i FROM t'), describeStatement(''), sync));
  await admin('ALTER TABLE t ALTER i TYPE numeric');
  expect(await answer(...said())).toBe(expected);
  expect(await answer(parse('', 'SELECT 1'), ...run(''), sync)).toBe('12DCZ');
  client.close();
});

/** The server that is asked waits for the table, and with it the client. */
async function asked<T>(
  ask: () => Promise<T>,
  then: (pid: number, answer: Promise<T>) => Promise<void>,
): Promise<void> {
  const locking = await connectPg(cluster.url(cluster.primary, { user: cluster.superuser, database }));
  await locking.query('BEGIN; LOCK TABLE t');
  const answer = ask();
  answer.catch(() => undefined);
  const waiting = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
  const pid = await until('the server to wait', async () => {
    const [row] = await cluster.query<{ pid: number }>(waiting, { values: [database] });
    return row?.pid;
  });
  await then(pid, answer);
  await locking.query('COMMIT');
  await answer.catch(() => undefined);
}

test.each([
  { what: 'a read', statement: read, expected: { rows: [{ i: 1 }] } },
  { what: 'a write', statement: write, expected: { code: '57P01' } },
])('its server is lost while it is asked: $what', async ({ statement, expected }) => {
  const client = await connect();
  await known();
  await preparedElsewhere(() => client.query(statement));
  await admin('DELETE FROM t WHERE i = 2');
  let result: Promise<unknown> | undefined;
  await asked(
    () => client.query(statement),
    async (pid, answer) => {
      await admin(`SELECT pg_terminate_backend(${pid})`);
      result = answer.catch((error: unknown) => error);
    },
  );
  expect(await result).toMatchObject(expected);
  expect((await client.query('SELECT 7 AS n')).rows).toEqual([{ n: 7 }]);
  expect(await rows()).toBe(1);
});

test('a cancel is heard while it is asked', async () => {
  const client = await connect();
  await preparedElsewhere(() => client.query(write));
  await asked(
    () => client.query(write),
    async (pid, answer) => {
      await admin(`SELECT pg_cancel_backend(${pid})`);
      await expect(answer).rejects.toMatchObject({ code: '57014' });
    },
  );
  expect(await rows()).toBe(2);
  expect((await client.query(write)).rows).toEqual([{ i: 2 }]);
});

test('a client that leaves while it is asked leaves no server behind', async () => {
  const client = await connect();
  await preparedElsewhere(() => client.query(write));
  await asked(
    () => client.query(write),
    async () => {
      (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      await (others[0] as pg.Client).query('COMMIT');
      for (const other of others) await other.query('BEGIN');
    },
  );
  expect(await rows()).toBe(2);
});
