/**
 * A Weir is killed (kill -9) in the middle of a write, which the server goes on with: it commits later, or never. The Weirs that
 * share its Redis, and those started later, read its tables uncached and from the primary until that is known. A lock held by
 * somebody else decides when it commits.
 */
import type pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  hasRedis,
  startCluster,
  startRedis,
  startWeir,
  until,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, Redis, WeirProcess } from './harness/index.ts';

const read = 'SELECT v FROM t';
const readUncached = '/* weir: cache=off */ SELECT v FROM t';
const readOther = 'SELECT v FROM other';

interface Reading {
  readonly v: number | undefined;
  readonly route: string;
}

async function ask(client: pg.Client, sql: string): Promise<Reading> {
  const { rows } = await client.query<{ v: number }>(sql);
  const route = (await client.query<Record<string, string>>('SHOW weir.last_route')).rows[0]!['weir.last_route']!;
  return { v: rows[0]?.v, route };
}

class Scene {
  readonly cluster: Cluster;
  readonly redis: Redis;
  readonly weirs: WeirProcess[] = [];
  blocker: pg.Client | undefined;
  direct: pg.Client | undefined;

  private constructor(cluster: Cluster, redis: Redis) {
    this.cluster = cluster;
    this.redis = redis;
  }

  static async set(): Promise<Scene> {
    const cluster = await startCluster({ replicas: 1 });
    for (const table of ['t', 'other'])
      await cluster.query(
        `CREATE TABLE ${table} (v int); ALTER TABLE ${table} OWNER TO app; INSERT INTO ${table} VALUES (0)`,
      );
    await cluster.waitForReplicas();
    return new Scene(cluster, await startRedis());
  }

  async weir(): Promise<WeirProcess> {
    const cache = { enabled: true, ttl: '1h', redis: this.redis.url, member_timeout: '1s' };
    const weir = await startWeir(weirConfig(this.cluster, {}, { routing: { max_replica_lag: '1h' }, cache }));
    this.weirs.push(weir);
    return weir;
  }

  async kill(weir: WeirProcess): Promise<void> {
    this.weirs.splice(this.weirs.indexOf(weir), 1);
    await weir.kill();
  }

  async end(): Promise<void> {
    await Promise.all(this.weirs.map((weir) => weir.stop()));
    await this.redis.stop();
    await this.cluster.stop();
  }

  /** Reads of the table are answered by the cache, and past that by the replica. */
  async prime(weir: WeirProcess, v: number, table = read): Promise<void> {
    const reader = await connectPg(weir.url());
    for (const [sql, where] of [
      [table, 'cache'],
      [`/* weir: cache=off */ ${table}`, 'replica'],
    ] as const) {
      await until(`an answer from ${where}`, async () => {
        const reading = await ask(reader, sql);
        expect(reading.v).toBe(v);
        return reading.route.startsWith(where);
      });
    }
    await reader.end();
  }

  /** An UPDATE through that Weir that waits for a lock. Resolves to how it ended for its client. */
  async update(weir: WeirProcess): Promise<{ readonly ended: Promise<string> }> {
    this.blocker = await connectPg(this.cluster.url());
    this.direct = await connectPg(this.cluster.url());
    await this.blocker.query('BEGIN; SELECT v FROM t FOR UPDATE');
    const writer = await connectPg(weir.url());
    const ended = writer.query('UPDATE t SET v = 1').then(
      () => 'answered',
      () => 'failed',
    );
    await until('the UPDATE to wait for the lock', () => this.isUpdating());
    return { ended };
  }

  async isUpdating(): Promise<boolean> {
    const sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE t%'";
    return (await this.direct!.query(sql)).rows.length > 0;
  }

  async commit(): Promise<void> {
    await this.blocker!.query('COMMIT');
    await until('the commit', async () => (await this.direct!.query(`${read} WHERE v = 1`)).rows.length > 0);
  }

  /** What a session that knows nothing reads, in both ways; in between the replica stays behind. */
  async readings(weir: WeirProcess): Promise<Reading[]> {
    const client = await connectPg(weir.url());
    const readings = [await ask(client, read), await ask(client, readUncached), await ask(client, read)];
    await client.end();
    return readings;
  }

  /** Cached answers are shown again, and still the table is read uncached and from the primary. */
  async expectClosed(weir: WeirProcess): Promise<void> {
    await this.prime(weir, 0, readOther);
    for (const { v, route } of await this.readings(weir)) {
      expect(v).toBe(0);
      expect(route).toMatch(/^primary/);
    }
    expect(await undecided(weir)).toBe(1);
  }

