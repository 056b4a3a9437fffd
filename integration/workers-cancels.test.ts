/**
 * CancelRequests for the clients of three workers, each on a new connection, which reaches any of them: one with the right
 * secret cancels the statement of its client and nothing else, one with a wrong secret nothing. WEIR_CANCELS=10000 sends more.
 * Fails if a cancel is lost between the workers, or hits another statement.
 */
import { connect as connectSocket } from 'node:net';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { cancelRequest } from '../src/protocol/write.ts';
import {
  closeClients,
  connectPg,
  linesOf,
  startWorkers,
  until,
  useCluster,
  weirConfig,
  workerOf,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const WORKERS = 3;
const SLEEPERS = 12;
const wanted = Number(process.env['WEIR_CANCELS'] ?? 2_000);
let database: string;
let weir: WeirProcess;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  const pool = { default_pool_size: 20, max_pool_size: 20, resize: { enabled: false } };
  // Each cancel is a connection of its own, on both sides: without TLS they take no time.
  const plain = { auth: { type: 'trust' }, tls: { server: { mode: 'disable' } } };
  weir = await startWorkers(WORKERS, weirConfig(useCluster(), { database, replicas: [] }, { ...pool, ...plain }));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await useCluster().dropDatabase(database);
});

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));

interface Key {
  readonly processID: number;
  readonly secretKey: number;
}

const keyOf = (client: pg.Client): Key => client as unknown as Key;

/** Resolves when the other side has closed the connection: then the request has been dealt with. */
function cancel({ processID, secretKey }: Key): Promise<void> {
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey);
  return new Promise((resolve, reject) => {
    const socket = connectSocket(weir.port, weir.host, () => socket.end(cancelRequest(processID, secret)));
    socket.on('error', reject).once('close', () => resolve());
  });
}

/** Says when it has begun. */
const sleep = "DO $$ BEGIN RAISE NOTICE 'begun'; PERFORM pg_sleep(3600); END $$";

interface Sleeping {
  readonly outcome: Promise<string | undefined>;
  isOver: boolean;
}

async function fallAsleep(client: pg.Client): Promise<Sleeping> {
  const begun = new Promise((resolve) => client.once('notice', resolve));
  const sleeping: Sleeping = {
    isOver: false,
    outcome: client
      .query(sleep)
      .then(
        () => 'went through',
        (error: unknown) => (error as pg.DatabaseError).code,
      )
      .finally(() => (sleeping.isOver = true)),
  };
  await begun;
  return sleeping;
}

async function sleepersOnServer(): Promise<number> {
  const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'`;
  return (await useCluster().query<{ n: number }>(sql, { values: [database] }))[0]?.n ?? 0;
}

test('wrong secrets and wrong numbers cancel nothing, whichever worker they reach', async () => {
  const clients = await Promise.all(Array.from({ length: SLEEPERS }, connect));
  const sleeping = await Promise.all(clients.map(fallAsleep));
  for (let round = 0; round < 4; round++) {
    const wrong = clients.map(keyOf).flatMap(({ processID, secretKey }) => [
      { processID, secretKey: secretKey ^ (1 << round) },
      { processID: processID + round + 1, secretKey },
    ]);
    await Promise.all(wrong.map(cancel));
  }
  expect(sleeping.filter(({ isOver }) => isOver)).toEqual([]);
  expect(await sleepersOnServer()).toBe(SLEEPERS);
  await Promise.all(clients.map((client) => cancel(keyOf(client))));
  expect(await Promise.all(sleeping.map(({ outcome }) => outcome))).toEqual(clients.map(() => '57014'));
});

test(
  `${wanted} right ones: each stops its own statement, nobody else's`,
  async () => {
    const clients = await Promise.all(Array.from({ length: SLEEPERS }, connect));
    expect(new Set(clients.map((client) => workerOf(client, WORKERS))).size).toBe(WORKERS);
    const bystanders = await Promise.all(Array.from({ length: 6 }, connect));
    let sent = 0;
    let isOver = false;
    const working = bystanders.map(async (client) => {
      let i = 0;
      for (; !isOver; i++) {
        const { rows } = await client.query<{ i: number }>('SELECT $1::int AS i, pg_sleep(0.01)', [i]);
        expect(rows[0]?.i).toBe(i);
      }
      return i;
    });
    const cancelling = clients.map(async (client, i) => {
      for (let round = 0; sent < wanted && !isOver; round++) {
        sent++;
        const sleeping = await fallAsleep(client);
        const { processID, secretKey } = keyOf(client);
        if (round % 4 === 0) await cancel({ processID, secretKey: ~secretKey });
        // Nobody else's cancel has stopped it.
        expect(sleeping.isOver).toBe(false);
        await cancel({ processID, secretKey });
        expect(await sleeping.outcome).toBe('57014');
        // The cancel has been dealt with: what comes next is no concern of it.
        expect((await client.query<{ i: number }>('SELECT $1::int AS i', [i])).rows).toEqual([{ i }]);
      }
    });
    // The rest would go on for ever.
    for (const one of [...working, ...cancelling]) one.catch(() => (isOver = true));
    await Promise.all(cancelling);
    isOver = true;
    expect(Math.min(...(await Promise.all(working))), 'what the slowest bystander did').toBeGreaterThan(10);
    expect(sent).toBe(wanted);
    expect(linesOf(weir, 'cancel_failed')).toEqual([]);
  },
  240_000 + 100 * wanted,
);

test('a client that has changed its worker is found at its new one', async () => {
  const clients = await Promise.all(Array.from({ length: SLEEPERS }, connect));
  for (const client of clients) await client.query('SELECT 1');
  weir.signal('SIGUSR2');
  await until('all workers to be replaced', () => weir.output.includes('all workers are replaced'));
  const sleeping = await Promise.all(clients.map(fallAsleep));
  for (const [i, client] of clients.entries()) {
    await cancel(keyOf(client));
    expect(await sleeping[i]!.outcome).toBe('57014');
    expect(sleeping.filter(({ isOver }) => isOver)).toHaveLength(i + 1);
  }
});
