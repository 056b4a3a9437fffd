/**
 * WAL order is not visibility order: with synchronous replication, a replica shows a commit while the primary still waits
 * for the standby that has to confirm it. A session that has seen it there must not read less on the primary.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, until, useCluster, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(
    'CREATE TABLE elsewhere (n int); CREATE TABLE register (n int); INSERT INTO register VALUES (0)',
    { database },
  );
  await cluster.query('ALTER TABLE register OWNER TO app', { database });
  weir = await startWeir(weirConfig(cluster, { database }));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

async function setSynchronousStandby(name: string): Promise<void> {
  await cluster.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
  await cluster.query('SELECT pg_reload_conf()');
  await until('the setting', async () => {
    const [row] = await cluster.query<{ now: string }>("SELECT current_setting('synchronous_standby_names') AS now");
    return row?.now === name;
  });
}

test('what a replica has shown is not missing on the primary afterwards', async () => {
  const [reader, writer] = [await connectPg(weir.url({ database })), await connectPg(weir.url({ database }))];
  const console_ = await connectPg(weir.adminUrl());
  const read = async (where = 'auto'): Promise<number | undefined> =>
    (await reader.query<{ n: number }>(`/* weir: route=${where} */ SELECT n FROM register`)).rows[0]?.n;
  const release = (): Promise<unknown> =>
    cluster.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  let n = 0;
  /** True: the read waited for the commit. On a machine that stands still the wait may have been too short. */
  const attempt = async (): Promise<boolean> => {
    n++;
    const writing = writer.query(`UPDATE register SET n = ${n}`);
    await until('a replica to show the commit', async () => (await read()) === n);
    let seen: number | undefined;
    const reading = read('primary').then((value) => (seen = value));
    await until('the read to wait, or to be answered', async () => {
      const { rows } = await console_.query<{ state: string }>('SHOW CLIENTS');
      return seen !== undefined || rows.some(({ state }) => state === 'waiting');
    });
    await release();
    await Promise.all([reading, writing]);
    return seen === n;
  };
  await read('primary');
  await setSynchronousStandby('nobody');
  try {
    let inARow = 0;
    await until('the commit to be waited for', async () => (inARow = (await attempt()) ? inARow + 1 : 0) === 5);
  } finally {
    await setSynchronousStandby('');
    await release();
  }
  expect(await read('primary')).toBe(n);
});

test('a long statement, of which nothing can be seen, is not waited for', async () => {
  const [reader, writer] = [await connectPg(weir.url({ database })), await connectPg(weir.url({ database }))];
  const before = (await reader.query('/* weir: route=primary */ SELECT n FROM register')).rows;
  const blocker = await connectPg(cluster.url(cluster.primary, { database }));
  await blocker.query('BEGIN; SELECT n FROM register FOR UPDATE');
  const writing = writer.query('UPDATE register SET n = -1');
  await until('the writer to wait', async () => {
    const waiting = await cluster.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    return waiting.length > 0;
  });
  // WAL of a transaction that is still open reaches the replicas with the next commit.
  await cluster.query('INSERT INTO elsewhere VALUES (1)', { database });
  await until('a replica to answer', async () => {
    await reader.query('SELECT n FROM register');
    return (await reader.query<Record<string, string>>('SHOW weir.last_route')).rows[0]!['weir.last_route']!.startsWith(
      'replica',
    );
  });
  expect((await reader.query('/* weir: route=primary */ SELECT n FROM register')).rows).toEqual(before);
  await blocker.query('COMMIT');
  await writing;
  expect((await reader.query('/* weir: route=primary */ SELECT n FROM register')).rows).toEqual([{ n: -1 }]);
});
