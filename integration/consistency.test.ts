/**
 * A checker of histories: one writer per key counts up, many sessions read, two Weirs share a Redis, and meanwhile
 * replay is paused, replicas are killed and frozen, Redis stops and starts anew. Checked: a session sees its own writes, its reads never go back,
 * nobody sees what was rolled back, and when all is quiet everybody agrees. The same checker must find what is wrong
 * with weaker settings. WEIR_CHECK_SECONDS=300 runs it longer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, hasRedis, startCluster, startRedis, startWeirInProcess } from './harness/index.ts';
import { until, weirConfig } from './harness/index.ts';
import type { Cluster, Redis, WeirConfig, WeirInProcess } from './harness/index.ts';

const seconds = Number(process.env['WEIR_CHECK_SECONDS'] ?? 12);
const keys = 6;
/** What a transaction writes that is rolled back in the end: seen by nobody else. */
const aborted = 1_000_000_000;

interface Anomaly {
  readonly what: 'own write not seen' | 'went back' | 'saw what was rolled back';
  readonly session: number;
  readonly key: number;
  readonly value: number;
  readonly before: number;
  readonly route: string;
}

/** What one session knows: values below the floor would be news from the past. */
class History {
  readonly anomalies: Anomaly[] = [];
  reads = 0;
  writes = 0;
  readonly #session: number;
  readonly #seen = new Map<number, number>();
  readonly #written = new Map<number, number>();

  constructor(session: number) {
    this.#session = session;
  }

  acknowledged(key: number, value: number): void {
    this.writes++;
    this.#written.set(key, value);
  }

