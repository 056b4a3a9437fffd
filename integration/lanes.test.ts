/**
 * Short reads of many clients on one server connection (src/pool/lanes.ts): nobody gets another's answer, and whatever
 * happens to one of them, a slow read, a cancel, a client that leaves or does not read, happens to nobody else.
 */
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
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

/** No test has more clients at the same time. */
const mostClients = 52;

let database: string;
let weir: TestWeir;
let console: pg.Client;

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

async function start(servers: number): Promise<void> {
  const more = {
    default_pool_size: servers,
    max_pool_size: servers,
    resize: { enabled: false },
    cache: { enabled: false },
    log: { level: 'error' },
  };
  weir = await startTestWeir(weirConfig(useCluster(), { database, replicas: [] }, more));
  // A lane is of the clients of one worker.
  await fillOtherWorkers(weir, mostClients);
  console = await connectPg(weir.adminUrl());
}

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));

/** Quick or slow as the parameter says; Weir knows only how quick the template was. */
const counting =
  'SELECT count(*)::int AS n, $2::int AS tag FROM generate_series(1, $1::int) a, generate_series(1, 1000) b';
const slow = 20_000;

const count = async (client: pg.Client, size: number, tag: number): Promise<{ n: number; tag: number }> =>
  (await client.query<{ n: number; tag: number }>(counting, [size, tag])).rows[0] ?? { n: -1, tag: -1 };

/** Lets Weir learn that these are quick. */
async function prime(client: pg.Client, sql = counting, values: unknown[] = [1, 0]): Promise<void> {
  for (let i = 0; i < 10; i++) await client.query(sql, values);
}

/** How many clients are on each server, by the server's id. */
async function links(): Promise<Map<string, number>> {
  const { rows } = await console.query<{ link: string; database: string }>('SHOW CLIENTS');
  const found = new Map<string, number>();
  for (const { link } of rows) if (link !== '') found.set(link, (found.get(link) ?? 0) + 1);
  return found;
}

interface Lane<T> {
  readonly head: Promise<T>;
  readonly others: Promise<{ n: number; tag: number }>[];
}

/**
 * A head that takes its time, and the others behind it in its lane. Whether they come in time is luck (20 ms), so it is
 * tried until it has been seen.
 */
async function formLane<T>(
  begin: () => Promise<T>,
  others: readonly pg.Client[],
  primeHead: (client: pg.Client) => Promise<void> = () => Promise.resolve(),
  giveUp: () => void = () => undefined,
): Promise<Lane<T>> {
  return until('a lane to form', async () => {
    await prime(others[0] as pg.Client);
    await primeHead(others[0] as pg.Client);
    const head = begin();
    head.catch(() => undefined);
    // Weir has read the head's request before the others send theirs.
    for (let i = 0; i < 3; i++) await turn();
    const behind = others.map((client, i) => count(client, 1, i));
    for (const each of behind) each.catch(() => undefined);
    if (Math.max(...(await links()).values()) > others.length) return { head, others: behind };
    giveUp();
    await Promise.allSettled([head, ...behind]);
    return undefined;
  });
}

const answers = (clients: readonly pg.Client[]): { n: number; tag: number }[] =>
  clients.map((_client, i) => ({ n: 1000, tag: i }));

async function backendOf(text: string): Promise<number> {
  const sql = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND query LIKE $2";
  const [row] = await useCluster().query<{ pid: number }>(sql, { values: [database, `%${text}%`] });
  if (row === undefined) throw new Error(`nobody runs ${text}`);
  return row.pid;
}

const isRunning = (): Promise<boolean> =>
  backendOf('generate_series').then(
    () => true,
    () => false,
  );

const cancel = (client: pg.Client): void => {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const canceller = new pg.Client({ connectionString: weir.url({ database }) }) as unknown as {
    connection: {
      connect(port: number, host: string): void;
      cancel(id: number, key: number): void;
      on: pg.Client['on'];
    };
  };
  canceller.connection.on('error', () => undefined);
  canceller.connection.on('connect' as 'end', () => canceller.connection.cancel(processID, secretKey));
  canceller.connection.connect(weir.port, weir.host);
};

