/**
 * Where real clients' statements go through a whole Weir, and what they see there: own writes always, reads never back,
 * replicas used whenever they are far enough, the primary when they are not. Pauses replay on a cluster of its own.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  connectPostgresJs,
  lastRoute,
  startCluster,
  startTestWeir,
  until,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';
import type { Cluster, TestWeir, WeirConfig } from './harness/index.ts';

let cluster: Cluster;
const weirs: TestWeir[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.query(`
    CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL);
    INSERT INTO counters SELECT i, 0 FROM generate_series(1, 20) AS i;
    CREATE TABLE quiet AS SELECT 1 AS one;
    CREATE SEQUENCE numbers;
    CREATE FUNCTION bump() RETURNS int LANGUAGE sql AS 'UPDATE counters SET n = n WHERE id = 20 RETURNING n';
    CREATE FUNCTION peek() RETURNS int LANGUAGE sql STABLE AS 'SELECT n FROM counters WHERE id = 20';
    CREATE FUNCTION pretends() RETURNS int LANGUAGE sql STABLE AS 'SELECT bump()';
    GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;`);
  await cluster.waitForReplicas();
});
afterEach(async () => {
  for (const replica of cluster.replicas) await cluster.resumeReplay(replica);
  await closeClients();
  await Promise.all(weirs.splice(0).map((weir) => weir.stop()));
});
afterAll(() => cluster.stop());

async function start(more: WeirConfig = {}): Promise<TestWeir> {
  const weir = await startTestWeir(weirConfig(cluster, {}, more));
  weirs.push(weir);
  return weir;
}

async function read(client: pg.Client, id = 1): Promise<{ n: number; route: string }> {
  const { rows } = await client.query<{ n: number }>('SELECT n FROM counters WHERE id = $1', [id]);
  return { n: rows[0]!.n, route: await lastRoute(client) };
}

describe('the very first read', () => {
  test('goes to a replica as soon as Weir says that it is ready', async () => {
    const weir = await start();
    const client = await connectPg(weir.url());
    // A worker may not know yet how far the primary is: it asks the lead, and reads on the primary until it has the answer.
    if (workersOfTests() !== undefined)
      await until('a replica', async () => (await read(client)).route.startsWith('replica'));
    expect((await read(client)).route).toMatch(/^replica/);
  });
});

describe('a busy session', () => {
  test('goes back to the replicas after its write, although it never pauses', async () => {
    const weir = await start();
    const sql = connectPostgresJs(weir.url());
    await sql`UPDATE counters SET n = 1 WHERE id = 2`;
    let routed = '';
    const isOver = performance.now() + 10_000;
    while (!routed.startsWith('replica') && performance.now() < isOver) {
      for (let i = 0; i < 50; i++) await sql`SELECT n FROM counters WHERE id = 2`;
      routed = String(Object.values((await sql`SHOW weir.last_route`.simple())[0]!)[0]);
    }
    expect(routed).toMatch(/^replica/);
  });
});

const write = (id: number, n: number): Promise<unknown> =>
  cluster.query('UPDATE counters SET n = $2 WHERE id = $1', { values: [id, n] });

const nodeOf = (route: string): string => route.split(';')[0]!;

/** How many of so many reads each node took. */
async function spread(client: pg.Client, reads: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = { primary: 0, replica1: 0, replica2: 0 };
  for (let i = 0; i < reads; i++) {
    const node = nodeOf((await read(client)).route);
    counts[node] = (counts[node] ?? 0) + 1;
  }
  return counts;
}

describe('while replay is paused on one replica', () => {
  test('a session sees its writes and never goes back', async () => {
    const weir = await start({ routing: { max_replica_lag: '1h' } });
    const [writer, reader] = [await connectPg(weir.url()), await connectPg(weir.url())];
    const [paused] = cluster.replicas;
    await until('a read on the replica', async () => nodeOf((await read(reader, 3)).route) === paused!.name);
    await cluster.pauseReplay(paused!);
    let seen = 0;
    const nodes = new Set<string>();
    for (let n = 1; n <= 20; n++) {
      await writer.query('UPDATE counters SET n = $1 WHERE id = 3', [n]);
      expect((await read(writer, 3)).n).toBe(n);
      for (let i = 0; i < 5; i++) {
        const { n: found, route } = await read(reader, 3);
        expect(found, route).toBeGreaterThanOrEqual(seen);
        seen = found;
      }
    }
    await until('the other replica', async () => {
      const { n, route } = await read(writer, 3);
      expect(n, route).toBe(20);
      nodes.add(nodeOf(route));
      return nodes.has('replica2');
    });
    expect(nodes).not.toContain(paused!.name);
    // Not for its lag: a session that needs nothing reads it still.
    const eventual = await connectPg(weir.url());
    await eventual.query("SET weir.consistency = 'eventual'");
    await until('the past', async () => (await read(eventual, 3)).n === 0);
  });

  test('eventual reads it until it lags too far, then no more', async () => {
    const weir = await start({ routing: { consistency: 'eventual', max_replica_lag: '4s' } });
    const client = await connectPg(weir.url());
    const [paused] = cluster.replicas;
    await cluster.pauseReplay(paused!);
    await write(4, 1);
    await until('an old value', async () => {
      const { n, route } = await read(client, 4);
      return n === 0 && nodeOf(route) === paused!.name;
    });
    await until('the lag to be noticed', async () =>
      /replica1 lags \d+ ms; picked replica2 .*only one/.test((await read(client, 4)).route),
    );
    for (let i = 0; i < 50; i++) expect(await read(client, 4)).toMatchObject({ n: 1 });
  });
});