  async read(key: number, value: number, route: () => Promise<string>): Promise<void> {
    this.reads++;
    const [written, seen] = [this.#written.get(key) ?? 0, this.#seen.get(key) ?? 0];
    const what =
      value >= aborted
        ? 'saw what was rolled back'
        : value < written
          ? 'own write not seen'
          : value < seen
            ? 'went back'
            : undefined;
    if (what !== undefined) {
      const before = Math.max(written, seen);
      this.anomalies.push({ what, session: this.#session, key, value, before, route: await route() });
    }
    this.#seen.set(key, Math.max(seen, value));
  }
}

async function lastRoute(client: pg.Client): Promise<string> {
  const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
  return Object.values(rows[0]!)[0]!;
}

describe.skipIf(!hasRedis())('histories of sessions', () => {
  let cluster: Cluster;
  let redis: Redis;
  const weirs: WeirInProcess[] = [];

  beforeAll(async () => {
    [cluster, redis] = [await startCluster(), await startRedis()];
    await cluster.query(`
      CREATE TABLE registers (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO registers SELECT i, 0 FROM generate_series(0, ${keys - 1}) AS i;
      GRANT ALL ON registers TO PUBLIC;`);
    await cluster.waitForReplicas();
  });
  afterEach(async () => {
    await closeClients();
    await Promise.all(weirs.splice(0).map((weir) => weir.stop()));
    for (const replica of cluster.replicas) await cluster.resumeReplay(replica);
  });
  afterAll(async () => {
    await cluster.stop();
    await redis.stop();
  });

  async function startTwo(more: WeirConfig = {}): Promise<void> {
    for (let i = 0; i < 2; i++) {
      const cache = { enabled: true, redis: redis.url, ...(more['cache'] as WeirConfig | undefined) };
      weirs.push(await startWeirInProcess(weirConfig(cluster, {}, { ...more, cache })));
    }
  }

  /** Runs sessions until `isOver`: each writes the keys that are its own and reads any. */
  async function run(isOver: () => boolean): Promise<History[]> {
    await cluster.query('UPDATE registers SET n = 0');
    await cluster.waitForReplicas(cluster.replicas.slice(1));
    const histories: History[] = [];
    const sessions = Array.from({ length: 2 * keys }, async (_, i) => {
      const client = await connectPg(weirs[i % weirs.length]!.url());
      const history = new History(i);
      histories.push(history);
      let counter = 0;
      const read = async (key: number): Promise<void> => {
        const asPrepared = { name: 'r', text: 'SELECT n FROM registers WHERE id = $1', values: [key] };
        const { rows } = await (Math.random() < 0.5
          ? client.query<{ n: number }>(asPrepared)
          : client.query<{ n: number }>(`SELECT n FROM registers WHERE id = ${key}`));
        await history.read(key, rows[0]!.n, () => lastRoute(client));
      };
      while (!isOver()) {
        // The first half writes a key each, the second half only reads.
        if (i < keys && Math.random() < 0.15) {
          counter++;
          if (Math.random() < 0.3) {
            await client.query('BEGIN');
            await client.query('UPDATE registers SET n = $1 WHERE id = $2', [aborted, i]);
            if (Math.random() < 0.5) await client.query('ROLLBACK');
            else {
              await client.query('UPDATE registers SET n = $1 WHERE id = $2', [counter, i]);
              await client.query('COMMIT');
              history.acknowledged(i, counter);
            }
          } else {
            await client.query('UPDATE registers SET n = $1 WHERE id = $2', [counter, i]);
            history.acknowledged(i, counter);
          }
        }
        await read(i < keys && Math.random() < 0.5 ? i : Math.floor(Math.random() * keys));
        if (Math.random() < 0.2) await sleep(Math.random() * 20);
      }
      // Quiet now: what everybody else has written is there before long.
      for (let key = 0; key < keys; key++) {
        await until('everybody to agree', async () => {
          const [truth] = await cluster.query<{ n: number }>(`SELECT n FROM registers WHERE id = ${key}`);
          const { rows } = await client.query<{ n: number }>(`SELECT n FROM registers WHERE id = ${key}`);
          return rows[0]!.n === truth!.n;
        });
      }
    });
    await Promise.all(sessions);
    return histories;
  }

  const anomaliesOf = (histories: readonly History[]): readonly Anomaly[] => histories.flatMap((one) => one.anomalies);

  test(
    'own writes seen, reads never back, nothing rolled back: whatever happens',
    { timeout: seconds * 1000 + 60_000 },
    async () => {
      await startTwo();
      const end = performance.now() + seconds * 1000;
      const isOver = (): boolean => performance.now() > end;
      const trouble = async (): Promise<void> => {
        const [one, two] = cluster.replicas;
        const troubles: (() => Promise<void>)[] = [
          async () => {
            await cluster.pauseReplay(one!);
            await sleep(700);
            await cluster.resumeReplay(one!);
          },
          async () => {
            await cluster.kill(two!);
            await sleep(300);
            await cluster.start(two!);
          },
          async () => {
            await Promise.all([cluster.pauseReplay(one!), cluster.pauseReplay(two!)]);
            await sleep(1500);
            await Promise.all([cluster.resumeReplay(one!), cluster.resumeReplay(two!)]);
          },
          async () => {
            redis.pause();
            await sleep(3000);
            redis.resume();
          },
          async () => {
            await redis.restart();
            await sleep(300);
          },
          async () => {
            two!.freeze();
            await sleep(2500);
            two!.thaw();
          },
        ];
        for (let at = 0; !isOver(); at++) {
          await troubles[at % troubles.length]!();
          await sleep(300);
        }
      };
      const [histories] = await Promise.all([run(isOver), trouble()]);
      expect(anomaliesOf(histories)).toEqual([]);
      expect(histories.reduce((sum, { reads }) => sum + reads, 0)).toBeGreaterThan(20 * seconds);
      expect(histories.reduce((sum, { writes }) => sum + writes, 0)).toBeGreaterThan(seconds);
    },
  );

  test.each([
    [
      'consistency = eventual',
      { routing: { consistency: 'eventual', max_replica_lag: '30s' }, cache: { enabled: false } },
    ],
    ['cache.mode = ttl', { cache: { mode: 'ttl', ttl: '2s' } }],
  ])('the checker finds what %s allows', async (_name, settings) => {
    await startTwo(settings);
    await cluster.pauseReplay(cluster.replicas[0]!);
    const found: Anomaly[] = [];
    const end = performance.now() + 20_000;
    while (found.length === 0 && performance.now() < end) {
      const pause = performance.now() + 1500;
      found.push(...anomaliesOf(await run(() => performance.now() > pause)));
    }
    expect(found.length).toBeGreaterThan(0);
  });
});
