/**
 * Writes that go past Weir, with cache.out_of_band_writes: each kind of them makes cached answers new, whoever holds the table's
 * tag; what cannot be seen is not cached; and when the server does not tell any more, nothing is answered from the cache.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  hasRedis,
  startRedis,
  connectPg,
  lastRoute,
  linesOf,
  startCluster,
  startWeir,
  startWorkers,
} from './harness/index.ts';
import { until, users, weirConfig } from './harness/index.ts';
import type { Cluster, WeirConfig, WeirProcess } from './harness/index.ts';

const database = 'shop';
let cluster: Cluster;
let weir: WeirProcess;

const setUp = `
  GRANT ${users.app} TO ${users.monitor};
  ALTER ROLE ${users.monitor} REPLICATION;
  SET ROLE ${users.app};
  CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL);
  INSERT INTO items SELECT i, 0 FROM generate_series(1, 10) AS i;
  CREATE TABLE parts (id int PRIMARY KEY, n int) PARTITION BY LIST (id);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
  INSERT INTO parts VALUES (1, 0);
  CREATE TABLE parents (id int PRIMARY KEY);
  CREATE TABLE children (id int PRIMARY KEY REFERENCES parents ON DELETE CASCADE);
  INSERT INTO parents SELECT generate_series(1, 5);
  INSERT INTO children SELECT generate_series(1, 5);
  CREATE TABLE watched (n int PRIMARY KEY);
  CREATE TABLE audit (n int PRIMARY KEY);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO audit VALUES (NEW.n); RETURN NULL; END';
  CREATE TRIGGER note AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TABLE trash (id int PRIMARY KEY);
  INSERT INTO trash SELECT generate_series(1, 3);
  CREATE TABLE keyless (n int);
  INSERT INTO keyless VALUES (0);
  CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL);
  INSERT INTO counter VALUES (1, 0);`;

/** With a primary, a replica, and the tables. */
async function startShop(): Promise<Cluster> {
  const started = await startCluster({ replicas: 1 });
  await started.query(`CREATE DATABASE ${database}`);
  const grants = `GRANT CREATE ON DATABASE ${database} TO ${users.monitor}; GRANT ALL ON SCHEMA public TO ${users.app}`;
  await started.query(grants, { database });
  await started.query(setUp, { database });
  await started.waitForReplicas();
  return started;
}

beforeAll(async () => {
  cluster = await startShop();
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(() => cluster.stop());

const around = (sql: string): Promise<unknown> => cluster.query(sql, { database });

function configOf(of: Cluster, { cache = {}, ...rest }: WeirConfig = {}): WeirConfig {
  const more = {
    // Only a word of the server makes an answer new.
    cache: { enabled: true, ttl: '1h', out_of_band_writes: 'logical-replication', ...(cache as object) },
    auth: { user: users.monitor },
    ...rest,
  };
  return weirConfig(of, { database, serverUser: null }, more);
}

async function start(workers = 1, more: WeirConfig = {}): Promise<void> {
  const config = configOf(cluster, more);
  weir = workers > 1 ? await startWorkers(workers, config) : await startWeir(config);
}

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database, user: users.app }));
type Rows = readonly Readonly<Record<string, unknown>>[];

const askedBy = async (client: pg.Client, sql: string): Promise<Rows> => (await client.query<Rows[number]>(sql)).rows;

/** The answer, once it comes from the cache. */
async function cached(client: pg.Client, sql: string): Promise<Rows> {
  return until(`a hit of ${sql}`, async () => {
    const rows = await askedBy(client, sql);
    const route = await lastRoute(client);
    if (route.startsWith('cache; hit')) return rows;
    const state = await askConsole(weir, 'SHOW DECODING');
    throw new Error(`${route}; ${JSON.stringify(state)}`);
  });
}

/** What is written around Weir, what it changes, and the answer to that then. */
interface Kind {
  readonly writes: readonly string[];
  readonly ask: string;
  /** Undoes what is in the way of doing it again. */
  readonly undo: string;
}