test('everybody gets the answer to the own question, in simple, extended and prepared form, and the own error', async () => {
  await start(2);
  const first = await connect();
  for (let i = 1; i <= 10; i++) {
    await first.query(`SELECT 1000 / ${i} AS n, 'tag ${i}' AS tag`);
    await first.query('SELECT 1000 / $1::int AS n, $2::text AS tag', [i, 'x']);
    await first.query({ name: 'prepared', text: 'SELECT 1000 / $1::int AS n, $2::text AS tag, 3', values: [i, 'x'] });
  }
  const clients = await Promise.all(Array.from({ length: 50 }, connect));
  let shared = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      shared = Math.max(shared, ...(await links()).values());
      await turn();
    }
  })();
  const work = clients.map(async (client, c) => {
    for (let i = 0; i < 60; i++) {
      const divisor = (c + i) % 7;
      const tag = `${c}:${i}`;
      const text = `SELECT 1000 / ${divisor} AS n, '${tag}' AS tag`;
      const values = [divisor, tag];
      const name = `of client ${c}`;
      const asked = [
        () => client.query<{ n: number; tag: string }>(text),
        () => client.query<{ n: number; tag: string }>('SELECT 1000 / $1::int AS n, $2::text AS tag', values),
        () =>
          client.query<{ n: number; tag: string }>({
            name,
            text: 'SELECT 1000 / $1::int AS n, $2::text AS tag, 3',
            values,
          }),
      ][i % 3] as () => Promise<pg.QueryResult<{ n: number; tag: string }>>;
      if (divisor === 0) await expect(asked()).rejects.toMatchObject({ code: '22012' });
      else expect((await asked()).rows[0]).toMatchObject({ n: Math.floor(1000 / divisor), tag });
    }
  });
  await Promise.all(work);
  isOver = true;
  await watching;
  expect(shared).toBeGreaterThan(3);
  const [row] = await useCluster().query<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND application_name <> 'weir monitor'",
    { values: [database] },
  );
  expect(row?.n).toBeLessThanOrEqual(2);
});

describe('behind a slow read', () => {
  test('nobody waits longer than half a second when there is another server', async () => {
    await start(2);
    const [head, keeper, ...others] = await Promise.all(Array.from({ length: 8 }, connect));
    if (head === undefined || keeper === undefined) throw new Error('two clients');
    await keeper.query('BEGIN');
    await keeper.query('SELECT 1');
    const lane = await formLane(() => count(head, 5 * slow, 99), others);
    await keeper.query('COMMIT');
    expect(await Promise.all(lane.others)).toEqual(answers(others));
    expect(await isRunning()).toBe(true);
    cancel(head);
    await expect(lane.head).rejects.toMatchObject({ code: '57014' });
    // All are whole afterwards.
    expect(await Promise.all(others.map((client, i) => count(client, 1, i)))).toEqual(answers(others));
  });

  test('and with one server everybody is answered after it', async () => {
    await start(1);
    const [head, ...others] = await Promise.all(Array.from({ length: 8 }, connect));
    if (head === undefined) throw new Error('a client');
    const lane = await formLane(() => count(head, slow, 99), others);
    expect(await lane.head).toEqual({ n: slow * 1000, tag: 99 });
    expect(await Promise.all(lane.others)).toEqual(answers(others));
  });
});

describe('a cancel', () => {
  test('of the one whose turn it is stops it, and its neighbours are answered', async () => {
    await start(1);
    const [head, ...others] = await Promise.all(Array.from({ length: 6 }, connect));
    if (head === undefined) throw new Error('a client');
    const lane = await formLane(() => count(head, slow, 99), others);
    cancel(head);
    await expect(lane.head).rejects.toMatchObject({ code: '57014' });
    expect(await Promise.all(lane.others)).toEqual(answers(others));
    await until('its statement to end', async () => !(await isRunning()));
    expect(await count(head, 1, 7)).toEqual({ n: 1000, tag: 7 });
  });

  test('of one who waits behind it is answered at once, and touches nobody', async () => {
    await start(1);
    const [head, second, ...others] = await Promise.all(Array.from({ length: 6 }, connect));
    if (head === undefined || second === undefined) throw new Error('two clients');
    const lane = await formLane(() => count(head, slow, 99), [second, ...others]);
    cancel(second);
    await expect(lane.others[0]).rejects.toMatchObject({ code: '57014' });
    expect(await isRunning()).toBe(true);
    const next = count(second, 1, 5);
    expect(await lane.head).toEqual({ n: slow * 1000, tag: 99 });
    expect(await Promise.all(lane.others.slice(1))).toEqual(answers([second, ...others]).slice(1));
    expect(await next).toEqual({ n: 1000, tag: 5 });
  });
});