describe('while replay is paused on all replicas', () => {
  /** Both lag by more than Weir of `client` likes. */
  async function fallBehind(client: pg.Client): Promise<void> {
    for (const replica of cluster.replicas) await cluster.pauseReplay(replica);
    await write(5, 1);
    const pattern = /^primary; .*replica1 lags \d+ ms; replica2 lags \d+ ms; no replica eligible: primary primary/;
    await until('both to lag', async () => pattern.test((await read(client, 5)).route));
  }

  test('reads go to the primary and say why, and come back', async () => {
    const weir = await start({ routing: { consistency: 'eventual', max_replica_lag: '300ms' } });
    const client = await connectPg(weir.url());
    await fallBehind(client);
    expect((await read(client, 5)).n).toBe(1);
    for (const replica of cluster.replicas) await cluster.resumeReplay(replica);
    await until('the replicas', async () => (await read(client, 5)).route.startsWith('replica'));
  });

  test('a READ ONLY transaction does not miss what was acknowledged to others, and goes to a replica otherwise', async () => {
    for (const enabled of [true, false]) {
      const weir = await start({ cache: { enabled }, routing: { max_replica_lag: '30s' } });
      const writer = await connectPg(weir.url());
      const begin = async (client: pg.Client): Promise<{ n: number; route: string }> => {
        await client.query('BEGIN READ ONLY');
        const { rows } = await client.query<{ n: number }>('SELECT n FROM counters WHERE id = 7');
        await client.query('COMMIT');
        return { n: rows[0]!.n, route: await lastRoute(client) };
      };
      await writer.query('UPDATE counters SET n = 0 WHERE id = 7');
      const other = await connectPg(weir.url());
      await until('a replica', async () => (await begin(other)).route.startsWith('replica'));
      for (const replica of cluster.replicas) await cluster.pauseReplay(replica);
      await writer.query('UPDATE counters SET n = 1 WHERE id = 7');
      expect(await begin(await connectPg(weir.url()))).toMatchObject({ n: 1 });
      await read(other, 7);
      expect((await read(other, 7)).n).toBe(1);
      expect(await begin(other)).toMatchObject({ n: 1 });
      for (const replica of cluster.replicas) await cluster.resumeReplay(replica);
      await until('a replica again', async () => (await begin(other)).route.startsWith('replica'));
    }
  });

  test('they take at most half of its room; the rest wait, and writes go on', async () => {
    const weir = await start({
      default_pool_size: 12,
      max_pool_size: 12,
      query_wait_timeout: '1s',
      resize: { enabled: false },
      routing: { max_replica_lag: '300ms' },
    });
    const client = await connectPg(weir.url());
    // With three workers, each has an equal part of the room, and of the clients.
    const clients = await Promise.all(Array.from({ length: 12 }, () => connectPg(weir.url())));
    await client.query('UPDATE counters SET n = 0 WHERE id = 6');
    await fallBehind(client);
    const blocker = await connectPg(cluster.url());
    await blocker.query('BEGIN; LOCK quiet IN ACCESS EXCLUSIVE MODE');
    const outcomes = clients.map((each) =>
      each.query('SELECT one FROM quiet').then(
        () => 'answered',
        (error: Error) => error.message,
      ),
    );
    let over = 0;
    for (const outcome of outcomes) void outcome.then(() => over++);
    await until('those without a place to give up', () => over >= 6);
    await client.query('UPDATE counters SET n = 1 WHERE id = 6');
    expect(over).toBe(6);
    await blocker.query('ROLLBACK');
    const said = await Promise.all(outcomes);
    expect(said.filter((each) => each === 'answered')).toHaveLength(6);
    const room = 6 / (workersOfTests() ?? 1);
    const why = `${room} reads already use half of the room on primary`;
    expect(said.filter((each) => each.includes(why))).toHaveLength(6);
  });

  test('who waits takes the place of who is done', async () => {
    const weir = await start({
      default_pool_size: 2,
      max_pool_size: 2,
      resize: { enabled: false },
      routing: { max_replica_lag: '300ms' },
    });
    const client = await connectPg(weir.url());
    const clients = await Promise.all(Array.from({ length: 8 }, () => connectPg(weir.url())));
    await client.query('UPDATE counters SET n = 0 WHERE id = 6');
    await fallBehind(client);
    const routes = await Promise.all(clients.map(async (each) => nodeOf((await read(each, 6)).route)));
    expect(new Set(routes)).toEqual(new Set(['primary']));
  });

  test('with primary_reads = never they wait for a replica', async () => {
    const weir = await start({ routing: { max_replica_lag: '300ms' } });
    const picky = await start({ routing: { max_replica_lag: '300ms', primary_reads: 'never' } });
    const client = await connectPg(picky.url());
    await until('a replica', async () => (await read(client, 5)).route.startsWith('replica'));
    await fallBehind(await connectPg(weir.url()));
    await client.query('UPDATE counters SET n = 7 WHERE id = 7');
    let isOver = false;
    const waiting = read(client, 7).finally(() => (isOver = true));
    const other = await connectPg(picky.url());
    for (let i = 0; i < 20; i++) await other.query('UPDATE counters SET n = n WHERE id = 8');
    expect(isOver).toBe(false);
    for (const replica of cluster.replicas) await cluster.resumeReplay(replica);
    const { n, route } = await waiting;
    expect(n).toBe(7);
    expect(route).toMatch(/^replica/);
  });
});

