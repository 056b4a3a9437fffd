/**
 * The section `users`: what holds for one user alone, in one process and in several, before and after a reload. Fails when a
 * user's pool grows beyond pool_size, when another user is affected, or when a reload changes nothing.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askConsole, closeClients, connectPg, startWeir, startWorkers, until, useCluster } from './harness/index.ts';
import { CertificateAuthority, currentRun, linesOf, PASSWORD, SUPERUSER, users, weirConfig } from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

let database: string;
let weir: WeirProcess;

beforeAll(async () => (database = await useCluster().createDatabase()));
afterEach(async () => {
  await closeClients();
  if (weir.isRunning) await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

const configWith = (more: WeirConfig): WeirConfig =>
  weirConfig(useCluster(), { database, serverUser: null, replicas: [] }, { auth: { user: users.monitor }, ...more });

async function start(workers: number, more: WeirConfig): Promise<void> {
  const config = configWith(more);
  weir = workers === 1 ? await startWeir(config) : await startWorkers(workers, config);
}

async function reload(workers: number, more: WeirConfig): Promise<void> {
  weir.rewriteConfig({ ...configWith(more), workers });
  await askConsole(weir, 'RELOAD');
}

const connect = (user: string): Promise<pg.Client> => connectPg(weir.url({ database, user }));

/** Files of a certificate that clients are shown. */
function ownCertificate(): { cert: string; key: string } {
  const cluster = useCluster();
  const dir = mkdtempSync(join(currentRun().dir, 'limits-'));
  const { cert, key } = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey }).server(['localhost']);
  const files = { cert: join(dir, 'server.crt'), key: join(dir, 'server.key') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key, { mode: 0o600 });
  return files;
}

