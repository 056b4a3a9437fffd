/**
 * Tags of applications as their users have them: `tags=`, `SET weir.tags`, and what makes cached answers with them go, by one
 * process, by two workers without Redis, and by two Weirs that share one. Each test writes around Weir, so that only the tags
 * can make an answer new.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  connectToEach,
  hasRedis,
  lastRoute,
  startRedis,
  startWeir,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { Redis, WeirConfig, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
const kinds = ['one process', 'two workers', ...(hasRedis() ? ['two Weirs'] : [])];

describe.each(kinds)('%s', (kind) => {
  let database: string;
  let redis: Redis | undefined;
  const weirs: WeirProcess[] = [];

  const more: WeirConfig = {};

  beforeAll(async () => {
    database = await cluster.createDatabase();
    await cluster.query(
      `SET ROLE app; CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL);
       INSERT INTO items SELECT i, 0 FROM generate_series(1, 100) i`,
      { database },
    );
    await cluster.waitForReplicas();
    if (kind === 'two Weirs') redis = await startRedis();
    const cache = { enabled: true, ...(redis !== undefined && { redis: redis.url }) };
    const config = weirConfig(
      cluster,
      { database, serverUser: null },
      { cache, auth: { user: users.monitor }, ...more },
    );
    weirs.push(kind === 'two workers' ? await startWorkers(2, config) : await startWeir({ ...config, workers: 1 }));
    if (redis !== undefined) weirs.push(await startWeir({ ...config, workers: 1 }));
    if (kind === 'one process') return;
    for (const weir of weirs)
      await until('a lease', async () => /^weir_cache_lease_valid 1$/m.test((await weir.http()).body));
  });
  afterEach(closeClients);
  afterAll(async () => {
    await Promise.all(weirs.map((weir) => weir.stop()));
    await redis?.stop();
    await cluster.dropDatabase(database);
  });

  const first = (): WeirProcess => weirs[0] as WeirProcess;

  /** One of each process. */
  async function connectToAll(): Promise<pg.Client[]> {
    if (kind === 'two workers') return connectToEach(() => connectPg(first().url({ database })), 2);
    return Promise.all(weirs.map((weir) => connectPg(weir.url({ database }))));
  }

  async function numberIn(client: pg.Client, sql: string): Promise<number> {
    return Number((await client.query<{ n: number }>(sql)).rows[0]?.n);
  }

  /** Each client is answered from the cache of its process. */
  async function cacheInAll(clients: readonly pg.Client[], sql: string): Promise<number> {
    let n = NaN;
    for (const client of clients) {
      await until(`a hit of ${sql}`, async () => {
        n = await numberIn(client, sql);
        return (await lastRoute(client)).startsWith('cache; hit');
      });
    }
    return n;
  }

  /** Around Weir. @returns the new value */
  async function writeAround(id: number): Promise<number> {
    const [row] = await cluster.query<{ n: number }>(`UPDATE items SET n = n + 1 WHERE id = ${id} RETURNING n`, {
      database,
    });
    await cluster.waitForReplicas();
    return Number(row?.n);
  }

  const untilAllSee = (clients: readonly pg.Client[], sql: string, n: number): Promise<unknown> =>
    until(`all to see ${n}`, async () => {
      for (const client of clients) if ((await numberIn(client, sql)) !== n) return false;
      return true;
    });

  const invalidations = async (weir: WeirProcess, source: string): Promise<number> =>
    Number(
      new RegExp(`^weir_cache_invalidations_total{source="${source}"} (\\d+)`, 'm').exec((await weir.http()).body)?.[1],
    );

  test('a tag, and a pattern of tags, in every process, with how many there were', async () => {
    const clients = await connectToAll();
    const of = (id: number, tags: string): string => `/* weir: tags=${tags} */ SELECT n FROM items WHERE id = ${id}`;
    const [one, two, other] = [of(1, 'user:1,users'), of(2, 'user:2'), of(3, 'cart:3')];
    const old = [];
    for (const sql of [one, two, other]) old.push(await cacheInAll(clients, sql));
    const n1 = await writeAround(1);
    const n2 = await writeAround(2);
    await writeAround(3);
    expect(await numberIn(clients[0]!, one)).toBe(old[0]);

    const here = kind === 'two workers' ? 2 : 1;
    expect(await askConsole(first(), 'INVALIDATE TAG users')).toEqual([{ tags: '1', entries: String(here) }]);
    await untilAllSee(clients, one, n1);
    expect(await numberIn(clients[0]!, two)).toBe(old[1]);

    await cacheInAll(clients, one);
    expect(await askConsole(first(), "INVALIDATE PATTERN 'user:*', nothing*")).toEqual([
      { tags: '2', entries: String(2 * here) },
    ]);
    await untilAllSee(clients, two, n2);
    for (const client of clients) {
      expect(await numberIn(client, other)).toBe(old[2]);
      expect(await lastRoute(client)).toContain('cache; hit');
    }
    expect(await askConsole(first(), 'INVALIDATE PATTERN nobody:*')).toEqual([{ tags: '0', entries: '0' }]);
    expect(await invalidations(first(), 'operator')).toBeGreaterThan(2);
  });

  test('a pattern reaches tags that only another Weir has used', async () => {
    const clients = await connectToAll();
    const [last] = clients.slice(-1);
    const sql = '/* weir: tags=order:1 */ SELECT n FROM items WHERE id = 11';
    await cacheInAll([last!], sql);
    const n = await writeAround(11);
    const [row] = await askConsole<{ tags: string }>(first(), 'INVALIDATE PATTERN order:*');
    expect(row?.tags).toBe('1');
    await untilAllSee([last!], sql, n);
  });

  test("SET weir.tags is for all reads of the session, and is the session's own", async () => {
    const [client, another] = [(await connectToAll())[0]!, await connectPg(first().url({ database }))];
    const show = async (of = client): Promise<unknown> =>
      Object.values((await of.query('SHOW weir.tags')).rows[0] as object)[0];
    await client.query("SET weir.tags = 'tenant:7, all'");
    expect([await show(), await show(another)]).toEqual(['tenant:7,all', '']);
    const sql = 'SELECT n FROM items WHERE id = 21';
    await cacheInAll([client], sql);
    const n = await writeAround(21);
    await askConsole(first(), 'INVALIDATE TAG tenant:7');
    await untilAllSee([client], sql, n);
    for (const reset of ['RESET weir.tags', 'RESET ALL', 'DISCARD ALL']) {
      await client.query('SET weir.tags = a');
      await client.query(reset);
      expect([reset, await show()]).toEqual([reset, '']);
    }
    const started = await connectPg(first().url({ database }), { options: '-c weir.tags=shop' });
    await started.query('SET weir.tags = other');
    await started.query('DISCARD ALL');
    expect(await show(started)).toBe('shop');
    const long = `SET weir.tags = '${'x'.repeat(201)}'`;
    await expect(client.query(long)).rejects.toMatchObject({
      code: '22023',
      hint: expect.stringContaining('200') as string,
    });
  });
});
