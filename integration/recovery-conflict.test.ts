/**
 * A replica cancels a read that is in the way of its replay: if nothing of it was sent on it runs again on the primary, and
 * nobody notices. What was sent on in part, or is in a transaction, hears of it.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  lastRoute,
  startCluster,
  startWeir,
  until,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

let cluster: Cluster;
let weir: WeirProcess;

beforeAll(async () => {
  const settings = { max_standby_streaming_delay: '0', hot_standby_feedback: 'off' };
  cluster = await startCluster({ replicas: 1, settings });
  weir = await startWeir(weirConfig(cluster));
  // What a new session begins with is learned in each worker.
  await fillOtherWorkers(weir, 6);
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.stop();
});

async function metric(name: string): Promise<number> {
  const { body } = await weir.http();
  const line = body.split('\n').find((each) => each.startsWith(`${name}{`));
  return Number(line?.slice(line.lastIndexOf(' ') + 1) ?? 0);
}

/** A table of its own, which is on the replica, and a client whose reads go there. */
async function scene(table: string): Promise<pg.Client> {
  await cluster.query(`CREATE TABLE ${table} AS SELECT generate_series(1, 100) AS n`);
  await cluster.query(`GRANT ALL ON ${table} TO app`);
  await cluster.waitForReplicas();
  const client = await connectPg(weir.url());
  await until('reads to go to the replica', async () => {
    await client.query(`SELECT count(*) FROM ${table}`);
    return (await lastRoute(client)).startsWith('replica1');
  });
  return client;
}

async function untilRunning(marker: string): Promise<void> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%' || $1 || '%'`;
  const node = cluster.replicas[0];
  if (node === undefined) throw new Error('no replica');
  await until('the read to run on the replica', async () => {
    return (await cluster.query(sql, { node, values: [marker] })).length > 0;
  });
}

/** Two ways of being in the way of the replay: a snapshot that sees what is vacuumed away, and a lock. */
const conflicts: [string, (table: string) => Promise<void>][] = [
  [
    'VACUUM',
    async (table) => {
      await cluster.query(`DELETE FROM ${table} WHERE n > 50`);
      await cluster.query(`VACUUM ${table}`);
    },
  ],
  ['ALTER TABLE', async (table) => void (await cluster.query(`ALTER TABLE ${table} ADD COLUMN more int`))],
];

test.each(conflicts)('%s: runs again on the primary, simple and extended', async (how, provoke) => {
  const name = how.toLowerCase().replace(' ', '_');
  for (const values of [undefined, [1]]) {
    const table = `${name}_${values === undefined ? 'simple' : 'extended'}`;
    const client = await scene(table);
    const before = await metric('weir_recovery_conflicts_total');
    const where = values === undefined ? '' : 'WHERE n >= $1';
    // 10 seconds in all, if nobody stops it.
    const sql = `SELECT count(*)::int AS n, max(pg_sleep(0.1)::text) FROM ${table} ${where}`;
    const read = client.query<{ n: number }>(sql, values);
    read.catch(() => undefined);
    await untilRunning(table);
    await provoke(table);
    expect((await read).rows[0]?.n).toBe(how === 'VACUUM' ? 50 : 100);
    expect(await lastRoute(client)).toMatch(/^primary; .*replica1 cancelled it in favour of the replay/);
    expect(await metric('weir_recovery_conflicts_total')).toBe(before + 1);
    expect(await metric('weir_misroutes_total')).toBe(0);
    // It is a read all the same.
    await until('reads to go to the replica again', async () => {
      await client.query(`SELECT count(*) FROM ${table}`);
      return (await lastRoute(client)).startsWith('replica1');
    });
  }
});

test('a transaction, and a read whose rows were sent on in part, hear of it', async () => {
  const client = await scene('in_part');
  const before = await metric('weir_recovery_conflicts_total');
  const inPart = client.query(new pg.Query(`SELECT n, repeat('x', 10000), pg_sleep(0.3) FROM in_part`));
  const failed = new Promise((resolve) => inPart.once('error', resolve));
  await new Promise((resolve) => inPart.once('row', resolve));
  await cluster.query('ALTER TABLE in_part ADD COLUMN more int');
  expect(await failed).toMatchObject({ code: '40001' });

  // The worker of this client may have heard of the ALTER, and not yet how far the replica is since.
  await until('a transaction on the replica', async () => {
    await client.query('BEGIN READ ONLY');
    await client.query('SELECT count(*) FROM in_part');
    const isThere = (await lastRoute(client)).startsWith('replica1');
    if (!isThere) await client.query('ROLLBACK');
    return isThere;
  });
  const read = expect(client.query('SELECT max(pg_sleep(0.3)::text) FROM in_part')).rejects.toMatchObject({
    code: '40001',
  });
  await untilRunning('max(pg_sleep(0.3)::text) FROM in_part');
  await cluster.query('ALTER TABLE in_part ADD COLUMN other int');
  await read;
  await client.query('ROLLBACK');
  expect(await metric('weir_recovery_conflicts_total')).toBe(before);
});

test('a replica has no serializable transactions: such a read runs on the primary', async () => {
  await scene('serial');
  const settings = 'ALTER ROLE app SET default_transaction_isolation';
  await cluster.query(`${settings} = 'serializable'`);
  try {
    await cluster.waitForReplicas();
    const admin = await connectPg(weir.adminUrl());
    await admin.query('RECONNECT');
    const read = async (client: pg.Client, where: string, values?: unknown[]): Promise<string> => {
      const { rows } = await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM serial ${where}`, values);
      expect(rows[0]?.n).toBe(100);
      return lastRoute(client);
    };
    for (const values of [undefined, [1]]) {
      await until('a read that a replica refused', async () => {
        // Each time a new one: a client keeps the defaults that Weir knew when it came.
        const client = await connectPg(weir.url());
        const route = await read(client, values === undefined ? '' : 'WHERE n >= $1', values);
        await client.end();
        return /^primary; .*a replica runs no serializable transactions/.test(route);
      });
    }
    // One whose settings have to be brought along to the replica.
    const other = await connectPg(weir.url());
    await other.query("SET work_mem = '3MB'");
    await until('a replica that cannot be set up', async () =>
      /^primary; .*replica1 does not take the settings of the session/.test(await read(other, '')),
    );
  } finally {
    await cluster.query('ALTER ROLE app RESET default_transaction_isolation');
  }
});