async function backends(user: string): Promise<number> {
  const [row] = await useCluster().query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND usename = $2`,
    { values: [database, user] },
  );
  return row?.n ?? 0;
}

/** So many connections are open when ten clients have had their answers. */
async function opened(user: string): Promise<number> {
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect(user)));
  await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.3)')));
  await Promise.all(clients.map((client) => client.end()));
  return backends(user);
}

describe.each([1, 2])('users, with workers: %i', (workers) => {
  test('pool_size is the most connections of a user, and of no other', async () => {
    await start(workers, { users: { app2: { pool_size: 2 } } });
    expect(await opened(users.app2)).toBe(2);
    expect(await opened(users.app)).toBeGreaterThan(2);
    await reload(workers, { users: { app2: { pool_size: 4 } } });
    expect(await opened(users.app2)).toBe(4);
    await reload(workers, { users: { app2: { pool_size: 1 } } });
    await until('the pool to be smaller', async () => (await backends(users.app2)) === 1);
    await reload(workers, {});
    expect(await opened(users.app2)).toBeGreaterThan(4);
  });

  test('pool_mode and client_idle_timeout are those of the user, and SHOW tells', async () => {
    await start(workers, {
      pool_mode: 'transaction',
      users: { app2: { pool_mode: 'session', reserve_pool_size: 3, client_idle_timeout: '1s' } },
    });
    const [own, other] = [await connect(users.app2), await connect(users.app)];
    const ended = new Promise((resolve) => own.once('error', resolve));
    const rows = [own, other].map(async (client) => (await client.query('SELECT 1 AS one')).rows);
    expect(await Promise.all(rows)).toEqual([[{ one: 1 }], [{ one: 1 }]]);
    const pools = await askConsole<{ user: string; pool_mode: string }>(weir, 'SHOW POOLS');
    const modes = Object.fromEntries(pools.map((pool) => [pool.user, pool.pool_mode]));
    expect(modes).toMatchObject({ [users.app2]: 'session', [users.app]: 'transaction' });
    const shown = (await askConsole(weir, 'SHOW USERS')).find(({ name }) => name === users.app2);
    expect(shown).toMatchObject({ pool_mode: 'session', reserve_pool_size: '3', pool_size: null });
    expect(String(await ended)).toContain('client_idle_timeout');
    expect((await other.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
  });

  test('max_user_connections counts the connections of a user to all databases, before and after a reload', async () => {
    const two = await useCluster().createDatabase();
    const databases = {
      [two]: { primary: { url: `postgres://127.0.0.1:${useCluster().primary.port}/${two}`, name: 'primary' } },
    };
    const both = async (user: string): Promise<number> => {
      const clients = await Promise.all(
        [database, two, database, two, database, two].map((name) => connectPg(weir.url({ database: name, user }))),
      );
      await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.2)')));
      await Promise.all(clients.map((client) => client.end()));
      const [row] = await useCluster().query<{ n: number }>(
        'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = ANY($1) AND usename = $2',
        { values: [[database, two], user] },
      );
      return row?.n ?? 0;
    };
    await start(workers, { databases, max_user_connections: 5, users: { app2: { max_user_connections: 2 } } });
    expect(await both(users.app2)).toBe(2);
    const shown = (await askConsole(weir, 'SHOW USERS')).map(({ name, max_user_connections: max }) => [name, max]);
    expect(Object.fromEntries(shown)).toMatchObject({ app2: '2', app: '5' });
    await reload(workers, { databases, users: { app2: { max_user_connections: 4 } } });
    expect(await both(users.app2)).toBe(4);
    expect(await both(users.app)).toBe(6);
    await reload(workers, { databases, max_user_connections: 1 });
    await until('the connections to be closed', async () => (await both(users.app2)) === 1);
    await weir.stop();
    await useCluster().dropDatabase(two);
  });

  test('max_user_client_connections and max_db_client_connections refuse one client more, until one leaves', async () => {
    const limited = {
      tls: { client: ownCertificate() },
      max_user_client_connections: 3,
      users: { app2: { max_user_client_connections: 2 } },
    };
    await start(workers, { ...limited, databases: { [database]: { max_db_client_connections: 4 } } });
    const came = async (user: string, ssl = false): Promise<pg.Client | string> =>
      connectPg(weir.url({ database, user }), { ssl: ssl && { rejectUnauthorized: false } }).catch(
        (error: unknown) => `${(error as { code?: string }).code} ${(error as Error).message}`,
      );
    const ofUser = '53300 client connections exceeded (max_user_client_connections)';
    const ofDatabase = '53300 client connections exceeded (max_db_client_connections)';
    const first = (await came(users.app2, true)) as pg.Client;
    expect(await came(users.app2)).not.toBeTypeOf('string');
    expect(await came(users.app2, true)).toBe(ofUser);
    expect([typeof (await came(users.app)), typeof (await came(users.app))]).toEqual(['object', 'object']);
    expect(await came(users.monitor)).toBe(ofDatabase);
    const shown = (await askConsole(weir, 'SHOW DATABASES')).find(({ name }) => name === database);
    expect(shown).toMatchObject({ max_client_connections: '4', current_client_connections: '4' });
    await first.end();
    await until('a client to be let in', async () => typeof (await came(users.app2)) !== 'string');
    await reload(workers, { ...limited, users: {} });
    expect(await came(users.app2)).not.toBeTypeOf('string');
    expect(await came(users.app2)).toBe(ofUser);
  });

  test('query_timeout and transaction_timeout end a client and what it runs, until a reload lifts them', async () => {
    await start(workers, {
      users: { app2: { query_timeout: '1s' }, monitor: { transaction_timeout: '1s' } },
    });
    const running = async (user: string): Promise<number> => {
      const [row] = await useCluster().query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND query ~ 'pg_sleep'
         AND state = 'active'`,
        { values: [database, user] },
      );
      return row?.n ?? 0;
    };
    const simple = await connect(users.app2);
    await expect(simple.query('SELECT pg_sleep(60)')).rejects.toMatchObject({ code: '57014' });
    const extended = await connect(users.app2);
    await expect(extended.query('SELECT pg_sleep($1)', [60])).rejects.toMatchObject({
      code: '57014',
      message: 'query timeout (query_timeout = 1 s)',
    });
    await until('the statements to be cancelled', async () => (await running(users.app2)) === 0);
    // Several statements may take longer than that in all.
    const batch = await connect(users.app2);
    const answers = Array.from({ length: 6 }, () => batch.query('SELECT pg_sleep(0.4)'));
    expect(await Promise.all(answers)).toHaveLength(6);
    const idle = await connect(users.monitor);
    const ended = new Promise<{ code?: string }>((resolve) => idle.once('error', resolve));
    await idle.query('BEGIN');
    await idle.query('SELECT 1');
    expect(await ended).toMatchObject({ code: '25P04' });
    const other = await connect(users.app);
    await other.query('BEGIN');
    expect((await other.query('SELECT pg_sleep(2.5)')).rows).toHaveLength(1);
    await reload(workers, {});
    expect((await (await connect(users.app2)).query('SELECT pg_sleep(2.5)')).rows).toHaveLength(1);
  });

  test('query_wait_notify tells a client that it is queued, once', async () => {
    await start(workers, { query_wait_notify: '100ms', users: { app2: { pool_size: 1 } } });
    const [holder, queued] = [await connect(users.app2), await connect(users.app2)];
    await holder.query('BEGIN');
    await holder.query('SELECT 1');
    const notices: string[] = [];
    queued.on('notice', ({ message }) => notices.push(message ?? ''));
    const answer = queued.query('SELECT 2 AS two');
    await until('the notice', () => notices.length > 0);
    await holder.query('COMMIT');
    expect((await answer).rows).toEqual([{ two: 2 }]);
    expect(notices).toEqual(['No server connection available in postgres backend, client being queued']);
  });

  test('connect_query has run on each server before a client gets it, also after a reset', async () => {
    const sql = "SET work_mem = '7MB'; SET TimeZone = 'Asia/Tokyo'";
    await start(workers, {
      databases: { [database]: { connect_query: sql } },
      users: { app2: { pool_mode: 'session' } },
    });
    const shown = async (client: pg.Client): Promise<string[]> =>
      (
        await client.query('SELECT current_setting($1) AS a, current_setting($2) AS b', ['work_mem', 'TimeZone'])
      ).rows.map(({ a, b }) => `${a} ${b}`);
    for (const user of [users.app, users.app2, users.app2, users.app2]) {
      const client = await connect(user);
      expect(await shown(client)).toEqual(['7MB Asia/Tokyo']);
      await client.query("SET work_mem = '9MB'");
      await client.end();
    }
    // What fails is logged, and the client is served.
    await reload(workers, { databases: { [database]: { connect_query: 'SELECT 1/0' } } });
    await askConsole(weir, 'RECONNECT');
    const client = await connect(users.app);
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await until('a line in the log', () => linesOf(weir, 'connect_query_failed').length > 0);
    expect(linesOf(weir, 'connect_query_failed')[0]).toMatchObject({ msg: 'division by zero' });
  });

  test('ignore_startup_parameters drops what it names, and login_notify_message greets', async () => {
    await start(workers, { ignore_startup_parameters: ['geqo', 'no_such_parameter'], login_notify_message: 'hello' });
    const options = '-c no_such_parameter=1 -c geqo=off -c work_mem=5MB';
    const client = new pg.Client({ connectionString: weir.url({ database, user: users.app }), options });
    const notices: (string | undefined)[] = [];
    client.on('notice', ({ message }) => notices.push(message));
    await client.connect();
    const { rows } = await client.query('SELECT current_setting($1) AS a, current_setting($2) AS b', [
      'geqo',
      'work_mem',
    ]);
    expect(rows).toEqual([{ a: 'on', b: '5MB' }]);
    expect(notices).toEqual(['hello']);
    await client.end();
    await reload(workers, {});
    const refused = connectPg(weir.url({ database, user: users.app }), { options });
    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining('no_such_parameter') as string });
  });

  test('in session mode by the user, a client keeps its server', async () => {
    await start(workers, { users: { app2: { pool_mode: 'session', pool_size: 1, query_wait_timeout: '1s' } } });
    const first = await connect(users.app2);
    await first.query('SELECT 1');
    const second = connect(users.app2).then((client) => client.query('SELECT 1'));
    await expect(second).rejects.toMatchObject({ code: '53400' });
    await first.end();
    const third = await connect(users.app2);
    expect((await third.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

test('auth_user, auth_query and auth_dbname of a database are for its clients alone', async () => {
  const cluster = useCluster();
  const other = await cluster.createDatabase();
  await cluster.query(`CREATE ROLE own_auth LOGIN PASSWORD '${PASSWORD}'`);
  await cluster.query(
    'CREATE TABLE who (name text, secret text); INSERT INTO who SELECT rolname, rolpassword FROM pg_authid',
    {
      database: other,
    },
  );
  const file = join(mkdtempSync(join(currentRun().dir, 'auth-')), 'users.txt');
  writeFileSync(file, [SUPERUSER, 'weir'].map((name) => `"${name}" "${PASSWORD}"\n`).join(''), { mode: 0o600 });
  const own = {
    auth_user: SUPERUSER,
    auth_query: 'SELECT name, secret FROM public.who WHERE name = $1',
    auth_dbname: other,
  };
  const at = (name: string): string => `postgres://127.0.0.1:${cluster.primary.port}/${name}`;
  const config = weirConfig(
    cluster,
    { database, serverUser: null, replicas: [] },
    {
      auth: { file, user: SUPERUSER },
      databases: { [database]: own, [other]: { primary: { url: at(other), name: 'primary' } } },
    },
  );
  weir = await startWeir(config);
  const client = await connectPg(weir.url({ database, user: 'own_auth' }));
  expect((await client.query('SELECT current_user AS me')).rows).toEqual([{ me: 'own_auth' }]);
  const wrong = connectPg(weir.url({ database, user: 'own_auth', password: 'wrong' }));
  await expect(wrong).rejects.toMatchObject({ code: '28P01' });
  await expect(connectPg(weir.url({ database: other, user: 'own_auth' }))).rejects.toMatchObject({ code: '28P01' });
  weir.rewriteConfig({
    ...config,
    auth: { type: 'scram-sha-256', admin_users: ['weir'], file, user: SUPERUSER, query: 'default' },
  });
  await askConsole(weir, 'RELOAD');
  const byDefault = await connectPg(weir.url({ database: other, user: 'own_auth' }));
  expect((await byDefault.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await weir.stop();
  await cluster.dropDatabase(other);
  await cluster.query('DROP ROLE own_auth');
});

test('where the URL names the user of the servers, the pool goes by that user', async () => {
  const { app2, app } = users;
  weir = await startWeir(
    weirConfig(
      useCluster(),
      { database, serverUser: app, replicas: [] },
      { users: { app2: { pool_size: 9 }, app: { pool_size: 2 } } },
    ),
  );
  await opened(app2);
  expect(await backends(app2)).toBe(0);
  const [pool] = (await askConsole(weir, 'SHOW POOLS')).filter((row) => row['database'] === database);
  expect(pool).toMatchObject({ user: app, limit: '2', max: '2' });
});