describe('reads are spread', () => {
  const settings = { consistency: 'eventual', max_replica_lag: '1h' };

  async function startWeighted(routing: WeirConfig): Promise<pg.Client> {
    const config = weirConfig(cluster, {}, { routing: { ...settings, ...routing } });
    const { postgres } = config['databases'] as Record<string, { replicas: WeirConfig[] }>;
    const [one, two] = postgres!.replicas;
    postgres!.replicas = [{ ...one, weight: 4 }, { ...two }];
    const weir = await startTestWeir(config);
    weirs.push(weir);
    return connectPg(weir.url());
  }

  test('round-robin: in turn', async () => {
    const client = await connectPg(
      (await start({ routing: { ...settings, load_balance_hosts: 'round-robin' } })).url(),
    );
    expect(await spread(client, 60)).toEqual({ primary: 0, replica1: 30, replica2: 30 });
  });

  test('primary_reads = always-included: the primary is one of them', async () => {
    const routing = { ...settings, load_balance_hosts: 'round-robin', primary_reads: 'always-included' };
    const client = await connectPg((await start({ routing })).url());
    expect(await spread(client, 60)).toEqual({ primary: 20, replica1: 20, replica2: 20 });
  });

  test('random: over both', async () => {
    const client = await connectPg((await start({ routing: { ...settings, load_balance_hosts: 'random' } })).url());
    const { primary, replica1, replica2 } = await spread(client, 100);
    expect(primary).toBe(0);
    expect(Math.min(replica1!, replica2!)).toBeGreaterThan(15);
  });

  test('weighted: four times as many to the one with weight 4', async () => {
    const { replica1, replica2 } = await spread(await startWeighted({ load_balance_hosts: 'weighted' }), 120);
    expect(replica1).toBeGreaterThan(70);
    expect(replica2).toBeGreaterThan(2);
  });

  test('least-load: over both, each as often as the latencies of the day say', async () => {
    // What they must say is in test/routing: here a hiccup of the machine may keep one node aside for seconds.
    const client = await startWeighted({ load_balance_hosts: 'least-load' });
    const seen = new Set<string>();
    await until('both', async () => seen.add(nodeOf((await read(client)).route)).size === 2, { intervalMs: 0 });
    expect([...seen].sort()).toEqual(['replica1', 'replica2']);
  });

  test('DRAIN: not there; UNDRAIN: there again', async () => {
    const weir = await start({ routing: settings });
    const [client, admin] = [await connectPg(weir.url()), await connectPg(weir.adminUrl())];
    await admin.query('DRAIN replica1');
    expect(await spread(client, 30)).toMatchObject({ replica1: 0, replica2: 30 });
    expect((await read(client)).route).toContain('replica1 is draining');
    await admin.query('DRAIN replica2');
    expect((await read(client)).route).toMatch(/^primary; .*replica2 is draining; no replica eligible/);
    await admin.query('UNDRAIN replica1');
    await until('replica1', async () => nodeOf((await read(client)).route) === 'replica1');
  });
});

