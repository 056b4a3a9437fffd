/**
 * What cannot follow a client from server to server keeps it its server, SHOW CLIENTS says why, and nothing of it is
 * left for the next client. Cancels hit the statement they were meant for.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, until, useCluster, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  weir = await startWeir(
    weirConfig(cluster, { database }, { default_pool_size: 3, max_pool_size: 3, resize: { enabled: false } }),
  );
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
});

const connect = (name = ''): ReturnType<typeof connectPg> =>
  connectPg(`${weir.url({ database })}?application_name=${name}`);

async function pinsOf(applicationName: string): Promise<string> {
  const admin = await connectPg(weir.adminUrl());
  const { rows } = await admin.query('SHOW CLIENTS');
  const row = rows.find((each) => each.application_name === applicationName);
  return String(row?.pins);
}

const hold = (name: string): string => `DECLARE ${name} CURSOR WITH HOLD FOR SELECT 1;`;
const unlock = (key: number): string => `SELECT pg_advisory_unlock(${key})`;

describe('pins', () => {
  test('a temporary table stays with its client, and is gone for the next', async () => {
    const [a, b] = [await connect(), await connect()];
    await a.query("SET application_name = 'pin-temp'");
    await a.query('CREATE TEMP TABLE mine (i int)');
    await a.query('INSERT INTO mine VALUES (1)');
    for (let i = 0; i < 5; i++) await expect(b.query('SELECT * FROM mine')).rejects.toMatchObject({ code: '42P01' });
    expect((await a.query('SELECT * FROM mine')).rows).toEqual([{ i: 1 }]);
    expect(await pinsOf('pin-temp')).toContain('temporary table');
    await a.end();
    for (let i = 0; i < 5; i++) await expect(b.query('SELECT * FROM mine')).rejects.toMatchObject({ code: '42P01' });
  });

  test('LISTEN gets its notifications while others use the pool', async () => {
    const [a, b] = [await connect(), await connect()];
    const heard: (string | undefined)[] = [];
    a.on('notification', (message) => heard.push(message.payload));
    await a.query('LISTEN news');
    await b.query("NOTIFY news, 'one'");
    await b.query('BEGIN');
    await b.query("NOTIFY news, 'never'");
    await b.query('ROLLBACK');
    await b.query("NOTIFY news, 'two'");
    await until('both notifications', () => heard.length >= 2);
    expect(heard).toEqual(['one', 'two']);
  });

  test('an advisory lock is held by its client until it leaves', async () => {
    const [a, b] = [await connect(), await connect()];
    await a.query('SELECT pg_advisory_lock(4711)');
    expect((await b.query('SELECT pg_try_advisory_lock(4711) AS got')).rows).toEqual([{ got: false }]);
    await a.end();
    await until(
      'the lock',
      async () => (await b.query('SELECT pg_try_advisory_lock(4711) AS got')).rows[0].got === true,
    );
  });

  test('SQL PREPARE works for its client alone', async () => {
    const [a, b] = [await connect(), await connect()];
    await a.query('PREPARE mine AS SELECT 7 AS n');
    expect((await a.query('EXECUTE mine')).rows).toEqual([{ n: 7 }]);
    await expect(b.query('EXECUTE mine')).rejects.toMatchObject({ code: '26000' });
  });
});

describe('a pin ends with its reason', () => {
  const reasons: readonly [pin: string, begin: string, middle: string, end: string][] = [
    ['LISTEN', 'LISTEN one; LISTEN two', 'UNLISTEN one', 'UNLISTEN two'],
    ['LISTEN', 'LISTEN one', 'SELECT 1', 'UNLISTEN *'],
    ['temporary table', 'CREATE TEMP TABLE t1 (i int); CREATE TEMP VIEW v AS SELECT 1', 'DROP TABLE t1', 'DROP VIEW v'],
    ['temporary table', 'CREATE TEMP TABLE t1 (i serial)', 'SELECT 1', 'DISCARD TEMP'],
    [
      'temporary table',
      'CREATE TEMP TABLE t1 (i int)',
      'BEGIN; DROP TABLE t1; ROLLBACK',
      'BEGIN; DROP TABLE t1; COMMIT',
    ],
    ['cursor WITH HOLD', hold('one') + hold('two'), 'CLOSE one', 'CLOSE two'],
    ['cursor WITH HOLD', hold('one'), 'FETCH one', 'CLOSE ALL'],
    ['advisory lock', 'SELECT pg_advisory_lock(91), pg_advisory_lock(92)', unlock(91), unlock(92)],
    ['advisory lock', 'SELECT pg_advisory_lock(91), pg_advisory_lock(91)', unlock(91), unlock(91)],
    ['advisory lock', 'SELECT pg_advisory_lock_shared(91)', 'SELECT 1', 'SELECT pg_advisory_unlock_all()'],
    ['PREPARE', 'PREPARE p1 AS SELECT 1; PREPARE p2 AS SELECT 2', 'DEALLOCATE p1', 'DEALLOCATE p2'],
    ['PREPARE', 'PREPARE p1 AS SELECT 1', 'EXECUTE p1', 'DEALLOCATE ALL'],
    ['SET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION app', 'SELECT 1', 'RESET SESSION AUTHORIZATION'],
    ['setting that cannot be replayed', 'SELECT setseed(0.5)', 'SELECT random()', 'DISCARD ALL'],
    [
      'sequence',
      "CREATE SEQUENCE s; SELECT nextval('s'); SELECT currval('s')",
      'SELECT lastval()',
      'DISCARD SEQUENCES',
    ],
    ['session state of a function', 'DO $$ BEGIN CREATE TEMP TABLE t1 (i int); END $$', 'DROP TABLE t1', 'DISCARD ALL'],
  ];

  test.each(reasons)('%s: %s', async (pin, begin, middle, end) => {
    const client = await connect('pin-ends');
    await client.query(begin);
    expect(await pinsOf('pin-ends')).toContain(pin);
    await client.query(middle);
    expect(await pinsOf('pin-ends')).toContain(pin);
    await client.query(end);
    await until('the end of the pin', async () => !(await pinsOf('pin-ends')).includes(pin));
    await client.query('DROP SEQUENCE IF EXISTS s');
    await client.end();
  });

  test('but not before the last one of several clients’ temporary tables of one name', async () => {
    const [a, b] = [await connect('pin-a'), await connect('pin-b')];
    for (const client of [a, b]) await client.query('CREATE TEMP TABLE same (i int)');
    await a.query('DROP TABLE same');
    await until('the end of the pin', async () => !(await pinsOf('pin-a')).includes('temporary'));
    expect(await pinsOf('pin-b')).toContain('temporary table');
    expect((await b.query('SELECT * FROM same')).rows).toEqual([]);
    await expect(a.query('SELECT * FROM same')).rejects.toMatchObject({ code: '42P01' });
  });

  test('whatever is sent while the server is asked', async () => {
    const client = await connect('pin-busy');
    for (let i = 0; i < 20; i++) {
      await Promise.all([
        client.query(`CREATE TEMP TABLE t${i} (i int)`),
        client.query(`DROP TABLE t${i}`),
        client.query(`CREATE TEMP TABLE u${i} AS SELECT ${i} AS i`),
        client.query('SELECT 1'),
      ]);
      expect((await client.query(`SELECT i FROM u${i}`)).rows).toEqual([{ i }]);
      expect(await pinsOf('pin-busy')).toContain('temporary table');
      await client.query(`DROP TABLE u${i}`);
    }
    await until('the end of the pin', async () => !(await pinsOf('pin-busy')).includes('temporary'));
  });
});

describe('cancel', () => {
  test('stops the statement it was meant for and no other', async () => {
    const [a, b] = [await connect(), await connect()];
    // Where the watcher looks for it, too.
    await a.query("SET weir.route = 'primary'");
    const { rows } = await a.query('SELECT pg_backend_pid() AS pid');
    expect(rows).toHaveLength(1);
    const slow = a.query('SELECT pg_sleep(30)');
    const watcher = await connect();
    await until(
      'the statement to run',
      async () =>
        (await watcher.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)'"))
          .rows[0].n > 0,
    );
    const { processID, secretKey } = a as unknown as { processID: number; secretKey: number };
    const { connect: open } = await import('node:net');
    const socket = open(weir.port, '127.0.0.1');
    const packet = Buffer.alloc(16);
    packet.writeInt32BE(16, 0);
    packet.writeInt32BE(80877102, 4);
    packet.writeInt32BE(processID, 8);
    packet.writeInt32BE(secretKey, 12);
    socket.end(packet);
    await expect(slow).rejects.toMatchObject({ code: '57014' });
    for (let i = 0; i < 20; i++) expect((await b.query('SELECT $1::int AS i', [i])).rows).toEqual([{ i }]);
    expect((await a.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});
