/**
 * Four Weirs that share the connections of one PostgreSQL server through a real Redis, while some are killed, stopped or cut off:
 * seen from pg_stat_activity, their connections never exceed the budget. The connections of monitors are not counted.
 */
import { connect } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  startRedis,
  startWeir,
  TcpRelay,
  until,
  useCluster,
  users,
  weirConfig,
  workersOf,
} from './harness/index.ts';
import type { Redis, WeirConfig, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
const budget = 12;
let database: string;
let redis: Redis;
/** Each test has a ledger of its own. */
let redisDb = 0;
const stops: (() => unknown)[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
  redis = await startRedis();
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await closeClients();
  redisDb++;
});
afterAll(async () => {
  await redis.stop();
  await cluster.dropDatabase(database);
});

/** Counts the connections of pools at the server, about thirty times a second. */
class Watch {
  most = 0;
  samples = 0;
  private isOver = false;
  private readonly loop: Promise<void>;

  constructor(client: pg.Client) {
    this.loop = this.run(client);
  }

  private async run(client: pg.Client): Promise<void> {
    while (!this.isOver) {
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::int FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND pid <> pg_backend_pid()
         AND application_name NOT LIKE 'weir monitor%'`,
        [database, users.app],
      );
      this.most = Math.max(this.most, rows[0]?.count ?? 0);
      this.samples++;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.loop;
  }
}

async function watch(): Promise<Watch> {
  const client = new pg.Client({ connectionString: cluster.url() });
  await client.connect();
  const watching = new Watch(client);
  stops.push(async () => {
    await watching.stop();
    await client.end();
  });
  return watching;
}

const redisUrl = (port = redis.port): string => `redis://127.0.0.1:${port}/${redisDb}`;

async function weir(url = redisUrl(), more: WeirConfig = {}): Promise<WeirProcess> {
  const config = weirConfig(
    cluster,
    { database, replicas: [] },
    {
      budget: { redis: url, share: 0.25, max_connections: budget },
      default_pool_size: 20,
      max_pool_size: 20,
      ...more,
    },
  );
  const started = await startWeir(config);
  stops.push(() => started.kill());
  return started;
}

/** Clients that run a statement of some milliseconds all the time. Returns how to end that. */
function load(at: WeirProcess, clients: number): () => Promise<void> {
  let isOver = false;
  const one = async (): Promise<void> => {
    while (!isOver) {
      const client = new pg.Client({ connectionString: at.url({ database }), application_name: 'shop' });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!isOver) await client.query('SELECT pg_sleep(0.02)');
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await client.end().catch(() => undefined);
    }
  };
  const all = Array.from({ length: clients }, one);
  const end = async (): Promise<void> => {
    isOver = true;
    await Promise.all(all);
  };
  stops.push(() => (isOver = true));
  return end;
}

interface Row {
  readonly limit: number;
  readonly open: number;
  readonly weirs: number | null;
  readonly state: string;
}

async function shown(at: WeirProcess): Promise<Row> {
  const [row] = (await askConsole(at, 'SHOW CONNECTION_BUDGET')) as unknown as Record<string, string | null>[];
  const number = (value: string | null | undefined): number => Number(value ?? NaN);
  return {
    limit: number(row?.['limit']),
    open: number(row?.['open']),
    weirs: row?.['weirs'] == null ? null : Number(row['weirs']),
    state: String(row?.['state']),
  };
}

function untilShown(at: WeirProcess, what: string, is: (row: Row) => boolean): Promise<unknown> {
  return until(what, async () => {
    const row = await shown(at);
    if (!is(row)) throw new Error(JSON.stringify(row));
    return true;
  });
}

test('the Weir that needs them gets most; one that is killed is inherited when its connections are gone', async () => {
  const watching = await watch();
  const [hot, second] = await Promise.all([weir(), weir(), weir(), weir()]);
  load(hot, 20);
  await untilShown(hot, 'the hot Weir to have most', ({ open, weirs }) => open >= budget - 3 && weirs === 4);
  load(second, 20);
  await untilShown(second, 'a newcomer to get its part', ({ open }) => open >= 4);
  process.kill(hot.pid, 'SIGKILL');
  await untilShown(second, 'the other to inherit', ({ open, weirs }) => open >= budget - 3 && weirs === 3);
  expect(watching.samples).toBeGreaterThan(50);
  expect(watching.most).toBeGreaterThanOrEqual(budget - 3);
  expect(watching.most).toBeLessThanOrEqual(budget);
});

test('one that is stopped keeps what it has, and no more, and goes on', async () => {
  const watching = await watch();
  const [hot, second] = await Promise.all([weir(), weir()]);
  load(hot, 20);
  await untilShown(hot, 'the hot Weir to have most', ({ open }) => open >= budget - 3);
  process.kill(hot.pid, 'SIGSTOP');
  load(second, 20);
  await untilShown(second, 'the other to know that it is alone', ({ weirs }) => weirs === 1);
  process.kill(hot.pid, 'SIGCONT');
  await untilShown(second, 'both to have their part', ({ open, weirs }) => open >= 4 && weirs === 2);
  await untilShown(hot, 'both to have their part', ({ open, state }) => open >= 4 && state === 'granted');
  expect(watching.most).toBeGreaterThanOrEqual(budget - 3);
  expect(watching.most).toBeLessThanOrEqual(budget);
});

test('one that is cut off from Redis keeps what it has, says so, and comes back', async () => {
  const relay = await TcpRelay.start({ port: redis.port });
  stops.push(() => relay.stop());
  const watching = await watch();
  const [cut, second] = await Promise.all([weir(redisUrl(relay.port)), weir()]);
  const endLoad = load(cut, 3);
  await untilShown(cut, 'the Weir to have some', ({ open, state }) => open >= 3 && state === 'granted');
  const { limit } = await shown(cut);
  relay.blackhole();
  await untilShown(cut, 'the Weir to know that it is cut off', ({ state }) => state === 'without Redis');
  // Others may take what is left, and the one that is cut off may not grow above its share of it.
  load(second, 20);
  load(cut, 20);
  await untilShown(second, 'the other to have the rest', ({ open, weirs }) => open >= budget - limit && weirs === 1);
  const alone = await shown(cut);
  expect(alone.open).toBeGreaterThanOrEqual(1);
  expect(alone.open).toBeLessThanOrEqual(limit);
  expect(cut.logs.some(({ event, state }) => event === 'connection_budget' && state === 'without Redis')).toBe(true);
  const { body } = await cut.http();
  expect(body).toMatch(/weir_connection_budget_shared\{[^}]*\} 0/);
  relay.cut();
  relay.pass();
  await untilShown(cut, 'it to have its part again', ({ open, state }) => open >= 4 && state === 'granted');
  await endLoad();
  expect(watching.most).toBeGreaterThanOrEqual(budget - 3);
  expect(watching.most).toBeLessThanOrEqual(budget);
});

test('a Redis that has lost everything learns it anew, and one with nonsense in its place too', async () => {
  const watching = await watch();
  const [hot, second] = await Promise.all([weir(), weir()]);
  load(hot, 20);
  await untilShown(hot, 'the hot Weir to have most', ({ open }) => open >= budget - 3);
  await command(redis.port, 'FLUSHALL');
  load(second, 20);
  await untilShown(second, 'both to have their part', ({ open, weirs }) => open >= 4 && weirs === 2);
  const [key = ''] = (await command(redis.port, 'KEYS weir:connections:*')).split('\r\n').slice(2, 3);
  expect(key).toMatch(/^weir:connections:\d+@127\.0\.0\.1:\d+$/);
  await command(redis.port, `SET ${key} [1,-5,1e300,"x",[[]]]`);
  await untilShown(second, 'both to have their part', ({ open, weirs }) => open >= 4 && weirs === 2);
  await command(redis.port, `DEL ${key}`);
  await command(redis.port, `LPUSH ${key} nonsense`);
  await untilShown(hot, 'both to have their part', ({ open, weirs }) => open >= 4 && weirs === 2);
  expect(watching.most).toBeGreaterThanOrEqual(budget - 3);
  expect(watching.most).toBeLessThanOrEqual(budget);
});

test('the workers of a Weir have its share together, also when the lead is killed', async () => {
  const watching = await watch();
  const [several, single] = await Promise.all([weir(redisUrl(), { workers: 2 }), weir()]);
  load(several, 20);
  await untilShown(several, 'the hot Weir to have most', ({ open, weirs }) => open >= budget - 3 && weirs === 2);
  load(single, 20);
  await untilShown(single, 'the other to get its part', ({ open }) => open >= 4);
  for (const { pid } of await workersOf(several)) {
    process.kill(Number(pid), 'SIGKILL');
    await until('the worker to be replaced', async () => {
      const workers = await workersOf(several);
      return workers.length === 2 && workers.every((each) => each.state === 'ready' && each.pid !== pid);
    });
  }
  await untilShown(several, 'both to have their part', ({ open, state }) => open >= 4 && state === 'granted');
  expect(watching.most).toBeGreaterThanOrEqual(budget - 3);
  expect(watching.most).toBeLessThanOrEqual(budget);
});

test('without Redis each has its fixed share, and a reload may change that', async () => {
  const watching = await watch();
  const noRedis = { budget: { redis: null, share: 0.25, max_connections: budget } };
  const [one, two] = await Promise.all([weir('', noRedis), weir('', noRedis)]);
  load(one, 10);
  load(two, 10);
  for (const each of [one, two])
    await untilShown(
      each,
      'a quarter',
      ({ open, limit, state }) => open === 3 && limit === 3 && state === 'fixed share',
    );
  await until('both to be seen', () => watching.most === 6);
  // A reload changes the share, and where it comes from.
  await askConsole(one, "SET budget.share = '0.5'");
  await untilShown(one, 'a half', ({ open, limit }) => open === 6 && limit === 6);
  for (const each of [one, two]) await askConsole(each, `SET budget.redis = '${redisUrl()}'`);
  await untilShown(one, 'both to share', ({ open, weirs, state }) => open >= 4 && weirs === 2 && state === 'granted');
  await untilShown(two, 'both to share', ({ open, weirs, state }) => open >= 4 && weirs === 2 && state === 'granted');
  for (const each of [one, two]) await askConsole(each, "SET budget.redis = 'null'");
  await untilShown(two, 'a quarter again', ({ open, state }) => open === 3 && state === 'fixed share');
  expect(watching.most).toBeLessThanOrEqual(budget);
});

/** Says something to Redis, and returns the bytes of its answer. */
function command(port: number, words: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.setEncoding('utf8');
    socket.once('error', reject);
    let answer = '';
    socket.on('data', (text: string) => {
      answer += text;
      if (!/^\+OK\r\n[^]+/.test(answer)) return;
      socket.destroy();
      resolve(answer.slice('+OK\r\n'.length));
    });
    socket.write(`SELECT ${redisDb}\r\n${words}\r\n`);
  });
}
