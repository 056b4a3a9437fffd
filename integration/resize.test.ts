/**
 * Pools that resize while clients run through them: under pressure by themselves, by an operator, and against what the
 * server can spare. Counted on the server (pg_stat_activity), not by Weir.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, startTestWeir, until } from './harness/index.ts';
import { useCluster, users, weirConfig } from './harness/index.ts';
import type { TestWeir, WeirConfig } from './harness/index.ts';

let database: string;
let weir: TestWeir | undefined;

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  await closeClients();
  await weir?.stop();
  weir = undefined;
});
afterAll(() => useCluster().dropDatabase(database));

async function start(more: WeirConfig, serverUser: string = users.app): Promise<TestWeir> {
  const options = { database, serverUser, replicas: [] };
  const config = weirConfig(useCluster(), options, { log: { level: 'error' }, ...more });
  weir = await startTestWeir(config);
  return weir;
}

/** Server connections of the pool; the topology's own are not of it. */
async function openOnServer(user: string = users.app): Promise<number> {
  const [row] = await useCluster().query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity
     WHERE datname = $1 AND usename = $2 AND application_name <> 'weir monitor'`,
    { values: [database, user] },
  );
  return row?.n ?? 0;
}

/** Never more; fewer while a place goes from one worker to another. */
async function untilOpen(size: number): Promise<void> {
  let most = 0;
  await until(`${size} servers`, async () => {
    const open = await openOnServer();
    most = Math.max(most, open);
    return open === size;
  });
  expect(most).toBe(size);
}

type Row = Record<string, string | null>;

async function pool(console: pg.Client): Promise<Row> {
  const { rows } = await console.query<Row>('SHOW POOLS');
  return rows.find((row) => row['database'] === database) ?? {};
}

interface Load {
  readonly answers: () => number;
  /** Ends it; rejects with the first error that any client had. */
  stop(): Promise<void>;
}

/** Clients that ask again as soon as they are answered, each holding a server for `holdMs`. */
async function startLoad(at: TestWeir, clients: number, holdMs: number): Promise<Load> {
  let isOver = false;
  let answers = 0;
  const one = async (client: pg.Client): Promise<void> => {
    while (!isOver) {
      await client.query('SELECT pg_sleep($1)', [holdMs / 1000]);
      answers++;
    }
  };
  const connected = await Promise.all(Array.from({ length: clients }, () => connectPg(at.url({ database }))));
  const all = Promise.all(connected.map(one));
  all.catch(() => undefined);
  return {
    answers: () => answers,
    async stop() {
      isOver = true;
      await all;
    },
  };
}

describe('under pressure', () => {
  test('a pool grows until nobody waits long, says why, and shrinks when the surplus has lasted', async () => {
    const at = await start({
      default_pool_size: 3,
      max_pool_size: 40,
      resize: { target_wait: '10ms', shrink_after: '2s' },
    });
    const console = await connectPg(at.adminUrl());
    const load = await startLoad(at, 30, 50);
    await until('the pool to grow', async () => Number((await pool(console))['limit']) >= 20);
    await until('its servers to be open', async () => (await openOnServer()) >= 20);
    const grown = await pool(console);
    expect(grown['last_resize']).toMatch(
      /^\d+ -> \d+ \(pressure\): clients waited \d+ ms \(target 10 ms\); .*node primary can spare \d+$/,
    );
    expect(await openOnServer()).toBeLessThanOrEqual(40);
    await load.stop();

    // Shrinking for want of use ends where the pool started.
    await until('the pool to shrink', async () => Number((await pool(console))['limit']) === 3);
    expect((await pool(console))['last_resize']).toContain('(surplus): at most');
    await until('its servers to be closed', async () => (await openOnServer()) <= 3);

    const page = await (await fetch(`http://127.0.0.1:${at.httpPort}/metrics`)).text();
    expect(page).toMatch(/weir_pool_resizes_total\{direction="up",reason="pressure"\} [1-9]/);
    expect(page).toMatch(/weir_pool_resizes_total\{direction="down",reason="surplus"\} [1-9]/);
  });

  test('not when resizing is off, and never beyond max_pool_size', async () => {
    const off = await start({ default_pool_size: 2, resize: { enabled: false } });
    const load = await startLoad(off, 20, 20);
    await until('two seconds of pressure', () => load.answers() > 150);
    expect(Number((await pool(await connectPg(off.adminUrl())))['limit'])).toBe(2);
    await untilOpen(2);
    await load.stop();
    await closeClients();
    await off.stop();

    const bounded = await start({ default_pool_size: 2, max_pool_size: 6 });
    const console = await connectPg(bounded.adminUrl());
    const more = await startLoad(bounded, 30, 20);
    await until('the pool to reach its bound', async () => Number((await pool(console))['limit']) === 6);
    const at = more.answers();
    await until('another second or two', () => more.answers() > at + 400);
    expect(Number((await pool(console))['limit'])).toBe(6);
    expect(await openOnServer()).toBeLessThanOrEqual(6);
    await more.stop();
  });
});