describe('what a statement is decides where it goes', () => {
  let weir: TestWeir;
  beforeAll(async () => {
    weir = await startTestWeir(weirConfig(cluster, {}, { routing: { max_replica_lag: '1h' } }));
  });
  afterAll(() => weir.stop());

  const plain = 'SELECT one FROM quiet';
  test.each<[before: readonly string[], sql: string, route: RegExp]>([
    [[], plain, /^replica\d; read;/],
    [[], 'SELECT 1; SELECT one FROM quiet', /^replica/],
    [[], 'SELECT peek()', /^replica/],
    [[], '/* weir: route=replica */ SELECT one FROM quiet', /^replica\d; read; route=replica by hint/],
    [["SET weir.route = 'replica'"], plain, /^replica\d; read; route=replica by weir.route/],
    [["SET weir.route = 'primary'", 'RESET weir.route'], plain, /^replica/],
    [["SET weir.consistency = 'eventual'"], plain, /^replica\d; read; consistency=eventual/],
    [[], '/* weir: route=primary */ SELECT one FROM quiet', /^primary; read; route=primary by hint/],
    [[], '/* weir: route=replica */ UPDATE quiet SET one = 1', /^primary; .*route=replica by hint not followed/],
    [["SET weir.route = 'primary'"], plain, /^primary; read; route=primary by weir.route/],
    [["SET weir.route = 'primary'"], '/* weir: route=replica */ SELECT one FROM quiet', /^replica\d; .*by hint/],
    [[], '/* weir: consistency=strict */ SELECT one FROM quiet', /^primary; read; consistency=strict/],
    [["SET weir.consistency = 'strict'"], plain, /^primary; read; consistency=strict/],
    [[], 'SELECT one FROM quiet FOR UPDATE', /^primary/],
    [[], 'SELECT bump()', /^primary/],
    [[], "SELECT nextval('numbers')", /^primary/],
    [[], 'SELECT 1; UPDATE quiet SET one = 1', /^primary/],
    [[], 'WITH w AS (UPDATE quiet SET one = 1 RETURNING one) SELECT * FROM w', /^primary; writes/],
    // Its volatility lies: the replica refuses it, the client never hears of that, and it is remembered.
    [[], 'SELECT pretends()', /^primary/],
    [['SELECT pretends()'], 'SELECT pretends()', /^primary/],
  ])('%j %s -> %s', async (before, sql, route) => {
    const client = await connectPg(weir.url());
    await cluster.waitForReplicas();
    for (const each of before) await client.query(each);
    // Writes of the lines above may still be on their way to the replicas.
    let found = '';
    const isThere = async (): Promise<boolean> => {
      await client.query(sql);
      found = await lastRoute(client);
      return found.startsWith('replica');
    };
    if (route.source.startsWith('^replica')) await until('a replica', isThere);
    else expect(await isThere()).toBe(false);
    expect(found).toMatch(route);
  });

  test.each([
    ['-c weir.route=primary', /^primary; read; route=primary by weir.route/],
    ['-c target_session_attrs=read-write', /^primary; read; route=primary by target_session_attrs/],
    ['-c target_session_attrs=prefer-standby', /^replica\d; read; route=replica by target_session_attrs/],
    ['-c weir.consistency=strict', /^primary; read; consistency=strict/],
  ])('options=%s', async (options, route) => {
    const client = await connectPg(`${weir.url()}?options=${encodeURIComponent(options)}`);
    await client.query(plain);
    expect(await lastRoute(client)).toMatch(route);
  });

  test.each([
    ['BEGIN READ ONLY', true],
    ['START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY', true],
    ['BEGIN', false],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', false],
  ])('%s: as a whole on a replica: %s', async (begin, isOnReplica) => {
    const client = await connectPg(weir.url());
    const transaction = async (): Promise<boolean> => {
      const answers = new Set<boolean>();
      await client.query(begin);
      // Where it is asked first for what differs from node to node, it goes to the primary (read-only.test.ts).
      await client.query('SELECT one FROM quiet');
      for (let i = 0; i < 3; i++) {
        const { rows } = await client.query<{ there: boolean }>('SELECT pg_is_in_recovery() AS there, one FROM quiet');
        answers.add(rows[0]!.there);
      }
      await client.query('COMMIT');
      expect(answers.size).toBe(1);
      return answers.has(true);
    };
    if (isOnReplica) await until('a replica', transaction);
    else for (let i = 0; i < 3; i++) expect(await transaction()).toBe(false);
  });

  test('pool_mode = session: on the primary', async () => {
    const client = await connectPg((await start({ pool_mode: 'session' })).url());
    await client.query(plain);
    expect(await lastRoute(client)).toMatch(/^primary; .*pool_mode = session/);
  });
});
