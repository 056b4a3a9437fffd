/**
 * SUSPEND on the admin console, in one process and with workers: what was read goes on its way, nothing more is read of clients and
 * servers until RESUME, and new clients wait. Fails when a statement gets through, is lost, or a client stays unread after RESUME.
 */
import { connect, type Socket } from 'node:net';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cancelRequest } from '../src/protocol/write.ts';
import { closeClients, connectPg, startWeir, startWeirInProcess, until } from './harness/index.ts';
import { useCluster, users, weirConfig } from './harness/index.ts';
import type { WeirAddresses, WeirConfig } from './harness/index.ts';

let database: string;
let weir: WeirAddresses;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await useCluster().createDatabase();
  await useCluster().query('CREATE TABLE noted (what text); GRANT ALL ON noted TO PUBLIC', { database });
});
afterEach(async () => {
  await closeClients();
  for (const stop of stops.splice(0)) await stop();
});
afterAll(() => useCluster().dropDatabase(database));

async function start(workers: number, more: WeirConfig = {}): Promise<void> {
  const config = weirConfig(
    useCluster(),
    { database, serverUser: null, replicas: [] },
    { auth: { user: users.monitor }, suspend_timeout: '60s', ...more },
  );
  const started: WeirAddresses & { stop(): Promise<unknown> } =
    workers === 1 ? await startWeirInProcess(config) : await startWeir({ ...config, workers });
  weir = started;
  stops.push(() => started.stop());
}

const client = (options: pg.ClientConfig = {}): Promise<pg.Client> => connectPg(weir.url({ database }), options);
const openConsole = (name = 'pgbouncer'): Promise<pg.Client> =>
  connectPg(weir.adminUrl().replace(/\/weir$/, `/${name}`));

async function states(console: pg.Client): Promise<Record<string, string>> {
  const { rows } = await console.query<{ key: string; value: string }>('SHOW STATE');
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
}

async function count(sql: string, values: readonly unknown[] = []): Promise<number> {
  const rows = await useCluster().query<{ n: number }>(sql, { database, values: [...values] });
  return rows[0]?.n ?? 0;
}

const noted = (what: string): Promise<number> => count('SELECT count(*)::int AS n FROM noted WHERE what = $1', [what]);

/** So many statements run on the server with this in their text. */
const running = (what: string): Promise<number> =>
  count(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE $1",
    [`%${what}%`],
  );

const outcome = (answer: Promise<unknown>): Promise<unknown> => answer.catch((error: unknown) => error);

