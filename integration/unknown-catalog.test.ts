/**
 * A Weir that could not read the catalog yet lets its clients in, and what they write is in no cached answer of another Weir
 * that knows the catalog. Fails if such a write is sent before the others can know of it.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  hasRedis,
  lastRoute,
  startRedis,
  startTestWeir,
  SUPERUSER,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { Redis, TestWeir } from './harness/index.ts';

describe.skipIf(!hasRedis())('a Weir that does not know the catalog yet', () => {
  let database: string;
  let redis: Redis;
  const weirs: TestWeir[] = [];

  beforeAll(async () => {
    const cluster = useCluster();
    database = await cluster.createDatabase();
    await cluster.query(
      `SET ROLE app; CREATE TABLE board (id int PRIMARY KEY, n int NOT NULL); INSERT INTO board VALUES (1, 0)`,
      { database },
    );
    await cluster.waitForReplicas();
    redis = await startRedis();
  });
  afterEach(closeClients);
  afterAll(async () => {
    await Promise.all(weirs.map((weir) => weir.stop()));
    await redis.stop();
    await useCluster().dropDatabase(database);
  });

  async function clientOfNewWeir(): Promise<pg.Client> {
    const cache = { enabled: true, redis: redis.url };
    const options = { database, serverUser: null };
    const weir = await startTestWeir(weirConfig(useCluster(), options, { cache, auth: { user: users.monitor } }));
    weirs.push(weir);
    const client = await connectPg(weir.url({ database }));
    await client.query(`SET weir.consistency = 'strict'`);
    return client;
  }

  async function valueOf(client: pg.Client): Promise<number> {
    return (await client.query<{ n: number }>('SELECT n FROM board WHERE id = 1')).rows[0]!.n;
  }

  test('its writes are in every strict read of the others', async () => {
    const reader = await clientOfNewWeir();
    const isCached = async (): Promise<boolean> => {
      await valueOf(reader);
      return (await lastRoute(reader)) === 'cache; hit';
    };
    await until('answers from the cache', isCached);
    const cluster = useCluster();
    const holder = await connectPg(cluster.url(cluster.primary, { user: SUPERUSER, database }));
    // A part of the catalog that only Weir reads here.
    await holder.query('BEGIN; LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE');
    const writer = await clientOfNewWeir();
    await until('answers from the cache again', isCached);
    for (let n = 1; n <= 3; n++) {
      await writer.query(`UPDATE board SET n = ${n} WHERE id = 1`);
      expect(await lastRoute(writer)).toContain('the catalog of the database is not known yet');
      expect(await valueOf(reader)).toBe(n);
      await until('answers from the cache again', isCached);
      expect(await valueOf(reader)).toBe(n);
    }
    await holder.query('ROLLBACK');
  });
});
