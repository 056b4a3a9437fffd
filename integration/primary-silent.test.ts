/**
 * A primary that Weir takes for down, and that is not: only the monitor cannot reach it, while transactions that have begun
 * there go on and commit. What they have written is not missing in what others read then, on replicas that lag.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  startCluster,
  startWeir,
  TcpRelay,
  until,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

let cluster: Cluster;
let relay: TcpRelay;
let weir: WeirProcess;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.query(
    `CREATE TABLE written (n int); INSERT INTO written VALUES (0);
     CREATE TABLE left_alone (n int); INSERT INTO left_alone VALUES (7); GRANT ALL ON written, left_alone TO public`,
  );
  await cluster.waitForReplicas();
  relay = await TcpRelay.start({ port: cluster.primary.port });
  const more = {
    query_wait_timeout: '20s',
    routing: { max_replica_lag: '60s' },
    cache: { enabled: true },
    tls: { server: { mode: 'disable' } },
  };
  weir = await startWeir(weirConfig(cluster, { primary: { port: relay.port } }, more));
  // Each worker judges by itself whether the primary is down, and has asked by itself where a write is.
  await fillOtherWorkers(weir, 6);
});
afterEach(async () => {
  relay.pass();
  for (const node of cluster.replicas) await cluster.query('SELECT pg_wal_replay_resume()', { node });
  await closeClients();
  await untilPrimaryIs('up');
});
afterAll(async () => {
  await weir?.stop();
  await relay?.stop();
  await cluster.stop();
});

/** As every worker has it in its log: a console may be told by the first worker that knows. */
function isPrimary(state: 'up' | 'down'): boolean {
  const changes = weir.logs.filter(({ event, node }) => node === 'primary' && /^node_(up|down)$/.test(String(event)));
  const last = new Map(changes.map(({ worker, event }) => [worker, event]));
  return last.size === (workersOfTests() ?? 1) && [...last.values()].every((event) => event === `node_${state}`);
}

const untilPrimaryIs = (state: 'up' | 'down'): Promise<boolean> =>
  until(`the primary to be ${state}`, () => isPrimary(state));

async function pauseReplay(): Promise<void> {
  await cluster.waitForReplicas();
  for (const node of cluster.replicas) await cluster.query('SELECT pg_wal_replay_pause()', { node });
}

const routeOf = async (client: pg.Client): Promise<string> =>
  (await client.query<Record<string, string>>('SHOW weir.last_route')).rows[0]!['weir.last_route']!;
const read = async (client: pg.Client, table = 'written'): Promise<number | undefined> =>
  (await client.query<{ n: number }>(`/* weir: cache=off */ SELECT n FROM ${table}`)).rows[0]?.n;

/** When the write is acknowledged: before or behind the moment at which the primary is taken for down. */
describe.each(['before', 'behind'])('a write that is acknowledged %s it', (when) => {
  test('is seen by others', async () => {
    const [writer, reader] = [await connectPg(weir.url()), await connectPg(weir.url())];
    await until('a replica to answer', async () => {
      await read(reader);
      return (await routeOf(reader)).startsWith('replica');
    });
    const before = (await read(reader)) as number;
    await writer.query('BEGIN; UPDATE written SET n = n + 1');
    await pauseReplay();
    relay.blackhole({ saying: 'weir monitor' });
    if (when === 'before') await writer.query('COMMIT');
    await untilPrimaryIs('down');
    if (when === 'behind') await writer.query('COMMIT');

    expect(await read(reader, 'left_alone')).toBe(7);
    expect(await routeOf(reader)).toMatch(/^replica/);
    const reading = read(reader);
    const early = await Promise.race([reading, stillWaits()]);
    expect(early).toBe('waits');
    relay.pass();
    expect(await reading).toBe(before + 1);
  });
});

test('a write of which it is known where it is in the WAL is waited for on the replicas', async () => {
  const [writer, reader] = [await connectPg(weir.url()), await connectPg(weir.url())];
  const before = (await read(reader)) as number;
  await pauseReplay();
  await writer.query('UPDATE written SET n = n + 1');
  // Its place is known, and no replica is there.
  await until('the read to know where the write is', async () => {
    expect(await read(reader)).toBe(before + 1);
    const route = await routeOf(reader);
    return route.startsWith('primary') && !route.includes('not known');
  });
  relay.blackhole({ saying: 'weir monitor' });
  await untilPrimaryIs('down');
  const another = await connectPg(weir.url());
  const reading = read(another);
  expect(await Promise.race([reading, stillWaits()])).toBe('waits');
  for (const node of cluster.replicas) await cluster.query('SELECT pg_wal_replay_resume()', { node });
  expect(await reading).toBe(before + 1);
  expect(await routeOf(another)).toMatch(/^replica/);
  expect(isPrimary('down')).toBe(true);
});

/** A client waits that is not served. */
async function stillWaits(): Promise<'waits'> {
  const console = await connectPg(weir.adminUrl());
  await until('a client to wait', async () => {
    const { rows } = await console.query<{ state: string }>('SHOW CLIENTS');
    return rows.some(({ state }) => state === 'waiting');
  });
  return 'waits';
}
