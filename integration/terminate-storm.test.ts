/**
 * All backends of the clients' user are terminated again and again on every node while clients read and write: nobody
 * waits for ever, and whoever is told of a failure goes on with a new connection.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pgUrl, startCluster, startWeir, SUPERUSER, until, users, weirConfig } from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

/** More of them by hand: each takes about three seconds. */
const storms = Number(process.env['WEIR_TEST_STORMS'] ?? 8);
const database = 'postgres';
let cluster: Cluster;
let weir: WeirProcess;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 2 });
  await cluster.query(
    'CREATE TABLE kv (k int PRIMARY KEY, v int); INSERT INTO kv SELECT g, 0 FROM generate_series(1, 50) g',
  );
  await cluster.query(`ALTER TABLE kv OWNER TO ${users.app}`);
  weir = await startWeir(weirConfig(cluster, { database }));
});
afterAll(async () => {
  await weir.stop();
  await cluster.stop();
});

class Client {
  done = 0;
  failed = 0;
  sinceMs = performance.now();
  private readonly number: number;
  private connection: pg.Client | undefined;

  constructor(number: number) {
    this.number = number;
  }

  /** Longer than a failed log-in, its pause and whatever else a request has to wait for. */
  get isStuck(): boolean {
    return performance.now() - this.sinceMs > 15_000;
  }

  async run(goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      this.sinceMs = performance.now();
      try {
        await this.request();
        this.done++;
      } catch {
        this.failed++;
        void this.connection?.end().catch(() => undefined);
        this.connection = undefined;
        await sleep(20);
      }
    }
    await this.connection?.end().catch(() => undefined);
  }

  private async request(): Promise<void> {
    if (this.connection === undefined) {
      this.connection = new pg.Client({ connectionString: weir.url({ database }) });
      this.connection.on('error', () => undefined);
      await this.connection.connect();
    }
    const key = 1 + ((this.number * 7 + this.done) % 50);
    if (Math.random() < 0.3) await this.connection.query('update kv set v = v + 1 where k = $1 returning v', [key]);
    else await this.connection.query('select v from kv where k = $1', [key]);
  }
}

test('nobody stays stuck', { timeout: 120_000 + storms * 6_000 }, async () => {
  let isOver = false;
  const clients = Array.from({ length: 12 }, (_, i) => new Client(i));
  const running = clients.map((client) => client.run(() => !isOver));
  const killers = await Promise.all(
    [cluster.primary, ...cluster.replicas].map(async (node) => {
      const killer = new pg.Client(pgUrl(node, { user: SUPERUSER, database }));
      await killer.connect();
      return killer;
    }),
  );
  const kill = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '${users.app}'`;
  for (let storm = 0; storm < storms; storm++) {
    for (let n = 0; n < 12; n++) {
      await Promise.all(killers.map((killer) => killer.query(kill)));
      await sleep(100 + Math.random() * 100);
    }
    await sleep(1500);
    if (storms > 20) console.log(`storm ${storm + 1}: ${clients.filter((client) => client.isStuck).length} stuck`);
    if (clients.some((client) => client.isStuck)) break;
  }
  await Promise.all(killers.map((killer) => killer.end()));
  const counts = clients.map((client) => client.done);
  await until('everybody to get an answer', () => clients.every((c, i) => c.done > (counts[i] as number)), {
    timeoutMs: 60000,
  });
  isOver = true;
  await Promise.all(running);
  // The storms have hit somebody, or they have shown nothing.
  expect(clients.reduce((sum, { failed }) => sum + failed, 0)).toBeGreaterThan(0);
});