test('a server that is killed with its lane full costs nobody an answer', async () => {
  await start(1);
  const [head, ...others] = await Promise.all(Array.from({ length: 12 }, connect));
  if (head === undefined) throw new Error('a client');
  const lane = await formLane(() => count(head, slow / 2, 99), others);
  await useCluster().query('SELECT pg_terminate_backend($1)', { values: [await backendOf('generate_series')] });
  expect(await lane.head).toEqual({ n: (slow / 2) * 1000, tag: 99 });
  expect(await Promise.all(lane.others)).toEqual(answers(others));
});

describe('a client', () => {
  const socketOf = (client: pg.Client): Socket =>
    (client as unknown as { connection: { stream: Socket } }).connection.stream;

  test('that leaves in the middle of a lane, or at its head, is not missed', async () => {
    await start(1);
    const [head, leaver, ...others] = await Promise.all(Array.from({ length: 8 }, connect));
    if (head === undefined || leaver === undefined) throw new Error('two clients');
    const lane = await formLane(() => count(head, slow / 2, 99), [leaver, ...others]);
    socketOf(leaver).destroy();
    socketOf(head).destroy();
    await expect(lane.head).rejects.toThrow('Connection terminated');
    expect(await Promise.all(lane.others.slice(1))).toEqual(answers([leaver, ...others]).slice(1));
    await until('their server to be given back', async () => (await links()).size === 0);
    const [first] = others;
    expect(await count(first as pg.Client, 1, 3)).toEqual({ n: 1000, tag: 3 });
  });

  const big = 'SELECT repeat($2::text, $1::int) AS text, 0 AS tag';
  const bigBytes = 50_000_000;

  /** A lane behind one who has asked for something large and does not read it. */
  const behindReader = (
    reader: pg.Client,
    others: readonly pg.Client[],
  ): Promise<Lane<pg.QueryResult<{ text: string }>>> =>
    formLane(
      () => {
        const answer = reader.query<{ text: string }>(big, [bigBytes, 'x']);
        setImmediate(() => socketOf(reader).pause());
        return answer;
      },
      others,
      (client) => prime(client, big, [1, 'x']),
      () => socketOf(reader).resume(),
    );

  test('that does not read a large answer holds up nobody, and gets it whole in the end', async () => {
    await start(2);
    const [reader, keeper, ...others] = await Promise.all(Array.from({ length: 8 }, connect));
    if (reader === undefined || keeper === undefined) throw new Error('two clients');
    await keeper.query('BEGIN');
    await keeper.query('SELECT 1');
    const lane = await behindReader(reader, others);
    await keeper.query('COMMIT');
    expect(await Promise.all(lane.others)).toEqual(answers(others));
    socketOf(reader).resume();
    expect((await lane.head).rows[0]?.text.length).toBe(bigBytes);
    // Its server serves again.
    expect(await Promise.all([keeper, reader, ...others].map((client, i) => count(client, 1, i)))).toHaveLength(8);
  });

  test('that leaves instead of reading it leaves a server that is whole', async () => {
    await start(1);
    const [reader, ...others] = await Promise.all(Array.from({ length: 6 }, connect));
    if (reader === undefined) throw new Error('a client');
    const lane = await behindReader(reader, others);
    socketOf(reader).destroy();
    await expect(lane.head).rejects.toThrow('Connection terminated');
    expect(await Promise.all(lane.others)).toEqual(answers(others));
  });
});
