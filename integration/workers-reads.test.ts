/**
 * Clients of three workers that share the cache, through the memory of their supervisor and through Redis: what was acknowledged to
 * one is seen by all, with `session` and `strict`; own writes and reads count also when a client changes its worker. That cache
 * and replicas really answer is counted. Fails if a worker shows what another has made out of date.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  connectToEach,
  hasRedis,
  lastRoute,
  linesOf,
  startRedis,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { Redis, WeirProcess } from './harness/index.ts';

const WORKERS = 3;
const ROUNDS = Number(process.env['WEIR_READ_ROUNDS'] ?? 40);
const read = 'SELECT n FROM board WHERE id = $1';
const write = 'UPDATE board SET n = $2 WHERE id = $1';
const stores = hasRedis() ? (['the supervisor', 'Redis'] as const) : (['the supervisor'] as const);

describe.each(stores)('through %s', (store) => {
  let database: string;
  let redis: Redis | undefined;
  let weir: WeirProcess;

  beforeAll(async () => {
    const cluster = useCluster();
    database = await cluster.createDatabase();
    await cluster.query(
      `SET ROLE app; CREATE TABLE board (id int PRIMARY KEY, n int NOT NULL);
       INSERT INTO board SELECT i, 0 FROM generate_series(1, 100) i`,
      { database },
    );
    await cluster.waitForReplicas();
    if (store === 'Redis') redis = await startRedis();
    const cache = { enabled: true, ...(redis !== undefined && { redis: redis.url }) };
    const options = { database, serverUser: null };
    weir = await startWorkers(WORKERS, weirConfig(cluster, options, { cache, auth: { user: users.monitor } }));
    const event = store === 'Redis' ? 'cache_redis' : 'cache_workers';
    const isInStep = ({ msg }: Record<string, unknown>): boolean => String(msg).startsWith('in step');
    await until('all workers to be in step', () => {
      const inStep = linesOf(weir, event).filter(isInStep);
      return new Set(inStep.map(({ worker }) => worker)).size === WORKERS;
    });
    await until('all workers to have a lease', async () =>
      /^weir_cache_lease_valid 1$/m.test((await weir.http()).body),
    );
  });
  afterEach(closeClients);
  afterAll(async () => {
    await weir.stop();
    await redis?.stop();
    await useCluster().dropDatabase(database);
  });

  /** One client of each worker. */
  async function oneOfEach(level: string): Promise<pg.Client[]> {
    const clients = await connectToEach(() => connectPg(weir.url({ database })), WORKERS);
    for (const client of clients) await client.query(`SET weir.consistency = '${level}'`);
    return clients;
  }

  async function valueOf(client: pg.Client, id: number): Promise<number> {
    return (await client.query<{ n: number }>(read, [id])).rows[0]!.n;
  }

  /** Reads that were answered so, by all workers that run. */
  async function answeredBy(route: 'cache' | 'replica'): Promise<number> {
    const { body } = await weir.http();
    let sum = 0;
    for (const [, count] of body.matchAll(
      new RegExp(`^weir_queries_total\\{[^}]*route="${route}"[^}]*\\} (\\d+)`, 'gm'),
    ))
      sum += Number(count);
    return sum;
  }

  /** Where the last reads were answered, and whether writes were sent without an announcement. */
  async function evidence(clients: readonly pg.Client[]): Promise<string> {
    const routes = await Promise.all(clients.map(lastRoute));
    const { body } = await weir.http();
    const writes = body.match(/^weir_cache_(held|unannounced)_writes_total.*$/gm) ?? [];
    const said = [...linesOf(weir, 'cache_redis'), ...linesOf(weir, 'cache_workers')];
    return [...routes, ...writes, ...said.map((line) => JSON.stringify(line))].join('\n');
  }

  test.each(['strict', 'session'])(
    '%s: what one worker has acknowledged is seen through each, at once',
    async (level) => {
      const clients = await oneOfEach(level);
      const before = await answeredBy('cache');
      for (let round = 1; round <= ROUNDS; round++) {
        await clients[round % WORKERS]!.query(write, [1, round]);
        for (let again = 0; again < 3; again++) {
          const values = await Promise.all(clients.map((client) => valueOf(client, 1)));
          if (values.some((value) => value !== round))
            throw new Error(`round ${round}, read ${again}: ${values.join(', ')}; ${await evidence(clients)}`);
        }
      }
      expect((await answeredBy('cache')) - before).toBeGreaterThan(ROUNDS);
    },
  );

  test('session: own writes and nothing older than what was read, also while clients change their worker', async () => {
    const clients = await oneOfEach('session');
    const [fromCache, fromReplicas] = [await answeredBy('cache'), await answeredBy('replica')];
    let isMoved = false;
    const live = async (client: pg.Client, i: number): Promise<number> => {
      const seen = new Array<number>(WORKERS).fill(0);
      let n = 0;
      for (; n < ROUNDS || !isMoved;) {
        await client.query(write, [10 + i, ++n]);
        for (let again = 0; again < 8; again++) {
          for (let other = 0; other < WORKERS; other++) {
            const value = await valueOf(client, 10 + other);
            if (other === i) expect(value).toBe(n);
            else expect(value).toBeGreaterThanOrEqual(seen[other]!);
            seen[other] = value;
          }
          if (again === 3) await new Promise((resolve) => setTimeout(resolve, 60));
        }
      }
      return n;
    };
    const lives = clients.map(live);
    for (const each of lives) each.catch(() => (isMoved = true));
    weir.signal('SIGUSR2');
    const moved = until('all workers to be replaced', () => weir.output.includes('all workers are replaced'), {
      timeoutMs: 200_000,
    });
    await moved.finally(() => (isMoved = true));
    const written = await Promise.all(lives);
    expect((await answeredBy('cache')) - fromCache).toBeGreaterThan(0);
    expect((await answeredBy('replica')) - fromReplicas).toBeGreaterThan(0);
    for (const client of clients) for (const [i, n] of written.entries()) expect(await valueOf(client, 10 + i)).toBe(n);
    expect(linesOf(weir, 'unexpected_error')).toEqual([]);
  });
});