const kinds: Readonly<Record<string, Kind>> = {
  UPDATE: {
    ask: 'SELECT n AS v FROM items WHERE id = 1',
    writes: ['UPDATE items SET n = n + 1 WHERE id = 1'],
    undo: '',
  },
  INSERT: { ask: 'SELECT count(*) AS v FROM items', writes: ['INSERT INTO items VALUES (11, 0)'], undo: '' },
  DELETE: { ask: 'SELECT count(id) AS v FROM items', writes: ['DELETE FROM items WHERE id = 11'], undo: '' },
  COPY: {
    ask: 'SELECT max(id) AS v FROM items',
    writes: [`COPY items FROM PROGRAM 'printf "12\\t0\\n"'`],
    undo: 'DELETE FROM items WHERE id = 12',
  },
  TRUNCATE: {
    ask: 'SELECT count(*) AS v FROM trash',
    writes: ['TRUNCATE trash'],
    undo: 'INSERT INTO trash SELECT generate_series(1, 3)',
  },
  'to a partition': {
    ask: 'SELECT n AS v FROM parts WHERE id = 1',
    writes: ['UPDATE parts_1 SET n = n + 1'],
    undo: '',
  },
  'by a cascade': {
    ask: 'SELECT count(*) AS v FROM children',
    writes: ['DELETE FROM parents WHERE id > 3'],
    undo: 'INSERT INTO parents VALUES (4); INSERT INTO children VALUES (4)',
  },
  'by a trigger': {
    ask: 'SELECT count(*) AS v FROM audit',
    writes: ['INSERT INTO watched VALUES (1)'],
    undo: 'DELETE FROM watched; DELETE FROM audit',
  },
  'by DO': {
    ask: 'SELECT n AS v FROM items WHERE id = 2',
    writes: [`DO $$BEGIN EXECUTE 'UPDATE items SET n = n + 1 WHERE id = 2'; END$$`],
    undo: '',
  },
  'in a prepared transaction': {
    ask: 'SELECT n AS v FROM items WHERE id = 3',
    writes: [`BEGIN; UPDATE items SET n = n + 1 WHERE id = 3; PREPARE TRANSACTION 'p'`, `COMMIT PREPARED 'p'`],
    undo: '',
  },
};

async function figure(name: string): Promise<number> {
  const { body } = await weir.http('/metrics');
  return [...body.matchAll(new RegExp(`^weir_cache_${name} (\\d+)`, 'gm'))].reduce((sum, [, n]) => sum + Number(n), 0);
}

describe.each([1, 2])('with %i workers', (workers) => {
  beforeEach(() => start(workers));

  test.each(Object.entries(kinds))('a write around Weir is seen: %s', async (_kind, { ask, writes, undo }) => {
    const clients = await Promise.all(Array.from({ length: workers * 3 }, connect));
    const other = 'SELECT n FROM counter WHERE id = 1';
    const before = await cached(clients[0]!, ask);
    for (const client of clients) expect(await cached(client, ask)).toEqual(before);
    for (const client of clients) await cached(client, other);
    for (const write of writes) await around(write);
    const after = await cluster.query(ask, { database });
    expect(after).not.toEqual(before);
    for (const client of clients) {
      await until('the new answer', async () => isDeepStrictEqual(await askedBy(client, ask), after));
      expect(await cached(client, ask)).toEqual(after);
    }
    expect(await figure('invalidations_total{source="around"}')).toBeGreaterThan(0);
    // A write to one table leaves the answers of others alone.
    const stores = await figure('stores_total');
    for (const client of clients) await cached(client, other);
    expect(await figure('stores_total')).toBe(stores);
    if (undo !== '') await around(undo);
  });
});

interface DecodingRow extends pg.QueryResultRow {
  readonly state: string;
  readonly lag_ms: number | null;
  readonly tables: number;
  readonly problem: string | null;
}

const decoding = async (): Promise<DecodingRow> => (await askConsole<DecodingRow>(weir, 'SHOW DECODING'))[0]!;
const problem = (what: RegExp): Promise<unknown> =>
  until(`the problem ${what.source}`, async () => {
    const row = await decoding();
    if (what.test(row.problem ?? '')) return row;
    throw new Error(JSON.stringify(row));
  });
const reading = (): Promise<unknown> => until('it reads', async () => (await decoding()).state === 'reading');
const walsender = async (): Promise<number> => {
  const [row] = await cluster.query<{ pid: number }>(
    `SELECT active_pid AS pid FROM pg_replication_slots WHERE plugin = 'pgoutput' AND active`,
  );
  return row!.pid;
};

async function neverCached(client: pg.Client, sql: string, why: RegExp): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await client.query(sql);
    expect(await lastRoute(client)).toMatch(why);
  }
}

const sql = 'SELECT n FROM counter WHERE id = 1';
const count = (): Promise<unknown> => around('UPDATE counter SET n = n + 1 WHERE id = 1');