  /** The write commits: nobody reads less, then everything is as before. */
  async expectCommit(...weirs: readonly WeirProcess[]): Promise<void> {
    const replica = this.cluster.replicas[0]!;
    await this.cluster.pauseReplay(replica);
    await this.commit();
    for (const weir of weirs) expect((await this.readings(weir)).map(({ v }) => v)).toEqual([1, 1, 1]);
    for (const weir of weirs) await until('Weir to know', async () => (await undecided(weir)) === 0);
    for (const weir of weirs) expect((await this.readings(weir)).map(({ v }) => v)).toEqual([1, 1, 1]);
    await this.cluster.resumeReplay(replica);
    for (const weir of weirs) await this.prime(weir, 1);
  }
}

async function undecided(weir: WeirProcess): Promise<number> {
  const { body } = await weir.http();
  return Number(/^weir_undecided_writes (\d+)/m.exec(body)?.[1]);
}

const isInherited = (weir: WeirProcess): Promise<boolean> =>
  until('the write to be inherited', async () => (await undecided(weir)) === 1);

let scene: Scene;
afterEach(async () => {
  await closeClients();
  await scene.end();
}, 60_000);

describe.skipIf(!hasRedis())('the write of a Weir that was killed', () => {
  test('is not missed by the others when it commits, however long that takes', async () => {
    scene = await Scene.set();
    const [killed, other] = [await scene.weir(), await scene.weir()];
    await scene.prime(other, 0);
    await scene.update(killed);
    await scene.kill(killed);
    // Longer than anything said of it in Redis counts without its owner.
    await scene.blocker!.query('SELECT pg_sleep(12)');
    await scene.expectClosed(other);
    const late = await scene.weir();
    await scene.expectClosed(late);
    await scene.expectCommit(other, late);
  }, 120_000);

  test.each([0, 12])(
    'is not missed by the one started %d s later, with nobody there in between',
    async (pauseS) => {
      scene = await Scene.set();
      const killed = await scene.weir();
      await scene.prime(killed, 0);
      await scene.update(killed);
      await scene.kill(killed);
      await scene.blocker!.query('SELECT pg_sleep($1)', [pauseS]);
      const next = await scene.weir();
      await scene.expectClosed(next);
      await scene.blocker!.query('SELECT pg_sleep(12)');
      await scene.expectClosed(next);
      await scene.expectCommit(next);
    },
    120_000,
  );

  test('is remembered when Redis loses its memory', async () => {
    scene = await Scene.set();
    const [killed, other] = [await scene.weir(), await scene.weir()];
    await scene.prime(other, 0);
    await scene.update(killed);
    await scene.kill(killed);
    await isInherited(other);
    await scene.redis.command('FLUSHALL');
    await scene.expectClosed(other);
    const late = await scene.weir();
    await scene.expectClosed(late);
    await scene.redis.kill();
    await scene.redis.start();
    await scene.expectClosed(other);
    await scene.expectClosed(late);
    await scene.expectCommit(other, late);
  }, 120_000);

  test('is over at once when the server has rolled it back', async () => {
    scene = await Scene.set();
    const [killed, other] = [await scene.weir(), await scene.weir()];
    await scene.prime(other, 0);
    const writer = await connectPg(killed.url());
    await writer.query('BEGIN');
    await writer.query('UPDATE t SET v = 1');
    await scene.kill(killed);
    await scene.prime(other, 0, readOther);
    await scene.prime(other, 0);
    expect(await undecided(other)).toBe(0);
  }, 120_000);

  test('is its own again when it was only frozen', async () => {
    scene = await Scene.set();
    const [frozen, other] = [await scene.weir(), await scene.weir()];
    await scene.prime(other, 0);
    const { ended } = await scene.update(frozen);
    frozen.signalTree('SIGSTOP');
    try {
      await isInherited(other);
      await scene.expectClosed(other);
    } finally {
      frozen.signalTree('SIGCONT');
    }
    await until('its owner to be heard of', async () => (await undecided(other)) === 0);
    await scene.prime(other, 0, readOther);
    for (const { v, route } of await scene.readings(other)) {
      expect(v).toBe(0);
      expect(route).not.toMatch(/^cache/);
    }
    await scene.commit();
    expect(await ended).toBe('answered');
    await scene.prime(other, 1);
  }, 120_000);
});
