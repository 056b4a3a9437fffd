/**
 * The connection to the server is cut in the middle of a write, which the server does not notice: it commits later, or never.
 * Until that is known its tables are read uncached and from the primary; the old row is not shown after the commit. A lock
 * held by somebody else decides when it commits. Breaks clusters of its own.
 */
import type pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { closeClients, connectPg, startCluster, startWeir, TcpRelay, until, weirConfig } from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

const read = 'SELECT v FROM t';
const readUncached = '/* weir: cache=off */ SELECT v FROM t';

class Scene {
  readonly cluster: Cluster;
  readonly relay: TcpRelay;
  readonly weir: WeirProcess;
  blocker: pg.Client | undefined;
  direct: pg.Client | undefined;

  private constructor(cluster: Cluster, relay: TcpRelay, weir: WeirProcess) {
    this.cluster = cluster;
    this.relay = relay;
    this.weir = weir;
  }

  static async set(replicas = 1): Promise<Scene> {
    const cluster = await startCluster({ replicas });
    await cluster.query('CREATE TABLE t (v int); ALTER TABLE t OWNER TO app; INSERT INTO t VALUES (0)');
    await cluster.waitForReplicas();
    const relay = await TcpRelay.start(cluster.primary);
    const more = { routing: { max_replica_lag: '1h' }, cache: { enabled: true, ttl: '1h' } };
    const weir = await startWeir(weirConfig(cluster, { primary: relay }, more));
    return new Scene(cluster, relay, weir);
  }

  async end(): Promise<void> {
    await this.weir.stop();
    await this.relay.stop();
    await this.cluster.stop();
  }

  async undecided(): Promise<number> {
    const { body } = await this.weir.http();
    return Number(/^weir_undecided_writes (\d+)/m.exec(body)?.[1]);
  }

  /** From now on the old row is in the cache and on a replica; they answer with it. */
  async prime(): Promise<void> {
    const reader = await connectPg(this.weir.url());
    for (const [sql, where] of [
      [read, 'cache'],
      [readUncached, 'replica'],
    ] as const) {
      await until(`an answer from ${where}`, async () => (await this.ask(reader, sql)).route.startsWith(where));
    }
    await reader.end();
  }

  /** An UPDATE through Weir that waits for the lock, and whose connection to the server is cut meanwhile. */
  async cutUpdate(mode: 'pass' | 'refuse' = 'pass'): Promise<void> {
    this.blocker = await connectPg(this.cluster.url());
    this.direct = await connectPg(this.cluster.url());
    await this.blocker.query('BEGIN; SELECT v FROM t FOR UPDATE');
    const writer = await connectPg(this.weir.url());
    const failed = writer.query('UPDATE t SET v = 1').then(
      () => 'answered',
      () => 'failed',
    );
    await until('the UPDATE to wait for the lock', async () => {
      const sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE t%'";
      return (await this.direct!.query(sql)).rows.length > 0;
    });
    this.relay.setMode(mode);
    this.relay.cut();
    expect(await failed).toBe('failed');
  }

  async ask(client: pg.Client, sql: string): Promise<{ v: number | undefined; route: string }> {
    const { rows } = await client.query<{ v: number }>(sql);
    const route = (await client.query<Record<string, string>>('SHOW weir.last_route')).rows[0]!['weir.last_route']!;
    return { v: rows[0]?.v, route };
  }

  /** What a session that knows nothing reads, in both ways. */
  async readings(): Promise<{ v: number | undefined; route: string }[]> {
    const client = await connectPg(this.weir.url());
    const readings = [await this.ask(client, read), await this.ask(client, readUncached)];
    await client.end();
    return readings;
  }
}

let scene: Scene;
afterEach(async () => {
  await closeClients();
  await scene.end();
}, 60_000);

describe('a write whose connection to the server was cut', () => {
  test('is not missed when it commits later, however long that takes', async () => {
    scene = await Scene.set();
    await scene.prime();
    await scene.cluster.pauseReplay(scene.cluster.replicas[0]!);
    await scene.cutUpdate();
    // Longer than any pause that Weir might make of its own.
    await scene.blocker!.query('SELECT pg_sleep(12)');
    await until('the primary to be back', async () => {
      for (const { v, route } of await scene.readings()) {
        expect(v).toBe(0);
        expect(route).toMatch(/^primary/);
      }
      return true;
    });
    expect(await scene.undecided()).toBe(1);
    await scene.blocker!.query('COMMIT');
    await until('the commit', async () => (await scene.direct!.query(`${read} WHERE v = 1`)).rows.length > 0);
    expect((await scene.readings()).map(({ v }) => v)).toEqual([1, 1]);
    await until('Weir to know', async () => (await scene.undecided()) === 0);
    expect((await scene.readings()).map(({ v }) => v)).toEqual([1, 1]);
    await scene.cluster.resumeReplay(scene.cluster.replicas[0]!);
    await scene.prime();
    expect((await scene.readings()).map(({ v }) => v)).toEqual([1, 1]);
  }, 90_000);

  test('stays undecided as long as nobody can ask, and is told of once', async () => {
    scene = await Scene.set();
    await scene.prime();
    await scene.cluster.pauseReplay(scene.cluster.replicas[0]!);
    await scene.cutUpdate('refuse');
    await scene.blocker!.query('COMMIT');
    await until('the commit', async () => (await scene.direct!.query(`${read} WHERE v = 1`)).rows.length > 0);
    await until('Weir to say it', () => scene.weir.logs.some(({ event }) => event === 'outcome_unknown'));
    expect(await scene.undecided()).toBe(1);
    scene.relay.pass();
    await until('Weir to know', async () => (await scene.undecided()) === 0);
    await until('the primary to be back', async () =>
      (await scene.readings()).every(({ route }) => route.startsWith('primary')),
    );
    expect((await scene.readings()).map(({ v }) => v)).toEqual([1, 1]);
    expect(scene.weir.logs.filter(({ event }) => event === 'outcome_unknown')).toHaveLength(1);
  }, 90_000);

  test('is decided by a failover', async () => {
    scene = await Scene.set(2);
    await scene.prime();
    await scene.cutUpdate('refuse');
    expect(await scene.undecided()).toBe(1);
    const next = scene.cluster.replicas[0]!;
    await scene.cluster.kill(scene.cluster.primary);
    await scene.cluster.promote(next);
    await scene.cluster.query('UPDATE t SET v = 2', { node: next });
    await until('Weir to know', async () => (await scene.undecided()) === 0);
    await until('the new primary to be found', async () =>
      (await scene.readings()).every(({ route }) => !route.includes('no primary')),
    );
    expect((await scene.readings())[0]?.v).toBe(2);
  }, 90_000);

  test('is decided at once when the server is gone with it', async () => {
    scene = await Scene.set();
    await scene.prime();
    await scene.cutUpdate('refuse');
    await scene.cluster.restart(scene.cluster.primary, 'immediate');
    scene.relay.pass();
    await until('Weir to know', async () => (await scene.undecided()) === 0);
    await scene.prime();
    expect((await scene.readings()).map(({ v }) => v)).toEqual([0, 0]);
  }, 90_000);
});