describe.each([1, 2])('with workers: %i', (workers) => {
  test('nothing is read until RESUME, and nothing is lost', async () => {
    await start(workers);
    const [console, other] = [await openConsole(), await openConsole('weir')];
    const clients = await Promise.all(Array.from({ length: 6 }, () => client()));
    await Promise.all(clients.map((each) => each.query('SELECT 1')));
    const [sleeper, ...others] = clients as [pg.Client, ...pg.Client[]];
    const slept = sleeper.query("SELECT 'slept' AS what, pg_sleep(0.5) /* first */");
    await until('the statement to run', async () => (await running('first')) === 1);

    await console.query('SUSPEND');
    expect(await states(other)).toMatchObject({ active: 'no', paused: 'no', suspended: 'yes' });
    const inserted = others.map((each, at) => each.query('INSERT INTO noted VALUES ($1)', [`w${workers} ${at}`]));
    const late = client();
    // The server has finished; its answer is not read.
    await until('the statement to end', async () => (await running('first')) === 0);
    let isAnswered = false;
    void Promise.race([slept, late, ...inserted]).then(() => (isAnswered = true));
    expect(await states(await openConsole())).toMatchObject({ suspended: 'yes' });
    expect(await count('SELECT count(*)::int AS n FROM noted WHERE what LIKE $1', [`w${workers} %`])).toBe(0);
    expect(isAnswered).toBe(false);

    await other.query('RESUME');
    expect((await slept).rows[0]).toMatchObject({ what: 'slept' });
    await Promise.all(inserted);
    expect((await (await late).query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    expect(await count('SELECT count(*)::int AS n FROM noted WHERE what LIKE $1', [`w${workers} %`])).toBe(5);
    expect(await states(console)).toMatchObject({ active: 'yes', suspended: 'no' });
  });

  test('what does not fit together is refused in the words of PgBouncer', async () => {
    await start(workers);
    const console = await openConsole();
    const refused = async (command: string): Promise<string> => {
      const error = (await outcome(console.query(command))) as { code?: string; message?: string };
      return `${error.code} ${error.message}`;
    };
    expect(await refused('RESUME')).toBe('08P01 pooler is not paused/suspended');
    expect(await refused(`RESUME ${database}`)).toBe(`08P01 database ${database} is not paused`);
    await console.query('SUSPEND');
    for (const command of ['SUSPEND', 'PAUSE', `PAUSE ${database}`, `KILL ${database}`])
      expect(await refused(command)).toBe('08P01 already suspended/paused');
    await console.query('RESUME');
    await console.query('PAUSE');
    for (const command of ['SUSPEND', 'PAUSE']) expect(await refused(command)).toBe('08P01 already suspended/paused');
    await console.query('RESUME');
    const user = await client();
    expect((await user.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('it ends with the console connection that began it, and by a cancel', async () => {
    await start(workers);
    const other = await openConsole();
    const user = await client();
    const left = await openConsole();
    await left.query('SUSPEND');
    const answered = user.query('SELECT 1 AS one');
    await left.end();
    expect((await answered).rows).toEqual([{ one: 1 }]);
    await until('SUSPEND to end', async () => (await states(other))['suspended'] === 'no');

    // It waits for a client that waits for a server.
    const holder = await client();
    await holder.query('BEGIN');
    await other.query(`RESIZE POOL ${database}.${users.app} MIN 0 MAX 1`);
    const waiting = outcome(user.query('SELECT 2 AS two'));
    await until('the client to wait', async () =>
      (await other.query<{ cl_waiting: string }>('SHOW POOLS')).rows.some((row) => Number(row.cl_waiting) > 0),
    );
    const console = await openConsole();
    const suspending = outcome(console.query('SUSPEND'));
    await until('SUSPEND to begin', async () => (await states(other))['suspended'] === 'yes');
    const { processID, secretKey } = console as unknown as { processID: number; secretKey: number };
    const secret = Buffer.alloc(4);
    secret.writeInt32BE(secretKey);
    connect(weir.port, weir.host).end(cancelRequest(processID, secret));
    expect(await suspending).toMatchObject({ code: '57014' });
    await until('SUSPEND to end', async () => (await states(other))['suspended'] === 'no');
    await holder.query('COMMIT');
    expect(await waiting).toMatchObject({ rows: [{ two: 2 }] });
  });

  test('suspend_timeout closes who cannot be flushed, and nobody else', async () => {
    await start(workers, { suspend_timeout: '300ms', default_pool_size: 1, max_pool_size: 1 });
    const [console, holder, user] = [await openConsole(), await client(), await client()];
    await holder.query('BEGIN');
    await holder.query("INSERT INTO noted VALUES ('kept')");
    const waiting = outcome(user.query('SELECT 1'));
    user.on('error', () => undefined);
    await until('the client to wait', async () =>
      (await console.query<{ cl_waiting: string }>('SHOW POOLS')).rows.some((row) => Number(row.cl_waiting) > 0),
    );
    await console.query('SUSPEND');
    expect(await waiting).toMatchObject({ code: '57P01', message: expect.stringContaining('suspend_timeout') });
    const before = await noted('kept');
    await console.query('RESUME');
    await holder.query('COMMIT');
    expect(await noted('kept')).toBe(before + 1);
  });

  test('suspend_timeout closes a client that does not take its answer', async () => {
    await start(workers, { suspend_timeout: '300ms' });
    const console = await openConsole();
    const slow = await client();
    const { stream } = (slow as unknown as { connection: { stream: Socket } }).connection;
    stream.pause();
    void outcome(slow.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000) /* large */"));
    // As far as the server: all buffers between it and the client are full.
    const blocked =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%large%'";
    await until('the answer to stand still', async () => (await count(blocked)) === 1);
    await console.query('SUSPEND');
    const ids = (await console.query<{ database: string }>('SHOW CLIENTS')).rows.filter(
      (row) => row.database === database,
    );
    expect(ids).toEqual([]);
    stream.destroy();
    await console.query('RESUME');
    expect((await (await client()).query('SELECT 3 AS three')).rows).toEqual([{ three: 3 }]);
  });

  test('a shutdown ends it: clients finish first', async () => {
    await start(workers);
    const [console, user] = [await openConsole(), await client()];
    await user.query('BEGIN');
    await console.query('SUSPEND');
    const answers = [user.query("INSERT INTO noted VALUES ('last')"), user.query('COMMIT')];
    const before = await noted('last');
    user.on('error', () => undefined);
    console.on('error', () => undefined);
    await console.query('SHUTDOWN WAIT_FOR_SERVERS');
    await Promise.all(answers);
    expect(await noted('last')).toBe(before + 1);
  });
});
