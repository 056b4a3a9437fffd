/**
 * The result cache as clients see it: what is answered from it, what is not, and that a commit through any Weir makes
 * the next read fresh. Two Weirs in this process share a Redis of their own; what happens without it is in
 * cache-outage.test.ts, the rules one by one in test/cache.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, connectPostgresJs, hasRedis, startRedis, startTestWeir } from './harness/index.ts';
import { until, useCluster, users, weirConfig, workersOfTests } from './harness/index.ts';
import type { Redis, TestWeir } from './harness/index.ts';

const cluster = useCluster();

describe.skipIf(!hasRedis())('the result cache', () => {
  let redis: Redis;
  let database: string;
  let one: TestWeir;
  let two: TestWeir;

  beforeAll(async () => {
    database = await cluster.createDatabase();
    redis = await startRedis();
    const setUp = `
      SET ROLE app;
      CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, at timestamptz DEFAULT '2024-01-01 12:00Z');
      INSERT INTO items SELECT i, 0 FROM generate_series(1, 10) AS i;
      CREATE VIEW items_view AS SELECT id, n FROM items;
      CREATE TABLE parts (id int, n int) PARTITION BY LIST (id);
      CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
      INSERT INTO parts VALUES (1, 0);
      CREATE TABLE parents (id int PRIMARY KEY);
      CREATE TABLE children (id int REFERENCES parents ON DELETE CASCADE);
      INSERT INTO parents SELECT generate_series(1, 5);
      INSERT INTO children SELECT generate_series(1, 5);
      CREATE TABLE watched (n int);
      CREATE TABLE audit (n int);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO audit VALUES (NEW.n); RETURN NULL; END';
      CREATE TRIGGER note AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION note();
      CREATE FUNCTION meddle() RETURNS void LANGUAGE sql AS 'UPDATE items SET n = n + 1 WHERE id = 9';
      CREATE TABLE secrets (owner text, n int);
      ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON secrets USING (owner = current_user);
      CREATE TABLE big AS SELECT repeat('x', 1000) AS t FROM generate_series(1, 200);
      CREATE SCHEMA other;
      CREATE TABLE other.items AS SELECT 1 AS id, 77 AS n;
      GRANT ALL ON ALL TABLES IN SCHEMA public, other TO PUBLIC;
      GRANT USAGE ON SCHEMA other TO PUBLIC;`;
    await cluster.query(setUp, { database });
    await cluster.waitForReplicas();
    const config = weirConfig(
      cluster,
      { database, serverUser: null },
      {
        cache: { enabled: true, redis: redis.url, max_entry_size: '100kB' },
        auth: { user: users.monitor },
        log: { level: 'error' },
      },
    );
    [one, two] = [await startTestWeir(config), await startTestWeir(config)];
    await until(
      'both to be in step',
      async () => (await figure(one, 'redis_up')) + (await figure(two, 'redis_up')) === 2,
    );
  });
  afterEach(closeClients);
  afterAll(async () => {
    await Promise.all([one.stop(), two.stop()]);
    await redis.stop();
  });

  const connect = (weir = one, user: string = users.app): Promise<pg.Client> => connectPg(weir.url({ database, user }));

  async function routeOf(client: pg.Client): Promise<string> {
    const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
    return Object.values(rows[0]!)[0]!;
  }

  const isHit = async (client: pg.Client): Promise<boolean> => (await routeOf(client)).startsWith('cache; hit');

  /** Asks until the cache answers; what it answers. */
  async function cached(client: pg.Client, ask: string | pg.QueryConfig): Promise<unknown[]> {
    return until(`a hit of ${JSON.stringify(ask)}`, async () => {
      const { rows } = await client.query(ask as pg.QueryConfig);
      return (await isHit(client)) ? (rows as unknown[]) : undefined;
    });
  }

  /** Asks some times; the cache must never answer. */
  async function neverCached(client: pg.Client, ask: string | pg.QueryConfig): Promise<void> {
    for (let i = 0; i < 4; i++) {
      await client.query(ask as pg.QueryConfig);
      expect(await routeOf(client)).not.toContain('cache; hit');
    }
  }

  /** One of the weir_cache_* metrics. */
  async function figure(weir: TestWeir, name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${weir.httpPort}/metrics`)).text();
    return Number(new RegExp(`^weir_cache_${name} (\\d+)`, 'm').exec(text)?.[1]);
  }

  describe('answers what is asked again', () => {
    test('in every form that drivers send, with the same bytes', async () => {
      const client = await connect();
      const forms: (string | pg.QueryConfig)[] = [
        'SELECT id, n, at FROM items WHERE id = 2',
        { text: 'SELECT id, n, at FROM items WHERE id = $1', values: [2] },
        { name: 'by_id', text: 'SELECT id, n, at FROM items WHERE id = $1', values: [2] },
      ];
      for (const form of forms) {
        const [first] = (await client.query(form as pg.QueryConfig)).rows as unknown[];
        expect(await cached(client, form)).toEqual([first]);
      }
      const sql = connectPostgresJs(one.url({ database }));
      const ask = async (): Promise<unknown> => (await sql`SELECT id, n, at FROM items WHERE id = ${2}`)[0];
      const [first, before] = [await ask(), await figure(one, 'hits_total')];
      await until('a hit of postgres.js', async () => {
        expect(await ask()).toEqual(first);
        return (await figure(one, 'hits_total')) > before;
      });
    });

    test('also through another Weir, out of Redis', async () => {
      const [a, b] = [await connect(one), await connect(two)];
      const ask = 'SELECT n FROM items WHERE id = 3';
      await cached(a, ask);
      const before = await figure(two, 'second_level_hits_total');
      await b.query(ask);
      expect(await isHit(b)).toBe(true);
      expect(await figure(two, 'second_level_hits_total')).toBe(before + 1);
    });

    // Of each worker: what one asks, the others do not wait for.
    test('one question at a time goes to the servers, however many ask it', async () => {
      const clients = await Promise.all(Array.from({ length: 12 }, () => connect()));
      const holder = await connectPg(cluster.url(cluster.primary, { database }));
      const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%sum(id)%'`;
      let round = 0;
      // Nobody waits for another longer than a quarter of a second: on a crowded machine not every round is quick enough.
      await until('all but one of each process to be served by that one', async () => {
        round++;
        const hits = await figure(one, 'hits_total');
        await holder.query('BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE');
        const ask = `/* weir: route=primary */ SELECT sum(id)::int + ${round} AS s FROM items`;
        const asked = Promise.all(clients.map((client) => client.query(ask)));
        await until('one to wait for the lock', async () => (await cluster.query<{ n: number }>(waiting))[0]!.n > 0);
        await holder.query('COMMIT');
        for (const { rows } of await asked) expect(rows).toEqual([{ s: 55 + round }]);
        return (await figure(one, 'hits_total')) - hits === clients.length - (workersOfTests() ?? 1);
      });
    });
  });

  describe('is fresh after a commit', () => {
    test('through the other Weir, a hundred times', async () => {
      const [a, b] = [await connect(one), await connect(two)];
      const ask = { name: 'n', text: 'SELECT n FROM items WHERE id = 4' };
      let hitsSeen = 0;
      for (let n = 1; n <= 100; n++) {
        await b.query('UPDATE items SET n = $1 WHERE id = 4', [n]);
        // The other session hears of it by a message: until then the answer before is allowed, after it never again.
        await until('the update to be seen', async () => (await a.query<{ n: number }>(ask)).rows[0]!.n === n);
        for (let i = 0; i < 3; i++) expect((await a.query(ask)).rows).toEqual([{ n }]);
        if (await isHit(a)) hitsSeen++;
        expect((await b.query(ask)).rows).toEqual([{ n }]);
      }
      expect(hitsSeen).toBeGreaterThan(50);
    });

    test('and not before it, and not after ROLLBACK', async () => {
      const [a, b] = [await connect(one), await connect(two)];
      const ask = 'SELECT n FROM items WHERE id = 5';
      await cached(a, ask);
      await b.query('BEGIN');
      await b.query('UPDATE items SET n = 50 WHERE id = 5');
      expect((await b.query(ask)).rows).toEqual([{ n: 50 }]);
      expect((await a.query(ask)).rows).toEqual([{ n: 0 }]);
      expect(await isHit(a)).toBe(true);
      await b.query('ROLLBACK');
      expect(await cached(a, ask)).toEqual([{ n: 0 }]);
      await b.query('BEGIN; UPDATE items SET n = 51 WHERE id = 5');
      await b.query('COMMIT');
      await until('the commit to be seen', async () => (await a.query<{ n: number }>(ask)).rows[0]!.n === 51);
      expect((await b.query(ask)).rows).toEqual([{ n: 51 }]);
    });

    /** What is asked, what changes it, and what is answered then. */
    const changes: readonly (readonly [what: string, ask: string, change: string, after: unknown[]])[] = [
      [
        'the table under a view',
        'SELECT n FROM items_view WHERE id = 6',
        'UPDATE items SET n = 1 WHERE id = 6',
        [{ n: 1 }],
      ],
      [
        'a view on the table',
        'SELECT n FROM items WHERE id = 6',
        'UPDATE items_view SET n = 2 WHERE id = 6',
        [{ n: 2 }],
      ],
      ['a partition', 'SELECT n FROM parts', 'UPDATE parts_1 SET n = 1', [{ n: 1 }]],
      ['the whole of a partition', 'SELECT n FROM parts_1', 'UPDATE parts SET n = 2', [{ n: 2 }]],
      [
        'a cascade',
        'SELECT count(*)::int AS n FROM children WHERE id = 1',
        'DELETE FROM parents WHERE id = 1',
        [{ n: 0 }],
      ],
      ['a trigger', 'SELECT count(*)::int AS n FROM audit', 'INSERT INTO watched VALUES (1)', [{ n: 1 }]],
      ['a function', 'SELECT n FROM items WHERE id = 9', 'SELECT meddle()', [{ n: 1 }]],
      [
        'DO',
        'SELECT n FROM items WHERE id = 8',
        "DO $$ BEGIN EXECUTE 'UPDATE items SET n = 3 WHERE id = 8'; END $$",
        [{ n: 3 }],
      ],
      [
        'MERGE',
        'SELECT n FROM items WHERE id = 7',
        'MERGE INTO items i USING (SELECT 7 AS id) s ON i.id = s.id WHEN MATCHED THEN UPDATE SET n = 4',
        [{ n: 4 }],
      ],
      [
        'WITH',
        'SELECT n FROM items WHERE id = 7',
        'WITH w AS (UPDATE items SET n = 5 WHERE id = 7 RETURNING n) SELECT * FROM w',
        [{ n: 5 }],
      ],
      ['TRUNCATE', 'SELECT count(*)::int AS n FROM watched', 'TRUNCATE watched', [{ n: 0 }]],
      ['ALTER TABLE', 'SELECT * FROM audit', 'ALTER TABLE audit ADD COLUMN more int DEFAULT 7', [{ n: 1, more: 7 }]],
      [
        'several statements in one text',
        'SELECT n FROM items WHERE id = 10',
        'UPDATE items SET n = 8 WHERE id = 10; UPDATE items SET n = 9 WHERE id = 10',
        [{ n: 9 }],
      ],
    ];

    test.each(changes)('that %s has made', async (_what, ask, change, after) => {
      const [a, b, c] = [await connect(one), await connect(two), await connect(two)];
      await cached(a, ask);
      await cached(b, ask);
      await b.query(change);
      // In its own Weir at once, for whoever asks; in the other one when the message has come.
      expect((await c.query(ask)).rows).toEqual(after);
      expect((await b.query(ask)).rows).toEqual(after);
      const isSame = (rows: unknown): boolean => JSON.stringify(rows) === JSON.stringify(after);
      await until('the other to have heard', async () => isSame((await a.query(ask)).rows));
      expect(await cached(a, ask)).toEqual(after);
    });

    test('that COPY has made', async () => {
      const client = await connect();
      const sql = connectPostgresJs(one.url({ database }));
      const ask = 'SELECT count(*)::int AS n FROM parents WHERE id > 100';
      expect(await cached(client, ask)).toEqual([{ n: 0 }]);
      const rows = await sql`COPY parents FROM STDIN`.writable();
      await new Promise<void>((resolve, reject) => {
        rows.once('error', reject).once('finish', resolve);
        rows.end('101\n102\n');
      });
      await until('the copied rows', async () => (await client.query<{ n: number }>(ask)).rows[0]!.n === 2);
    });

    test('of rights: who may no longer read gets the error, not the answer', async () => {
      const [admin, reader] = [await connect(one), await connect(one, users.app2)];
      const ask = 'SELECT n FROM items WHERE id = 1';
      await cached(reader, ask);
      await admin.query('REVOKE ALL ON items FROM PUBLIC');
      await expect(reader.query(ask)).rejects.toMatchObject({ code: '42501' });
      await admin.query('GRANT ALL ON items TO PUBLIC');
      expect((await reader.query(ask)).rows).toEqual([{ n: 0 }]);
    });
  });

  describe('keeps apart', () => {
    test('users', async () => {
      const [a, b] = [await connect(), await connect(one, users.app2)];
      const ask = 'SELECT n AS for_users FROM items WHERE id = 1';
      await cached(a, ask);
      await b.query(ask);
      expect(await isHit(b)).toBe(false);
    });

    test('parameters, their types and the formats of results', async () => {
      const client = await connect();
      const ask = (values: unknown[]): pg.QueryConfig => ({
        text: 'SELECT $1 = n AS same FROM items WHERE id = 1',
        values,
      });
      expect(await cached(client, ask([0]))).toEqual([{ same: true }]);
      expect((await client.query(ask([1]))).rows).toEqual([{ same: false }]);
      const text = 'SELECT id FROM items WHERE id = $1';
      await cached(client, { text, values: [1] });
      const binary = (await client.query({ text, values: [1], binary: true } as pg.QueryConfig)).rows as unknown[];
      expect(await isHit(client)).toBe(false);
      expect(binary).toEqual([{ id: 1 }]);
    });

    test.each([
      [
        'TimeZone',
        "SET TimeZone = 'Asia/Tokyo'",
        'SELECT at::text AS t FROM items WHERE id = 1',
        '2024-01-01 21:00:00+09',
      ],
      ['DateStyle', "SET DateStyle = 'SQL, DMY'", 'SELECT at::date::text AS t FROM items WHERE id = 1', '01/01/2024'],
      ['search_path', 'SET search_path = other', 'SELECT n::text AS t FROM items WHERE id = 1', '77'],
    ])('sessions with another %s', async (_name, set, ask, after) => {
      const [a, b] = [await connect(), await connect()];
      const before = await cached(a, ask);
      await b.query(set);
      expect((await b.query(ask)).rows).toEqual([{ t: after }]);
      expect(before).not.toEqual([{ t: after }]);
      expect(await cached(a, ask)).toEqual(before);
    });
  });

  describe('does not answer', () => {
    test.each([
      ['the time', 'SELECT n, now() FROM items WHERE id = 1'],
      ['chance', 'SELECT n, random() FROM items WHERE id = 1'],
      ['what locks', 'SELECT n FROM items WHERE id = 1 FOR UPDATE'],
      ['tables with row security', 'SELECT n FROM secrets'],
      ['the catalog', 'SELECT count(*) FROM pg_class'],
      ["'today' as a parameter", { text: 'SELECT $1::date AS d', values: ['today'] }],
      ['more than max_entry_size', 'SELECT t FROM big'],
      [
        'the same without a comment, when the comment says no',
        '/* weir: cache=off */ SELECT n FROM items WHERE id = 1',
      ],
    ])('%s', async (_what, ask) => {
      await neverCached(await connect(), ask);
    });

    test('temporary tables', async () => {
      const client = await connect();
      await client.query('CREATE TEMP TABLE items (id int, n int)');
      expect((await client.query('SELECT n FROM items WHERE id = 1')).rows).toEqual([]);
      await neverCached(client, 'SELECT n FROM items WHERE id = 1');
    });

    test('within a transaction, and errors', async () => {
      const client = await connect();
      await cached(client, 'SELECT n FROM items WHERE id = 1');
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await neverCached(client, 'SELECT n FROM items WHERE id = 1');
      await client.query('COMMIT');
      for (let i = 0; i < 3; i++)
        await expect(client.query('SELECT 1 / (n - n) FROM items WHERE id = 1')).rejects.toMatchObject({
          code: '22012',
        });
    });

    test('longer than a hint allows', async () => {
      const [a, b] = [await connect(one), await connect(two)];
      const ask = '/* weir: cache=200ms */ SELECT n AS for_200ms FROM items WHERE id = 1';
      await cached(a, ask);
      const bypass = await connectPg(cluster.url(cluster.primary, { database }));
      await bypass.query('UPDATE items SET n = 1000 WHERE id = 1');
      try {
        for (const client of [a, b]) {
          await until(
            'its end',
            async () => (await client.query<{ for_200ms: number }>(ask)).rows[0]!.for_200ms === 1000,
          );
        }
      } finally {
        await bypass.query('UPDATE items SET n = 0 WHERE id = 1');
      }
    });
  });

  describe('forgets what operators say', () => {
    test.each([
      ['a tag', 'INVALIDATE TAG price'],
      ['a table', 'INVALIDATE TABLE public.items'],
      ['all', 'INVALIDATE ALL'],
    ])('%s, in both Weirs', async (_what, command) => {
      const [a, b] = [await connect(one), await connect(two)];
      const ask = '/* weir: tags=price */ SELECT id AS tagged FROM items WHERE id = 2';
      await until('both to have it', async () => (await cached(a, ask), await cached(b, ask)));
      const admin = await connectPg(one.adminUrl());
      await admin.query(command);
      await a.query(ask);
      expect(await isHit(a)).toBe(false);
      await cached(a, ask);
    });
  });
});