describe.each([1, 2])('with %i workers', (workers) => {
  beforeEach(() => start(workers));

  test('no answer is older than the lag allows, while somebody else writes without pause', async () => {
    const acknowledged: { readonly n: number; readonly atMs: number }[] = [];
    const writer = await connectPg(cluster.url(cluster.primary, { user: users.app, database }));
    let isOver = false;
    const writing = (async (): Promise<void> => {
      while (!isOver) {
        const { rows } = await writer.query<{ n: number }>('UPDATE counter SET n = n + 1 WHERE id = 1 RETURNING n');
        acknowledged.push({ n: rows[0]!.n, atMs: performance.now() });
        await sleep(Math.random() * 20);
      }
    })();
    let hits = 0;
    const read = async (client: pg.Client): Promise<void> => {
      for (let i = 0; i < 400; i++) {
        // What is known up to two seconds ago may be shown, and a worker hears of a write within a lease.
        const sinceMs = performance.now() - 2_000 - (workers > 1 ? 1_000 : 0);
        const [row] = await askedBy(client, sql);
        const least = acknowledged.findLast(({ atMs }) => atMs < sinceMs)?.n ?? 0;
        expect(row!['n']).toBeGreaterThanOrEqual(least);
        if (i % 10 === 0 && (await lastRoute(client)).startsWith('cache; hit')) hits++;
        await sleep(Math.random() * 10);
      }
    };
    await Promise.all((await Promise.all(Array.from({ length: 4 * workers }, connect))).map(read));
    isOver = true;
    await writing;
    expect(hits).toBeGreaterThan(0);
    expect(acknowledged.length).toBeGreaterThan(50);
  });

  test('a server that has stopped telling: nothing is answered from the cache, until it tells again', async () => {
    const client = await connect();
    await cached(client, sql);
    const pid = await walsender();
    process.kill(pid, 'SIGSTOP');
    try {
      await count();
      const [{ n } = { n: 0 }] = await cluster.query<{ n: number }>(sql, { database });
      await until('the new answer', async () => (await askedBy(client, sql))[0]!['n'] === n);
      expect(await lastRoute(client)).not.toContain('cache; hit');
      await until('the lag to be seen', async () => ((await decoding()).lag_ms ?? 0) > 2_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await cached(client, sql);
  });

  test('a slot that is lost: what was written meanwhile is seen', async () => {
    const client = await connect();
    for (let i = 0; i < 3; i++) {
      await cached(client, sql);
      await cluster.query('SELECT pg_terminate_backend($1)', { values: [await walsender()] });
      await count();
      const after = await cluster.query(sql, { database });
      await until('the new answer', async () => isDeepStrictEqual(await askedBy(client, sql), after));
      expect(await cached(client, sql)).toEqual(after);
    }
  });
});

describe('what cannot be seen is not cached', () => {
  test('a table without a primary key: it can still be written, and a new one with a key is cached soon', async () => {
    await start();
    const client = await connect();
    await cached(client, sql);
    await neverCached(client, 'SELECT n FROM keyless', /writes around Weir to one of its tables are not seen/);
    await around('UPDATE keyless SET n = n + 1');
    await around(
      `CREATE TABLE late (n int PRIMARY KEY); ALTER TABLE late OWNER TO ${users.app}; INSERT INTO late VALUES (1)`,
    );
    expect(await cached(client, 'SELECT n FROM late')).toEqual([{ n: 1 }]);
    await around('UPDATE late SET n = 2');
    await until('the new answer', async () =>
      isDeepStrictEqual(await askedBy(client, 'SELECT n FROM late'), [{ n: 2 }]),
    );
    await around('DROP TABLE late');
    await cached(client, sql);
  });

  test('after a table has left the publication', async () => {
    await start();
    const client = await connect();
    await cached(client, sql);
    // Weir may not put it back.
    await around(
      `ALTER TABLE counter OWNER TO postgres; GRANT SELECT ON counter TO ${users.app}; ALTER PUBLICATION weir DROP TABLE counter`,
    );
    await count();
    const after = await cluster.query(sql, { database });
    await until('the new answer', async () => isDeepStrictEqual(await askedBy(client, sql), after));
    await until('Weir to notice', async () => {
      await client.query(sql);
      return (await lastRoute(client)).includes('are not seen');
    });
    await neverCached(client, sql, /are not seen/);
    await around(`ALTER TABLE counter OWNER TO ${users.app}`);
    await cached(client, sql);
  });

  test('while a transaction is open that may have written before, whatever the role has set', async () => {
    const set = ['statement_timeout', 'lock_timeout'].map(
      (name) => `ALTER ROLE ${users.monitor} SET ${name} = '500ms'`,
    );
    await around([...set, `ALTER ROLE ${users.monitor} SET default_transaction_read_only = on`].join('; '));
    const writer = await connectPg(cluster.url(cluster.primary, { user: users.app, database }));
    await writer.query('BEGIN; UPDATE counter SET n = n + 1 WHERE id = 1');
    await start();
    const client = await connect();
    await problem(/waits for the end of the transactions that were open/);
    await neverCached(client, sql, /not seen|not cached/);
    await writer.query('COMMIT');
    await reading();
    await around(`ALTER ROLE ${users.monitor} RESET ALL`);
    expect((await decoding()).problem).toBeNull();
    expect(await cached(client, sql)).toEqual(await cluster.query(sql, { database }));
  });

  const wrong: readonly [string, string, string, RegExp][] = [
    [
      'a role that may not read the WAL',
      `ALTER ROLE ${users.monitor} NOREPLICATION`,
      `ALTER ROLE ${users.monitor} REPLICATION`,
      /ALTER ROLE .* REPLICATION/,
    ],
    [
      'a publication without DELETE',
      `ALTER PUBLICATION weir SET (publish = 'insert, update, truncate')`,
      `ALTER PUBLICATION weir SET (publish = 'insert, update, delete, truncate')`,
      /leaves out some of INSERT, UPDATE, DELETE and TRUNCATE/,
    ],
    [
      'no publication, and no right to make one',
      `DROP PUBLICATION weir; REVOKE CREATE ON DATABASE ${database} FROM ${users.monitor}`,
      `GRANT CREATE ON DATABASE ${database} TO ${users.monitor}`,
      /there is no publication "weir", and Weir may not make it/,
    ],
    [
      'no free slot',
      `SELECT pg_create_logical_replication_slot('s' || i, 'pgoutput') FROM generate_series(1, 10) i`,
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active',
      /all replication slots are in use.*max_replication_slots/,
    ],
  ];
  test.each(wrong)('%s', async (_what, makeWrong, makeRight, why) => {
    await around(makeWrong);
    try {
      await start();
      const client = await connect();
      await problem(why);
      await neverCached(client, sql, /not seen|not cached/);
      expect(linesOf(weir, 'decoding_failed').length).toBe(1);
      await around(makeRight);
      await reading();
      await cached(client, sql);
    } finally {
      await around(makeRight).catch(() => undefined);
    }
  });
});

test('after a failover, the new primary tells', async () => {
  const own = await startShop();
  try {
    weir = await startWeir(configOf(own));
    const client = await connect();
    await cached(client, sql);
    const [next] = own.replicas;
    await own.primary.stop('immediate');
    await own.promote(next!);
    await until('a write there', () => own.query('UPDATE counter SET n = 50 WHERE id = 1', { node: next!, database }));
    const reader = await connect();
    await until('the new answer', async () => (await askedBy(reader, sql))[0]!['n'] === 50);
    expect(await cached(reader, sql)).toEqual([{ n: 50 }]);
    await own.query('UPDATE counter SET n = 51 WHERE id = 1', { node: next!, database });
    await until('the next one', async () => (await askedBy(reader, sql))[0]!['n'] === 51);
    expect(await cached(reader, sql)).toEqual([{ n: 51 }]);
  } finally {
    await own.stop();
  }
});

test.skipIf(!hasRedis())('two Weirs with one Redis: both see it, each by itself', async () => {
  const redis = await startRedis();
  try {
    await start(1, { cache: { redis: redis.url } });
    const first = weir;
    await start(1, { cache: { redis: redis.url } });
    const second = weir;
    try {
      const clients = await Promise.all(
        [first, second].map((each) => connectPg(each.url({ database, user: users.app }))),
      );
      for (let i = 0; i < 5; i++) {
        for (const client of clients) await cached(client, sql);
        await count();
        const after = await cluster.query(sql, { database });
        for (const client of clients)
          await until('the new answer', async () => isDeepStrictEqual(await askedBy(client, sql), after));
      }
    } finally {
      await closeClients();
      await first.stop();
    }
  } finally {
    await redis.stop();
  }
});