describe('an operator', () => {
  test('resizes at once, up and down, under load, without an error', async () => {
    const at = await start({ default_pool_size: 10, resize: { enabled: false } });
    const console = await connectPg(at.adminUrl());
    const load = await startLoad(at, 60, 10);
    for (const size of [30, 4, 20]) {
      const { rows } = await console.query<Row>(`RESIZE POOL ${database}.${users.app} MIN ${size} MAX ${size}`);
      expect(rows).toMatchObject([{ after: String(size), min: String(size), max: String(size) }]);
      await until(`${size} servers`, async () => (await openOnServer()) === size);
    }
    expect((await pool(console))['last_resize']).toMatch(/^4 -> 20 \(operator\)/);
    await load.stop();
  });

  test('says with MAX alone how large a pool of fixed size is', async () => {
    const at = await start({ default_pool_size: 2, resize: { enabled: false } });
    const console = await connectPg(at.adminUrl());
    const load = await startLoad(at, 20, 10);
    await untilOpen(2);
    for (const size of [9, 3]) {
      await console.query(`RESIZE POOL ${database}.${users.app} MAX ${size}`);
      await untilOpen(size);
      expect(await pool(console)).toMatchObject({ limit: String(size), max: String(size) });
    }
    await load.stop();
  });

  test('has the last word: the controller keeps within the new bounds', async () => {
    const at = await start({ default_pool_size: 4, max_pool_size: 50 });
    const console = await connectPg(at.adminUrl());
    const load = await startLoad(at, 40, 20);
    await until('the pool to exist', async () => Number((await pool(console))['sv_active']) > 0);
    await console.query(`RESIZE POOL ${database} MAX 7`);
    await until('no more than 7 servers', async () => (await openOnServer()) <= 7);
    const before = load.answers();
    await until('two seconds of pressure', () => load.answers() > before + 500);
    expect(Number((await pool(console))['limit'])).toBeLessThanOrEqual(7);
    expect(await openOnServer()).toBeLessThanOrEqual(7);
    await load.stop();
  });
});

describe('RESIZE POOL of a pool that nobody has used yet', () => {
  test('counts as soon as it is used, whatever other settings are changed meanwhile', async () => {
    const at = await start({ default_pool_size: 10, resize: { enabled: false } });
    const console = await connectPg(at.adminUrl());
    const { rows } = await console.query<Row>(`RESIZE POOL ${database}.${users.app} MAX 3`);
    expect(rows).toMatchObject([{ user: users.app, node: 'primary', before: '10', after: '3', min: '0', max: '3' }]);
    await console.query("SET query_wait_timeout = '50s'");
    const load = await startLoad(at, 12, 10);
    await until('some answers', () => load.answers() > 100);
    await untilOpen(3);
    expect(await pool(console)).toMatchObject({ limit: '3', max: '3' });
    await load.stop();
    await console.query("SET default_pool_size = '6'");
    expect(await pool(console)).toMatchObject({ limit: '6' });
  });

  test('is refused when no pool can ever be meant', async () => {
    const at = await start({});
    const console = await connectPg(at.adminUrl());
    for (const name of [`${database}.somebody_else`, `${database} NODE nowhere`]) {
      await expect(console.query(`RESIZE POOL ${name} MAX 3`)).rejects.toMatchObject({
        code: '55000',
        message: expect.stringContaining('no pool of'),
      });
    }
  });
});

describe('a server that has no more', () => {
  const limited = 'resize_limited';
  beforeAll(async () => {
    const cluster = useCluster();
    await cluster.query(`CREATE ROLE ${limited} LOGIN PASSWORD '${cluster.password}'`);
    await cluster.query(`GRANT CONNECT ON DATABASE ${pg.escapeIdentifier(database)} TO ${limited}`);
    await cluster.waitForReplicas();
  });
  afterAll(async () => {
    const cluster = useCluster();
    await cluster.query(`REVOKE ALL ON DATABASE ${pg.escapeIdentifier(database)} FROM ${limited}`);
    await cluster.query(`DROP ROLE ${limited}`);
  });

  test('53300 lowers the limit, nobody is refused, and the pool grows again when there is room', async () => {
    const cluster = useCluster();
    // Of these seven, the topology's own connections take a few.
    await cluster.query(`ALTER ROLE ${limited} CONNECTION LIMIT 7`);
    const at = await start({ default_pool_size: 15, max_pool_size: 30 }, limited);
    const console = await connectPg(at.adminUrl());
    const load = await startLoad(at, 25, 20);
    const shown = await until('the limit to be lowered', async () => {
      const row = await pool(console);
      return Number(row['limit']) < 10 && row;
    });
    expect(Number(shown['connect_failures'])).toBeGreaterThan(0);
    const before = load.answers();
    await until('clients to be served', () => load.answers() > before + 100);

    await cluster.query(`ALTER ROLE ${limited} CONNECTION LIMIT -1`);
    await until('the pool to grow', async () => Number((await pool(console))['limit']) > 12);
    await load.stop();
  });
});
