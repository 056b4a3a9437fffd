/**
 * While there is no primary, reads go on: also of tables that nobody has read yet, by users who have no server yet, with
 * the cache and its Redis. Only what a session itself wrote is waited for.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  connectToEach,
  lastRoute,
  startCluster,
  startWeir,
  until,
  useRedis,
  users,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';
import type { Cluster, WeirConfig, WeirProcess } from './harness/index.ts';

const redis = useRedis();
const caches: { what: string; cache: WeirConfig }[] = [
  { what: 'without a cache', cache: { enabled: false } },
  { what: 'with a cache', cache: { enabled: true } },
  ...(redis === null ? [] : [{ what: 'with a cache over Redis', cache: { enabled: true, redis: redis.url } }]),
];
const tables = Array.from({ length: 12 }, (_, i) => `t${i}`);
const readers = [users.app, users.app2, users.monitor];

let own: Cluster;
const weirs = new Map<string, WeirProcess>();

function weirOf(what: string): WeirProcess {
  const weir = weirs.get(what);
  if (weir === undefined) throw new Error(`no Weir ${what}`);
  return weir;
}

async function seesNoPrimary(weir: WeirProcess): Promise<boolean> {
  const console = await connectPg(weir.adminUrl());
  const { rows } = await console.query<{ node: string; state: string }>('SHOW NODES');
  await console.end();
  return rows.some(({ node, state }) => node === 'primary' && state === 'down');
}

/** It is ready as soon as one worker is; the others have been told how far the servers are a moment later. */
async function untilEachIsReady(weir: WeirProcess): Promise<void> {
  if (workersOfTests() === undefined) return;
  for (const client of await connectToEach(() => connectPg(weir.url({ user: users.app })))) {
    await until('a worker to know of the replicas', async () => {
      await client.query('/* weir: cache=off */ SELECT n FROM early');
      return (await lastRoute(client)).startsWith('replica');
    });
    await client.end();
  }
}

beforeAll(async () => {
  own = await startCluster();
  await own.query(
    [...tables, 'early']
      .map((name) => `CREATE TABLE ${name} AS SELECT 1 AS n; GRANT ALL ON ${name} TO public;`)
      .join(' '),
  );
  await own.waitForReplicas();
  for (const { what, cache } of caches) {
    const config = weirConfig(
      own,
      { serverUser: null },
      { cache, query_wait_timeout: '3s', auth: { user: users.monitor } },
    );
    const weir = await startWeir(config);
    weirs.set(what, weir);
    await untilEachIsReady(weir);
  }
  await own.kill(own.primary);
  for (const weir of weirs.values()) await until('the loss to be seen', () => seesNoPrimary(weir));
});
afterEach(closeClients);
afterAll(async () => {
  for (const weir of weirs.values()) await weir.stop();
  await own.stop();
});

describe.each(caches)('$what', ({ what }) => {
  test('every table is read by every user, for the first time and again', async () => {
    for (const user of readers) {
      const client = await connectPg(weirOf(what).url({ user }));
      for (const table of [...tables, ...tables]) {
        expect((await client.query(`SELECT n FROM ${table}`)).rows).toEqual([{ n: 1 }]);
      }
    }
  });

  test('a write says that there is no primary', async () => {
    const client = await connectPg(weirOf(what).url());
    await expect(client.query('UPDATE t0 SET n = 2')).rejects.toMatchObject({ code: '57P03' });
    expect((await client.query('SELECT n FROM t0')).rows).toEqual([{ n: 1 }]);
  });
});
