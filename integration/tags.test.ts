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
  connectPostgresJs,
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
const token = 'token-of-the-tests';
const kinds = ['one process', 'two workers', ...(hasRedis() ? ['two Weirs'] : [])];

describe.each(kinds)('%s', (kind) => {
  let database: string;
  let redis: Redis | undefined;
  const weirs: WeirProcess[] = [];

  const more: WeirConfig = { http_invalidate_token: token };

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

  test('POST /invalidate, in every process, with counts', async () => {
    const clients = await connectToAll();
    const sql = '/* weir: tags=http:1,http:all */ SELECT n FROM items WHERE id = 12';
    await cacheInAll(clients, sql);
    const n = await writeAround(12);
    const post = (authorization: string, body: unknown): Promise<Response> =>
      fetch(`http://127.0.0.1:${first().httpPort}/invalidate`, {
        method: 'POST',
        headers: { authorization },
        body: JSON.stringify(body),
      });
    expect((await post('Bearer wrong', { tags: ['http:1'] })).status).toBe(401);
    const response = await post(`Bearer ${token}`, { tags: ['nothing'], patterns: ['http:*'] });
    expect([response.status, await response.json()]).toEqual([
      200,
      { tags: 3, entries: kind === 'two workers' ? 2 : 1 },
    ]);
    await untilAllSee(clients, sql, n);
    expect(await invalidations(first(), 'http')).toBeGreaterThan(2);
    const shown = await askConsole<{ key: string; value: string }>(first(), 'SHOW CONFIG');
    expect(shown.find(({ key }) => key === 'http_invalidate_token')?.value).toBe('***');
  });

  describe('weir_invalidate()', () => {
    /** @returns the writer, the readers, and a read that is cached in all processes with the tag, and an old answer */
    async function cachedOld(
      id: number,
      tag: string,
    ): Promise<{ all: pg.Client[]; sql: string; old: number; n: number }> {
      const all = await connectToAll();
      const sql = `/* weir: tags=${tag} */ SELECT n FROM items WHERE id = ${id}`;
      const old = await cacheInAll(all, sql);
      return { all, sql, old, n: await writeAround(id) };
    }
    const staysOld = async (all: readonly pg.Client[], sql: string, old: number): Promise<void> => {
      for (const client of all) {
        expect(await numberIn(client, sql)).toBe(old);
        expect(await lastRoute(client)).toContain('cache; hit');
      }
    };

    test('outside a transaction takes effect at once, for every worker', async () => {
      const { all, sql, old, n } = await cachedOld(31, 'x31');
      const [writer] = all;
      const before = await invalidations(first(), 'sql');
      const { rows, fields } = await writer!.query("SELECT weir_invalidate('x31', 'other', 'x31', NULL)");
      expect([rows, fields[0]?.dataTypeID]).toEqual([[{ weir_invalidate: '2' }], 20]);
      if (kind === 'two Weirs') await untilAllSee(all, sql, n);
      else for (const client of all) expect([old, await numberIn(client, sql)]).toEqual([old, n]);
      expect(await invalidations(first(), 'sql')).toBe(before + 2);
    });

    test.each([
      ['a parameter', { text: 'SELECT weir_invalidate($1)', values: ['x32'] }],
      ['an array of a driver that says no types', { text: 'SELECT weir_invalidate($1)', values: [['x32']] }],
      ['an array', { text: 'SELECT weir_invalidate($1::text[])', values: [['x32', null]] }],
      ['a prepared statement', { name: 'i', text: 'SELECT weir_invalidate(VARIADIC $1)', values: [['x32']] }],
      ['binary format', { text: 'SELECT weir_invalidate($1)', values: [Buffer.from('x32')], binary: true }],
      [
        'constants',
        { text: "/* weir: route=replica */ SELECT weir_invalidate(ARRAY['x32']) AS weir_invalidate; -- x" },
      ],
    ])('by %s', async (_name, query) => {
      const { all, sql, n } = await cachedOld(32, 'x32');
      for (let i = 0; i < 2; i++) {
        const { rows, rowCount } = await all[0]!.query<{ weir_invalidate: unknown }>(query);
        expect([String(rows[0]?.weir_invalidate), rowCount]).toEqual(['1', 1]);
      }
      await untilAllSee(all, sql, n);
    });

    test('by a driver that describes statements first', async () => {
      const { all, sql, n } = await cachedOld(33, 'x33');
      const js = connectPostgresJs(first().url({ database }));
      await expect(js`SELECT weir_invalidate(${['x33']}::text[]), 1`).rejects.toMatchObject({ code: '0A000' });
      expect(Array.from(await js`SELECT weir_invalidate(${'x33'}, ${'y'})`)).toEqual([{ weir_invalidate: '2' }]);
      await untilAllSee(all, sql, n);
    });

    test('inside a transaction takes effect at its commit, and not before', async () => {
      const { all, sql, old, n } = await cachedOld(34, 'x34');
      const writer = await connectPg(first().url({ database }));
      await writer.query('BEGIN');
      await writer.query('UPDATE items SET n = n WHERE id = 99');
      expect((await writer.query('SELECT weir_invalidate($1)', ['x34'])).rows).toEqual([{ weir_invalidate: '1' }]);
      await staysOld(all, sql, old);
      await writer.query('COMMIT');
      if (kind === 'two Weirs') await untilAllSee(all, sql, n);
      else for (const client of all) expect(await numberIn(client, sql)).toBe(n);
    });

    test('also if the transaction does nothing else', async () => {
      const { all, sql, n } = await cachedOld(35, 'x35');
      for (const text of ['BEGIN', "SELECT weir_invalidate('x35')", 'COMMIT']) await all[0]!.query(text);
      await untilAllSee(all, sql, n);
    });

    test('never if it is rolled back, fails, or its client goes', async () => {
      const { all, sql, old } = await cachedOld(36, 'x36');
      const writer = await connectPg(first().url({ database }));
      const call = "SELECT weir_invalidate('x36')";
      for (const text of ['BEGIN', 'SELECT 1', call, 'ROLLBACK']) await writer.query(text);
      await staysOld(all, sql, old);
      for (const text of ['BEGIN', call, 'SELECT 1']) await writer.query(text);
      await expect(writer.query('SELECT 1 / 0')).rejects.toMatchObject({ code: '22012' });
      await expect(writer.query(call)).rejects.toMatchObject({ code: '25P02' });
      await writer.query('COMMIT');
      await staysOld(all, sql, old);
      for (const text of ['BEGIN', 'SELECT 1', call]) await writer.query(text);
      await writer.end();
      await staysOld(all, sql, old);
    });

    test('a call in a savepoint that is rolled back counts', async () => {
      const { all, sql, n } = await cachedOld(37, 'x37');
      for (const text of ['BEGIN', 'SAVEPOINT s', "SELECT weir_invalidate('x37')", 'ROLLBACK TO s', 'COMMIT'])
        await all[0]!.query(text);
      await untilAllSee(all, sql, n);
    });

    test('what Weir cannot answer gets a clear error, and the session goes on', async () => {
      const client = await connectPg(first().url({ database }));
      const form = { code: '0A000', message: 'weir_invalidate() can only be called by itself' };
      for (const text of [
        "SELECT weir_invalidate('a') FROM items",
        'SELECT weir_invalidate(n::text) FROM items',
        "WITH i AS (SELECT weir_invalidate('a')) SELECT * FROM i",
        "PREPARE p AS SELECT weir_invalidate('a')",
      ])
        await expect(client.query(text), text).rejects.toMatchObject(form);
      await expect(client.query('SELECT weir_invalidate($1, $2::int)', ['a', 1])).rejects.toMatchObject(form);
      await expect(client.query("SELECT 1; SELECT weir_invalidate('a')")).rejects.toMatchObject({ code: '0A000' });
      await expect(client.query('SELECT weir_invalidate($1)', [''])).rejects.toMatchObject({ code: '22023' });
      await expect(client.query('SELECT weir_invalidate($1)', ['x'.repeat(201)])).rejects.toMatchObject({
        code: '22023',
      });
      await expect(client.query('SELECT weir_invalidate($1)')).rejects.toMatchObject({ code: '22023' });
      const many = Array.from({ length: 65 }, (_, i) => `t${i}`);
      await expect(client.query('SELECT weir_invalidate($1)', [many])).rejects.toMatchObject({ code: '22023' });
      await expect(client.query("SELECT public.weir_invalidate('a')")).rejects.toMatchObject({ code: '42883' });
      for (const text of ['BEGIN', 'SELECT 1']) await client.query(text);
      await expect(client.query("SELECT weir_invalidate('')")).rejects.toMatchObject({ code: '22023' });
      await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
      await client.query('ROLLBACK');
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    });
  });
});
