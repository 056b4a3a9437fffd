/**
 * auth.query on real PostgreSQL: users whom only the servers know, by every kind of secret; changed, expired and missing
 * passwords; and what must not let anybody in: wrong answers, other people's answers, a search_path, a server that is down.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { WeirConfig, WeirProcess } from './harness/index.ts';
import {
  PASSWORD,
  TcpRelay,
  closeClients,
  connectPg,
  findProgram,
  lastRoute,
  runPsql,
  startWeir,
  until,
  useCluster,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';

const cluster = useCluster();
const asker = 'aq_asker';
const dir = mkdtempSync(join(tmpdir(), 'weir-auth-query-'));
/** Nobody but the one who asks, the one who watches and the operator has a line of his own. */
const file = join(dir, 'users.txt');
const quoted = 'aq "q" user';
const roles = [asker, 'aq_app', 'aq_md5', 'aq_late', 'aq_none', 'aq_plain', 'aq_new', 'weir', quoted];
let database = '';

let weir: WeirProcess;
let relay: TcpRelay | undefined;

beforeAll(async () => {
  database = await cluster.createDatabase();
  writeFileSync(file, [asker, 'operator'].map((name) => `"${name}" "${PASSWORD}"\n`).join(''), { mode: 0o600 });
  const literal = pg.escapeLiteral(PASSWORD);
  for (const name of roles) await cluster.query(`CREATE ROLE ${pg.escapeIdentifier(name)} LOGIN PASSWORD ${literal}`);
  await cluster.query(`GRANT pg_monitor TO ${asker}`);
  await cluster.query(`SET password_encryption = 'md5'; ALTER ROLE aq_md5 PASSWORD ${literal}`);
  await cluster.query(`ALTER ROLE aq_late VALID UNTIL '2001-01-01'`);
  await cluster.query('ALTER ROLE aq_none PASSWORD NULL');
  await cluster.query(
    `CREATE SCHEMA evil;
     CREATE FUNCTION evil.user_lookup(text, OUT name text, OUT secret text) LANGUAGE sql AS $$ SELECT $1, 'evil'::text $$;
     GRANT USAGE ON SCHEMA evil TO PUBLIC;
     ALTER ROLE ${asker} SET search_path = evil;
     CREATE SCHEMA aq;
     CREATE TABLE aq.secrets (name text, secret text);
     INSERT INTO aq.secrets VALUES ('aq_plain', ${literal}), ('aq_twice', 'a'), ('aq_twice', 'b');
     CREATE FUNCTION aq.user_lookup(who text, OUT name text, OUT secret text) LANGUAGE sql STABLE SECURITY DEFINER
       SET search_path = pg_catalog, pg_temp AS $$
         SELECT rolname::text, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END
         FROM pg_authid WHERE rolname = $1 AND rolcanlogin $$;
     GRANT USAGE ON SCHEMA aq TO ${asker};
     GRANT SELECT ON aq.secrets TO ${asker}`,
    { database },
  );
  await cluster.waitForReplicas();
});

afterEach(async () => {
  await closeClients();
  await weir.stop();
  await relay?.stop();
  relay = undefined;
});

afterAll(async () => {
  await cluster.dropDatabase(database);
  for (const name of roles) await cluster.query(`DROP ROLE ${pg.escapeIdentifier(name)}`);
  rmSync(dir, { recursive: true });
});

const viaFunction = 'SELECT name, secret FROM aq.user_lookup($1)';
const viaTable = 'SELECT name, secret FROM aq.secrets WHERE name = $1';

async function start(auth: WeirConfig, more: WeirConfig = {}): Promise<void> {
  const primary = relay === undefined ? {} : { primary: { port: relay.port } };
  const base = { auth: { file, query: viaFunction, user: asker, admin_users: ['operator', 'aq_app'], ...auth } };
  weir = await startWeir({ ...weirConfig(cluster, { serverUser: null, database, ...primary }, base), ...more });
}

const url = (user: string, password: string, name = database): string => weir.url({ user, password, database: name });

/** current_user, or the SQLSTATE. */
async function logIn(user: string, password = PASSWORD, name = database): Promise<string> {
  try {
    const client = await connectPg(url(user, password, name));
    const { rows } = await client.query<{ name: string }>('SELECT current_user AS name');
    return rows[0]?.name ?? '';
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message;
  }
}

/** What the log says of the log-ins that were refused. */
const whysRefused = (): unknown[] =>
  weir.logs.flatMap((line) => (line['event'] === 'login_refused' ? [line['why']] : []));
/** What the log says of questions that failed. */
const failures = (): string =>
  weir.logs.flatMap((line) => (line['event'] === 'auth_query_failed' ? [line['msg']] : [])).join('\n');

describe('users whom only pg_authid knows', () => {
  test('SCRAM is passed through to the servers: nothing but the verifier is known, in transaction mode', async () => {
    await start({});
    const clients = await Promise.all(Array.from({ length: 5 }, () => connectPg(url('aq_app', PASSWORD))));
    for (const client of clients) {
      const { rows } = await client.query('SELECT current_user AS name');
      expect(rows).toEqual([{ name: 'aq_app' }]);
    }
    expect(await logIn(quoted)).toBe(quoted);
    if (findProgram('psql') !== undefined) {
      const { stdout } = await runPsql(url('aq_app', PASSWORD), 'SELECT current_user');
      expect(stdout).toContain('aq_app');
    }
    // Reads go to replicas by the same keys, as soon as a replica has answered the monitor in time.
    await clients[0]!.query(`SET weir.route = 'replica'`);
    await until('a replica to be read from', async () => {
      await clients[0]!.query('SELECT count(*) FROM pg_class');
      return (await lastRoute(clients[0]!)).includes('replica');
    });
  });

  test('wrong, expired, missing and unknown are told apart by nobody but the log', async () => {
    await start({});
    for (const [user, password] of [
      ['aq_app', 'wrong'],
      ['aq_late', PASSWORD],
      ['aq_none', PASSWORD],
      ['nobody_at_all', PASSWORD],
      [`'; DROP ROLE aq_app; --`, PASSWORD],
      ['x'.repeat(64), PASSWORD],
      ['x'.repeat(5000), PASSWORD],
    ] as const) {
      const client = new pg.Client({ ...pgLogin(user), password: () => password });
      const error = await client.connect().then(
        () => undefined,
        (reason: pg.DatabaseError) => reason,
      );
      expect([error?.code, error?.message]).toEqual(['28P01', `password authentication failed for user "${user}"`]);
      await client.end().catch(() => undefined);
    }
    // One line a burst, in each worker.
    expect(whysRefused()).toContain('wrong password');
    expect(whysRefused().length).toBeLessThanOrEqual(workersOfTests() ?? 1);
  });

  test('a changed password counts at once, and the old one no longer', async () => {
    await start({});
    await cluster.query(`ALTER ROLE aq_new PASSWORD 'first'`);
    expect(await logIn('aq_new', 'first')).toBe('aq_new');
    for (const [old, now] of [
      ['first', 'second'],
      ['second', 'third'],
    ] as const) {
      await cluster.query(`ALTER ROLE aq_new PASSWORD '${now}'`);
      await cluster.waitForReplicas();
      // Servers that were opened with the old one are not needed for the new one.
      await cluster.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'aq_new'`);
      expect(await logIn('aq_new', old)).toBe('28P01');
      expect(await logIn('aq_new', now)).toBe('aq_new');
    }
    await cluster.query(`ALTER ROLE aq_new VALID UNTIL '2001-01-01'`);
    expect(await logIn('aq_new', 'third')).toBe('28P01');
    await cluster.query(`ALTER ROLE aq_new VALID UNTIL 'infinity'`);
  });

  test('a session that still has the old password does not keep those with the new one out', async () => {
    await cluster.query(`ALTER ROLE aq_new PASSWORD 'old'`);
    await cluster.waitForReplicas();
    await start({});
    const veteran = await connectPg(url('aq_new', 'old'));
    await cluster.query(`ALTER ROLE aq_new PASSWORD 'new'`);
    await cluster.waitForReplicas();
    for (const node of cluster.nodes) {
      await cluster.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'aq_new'`, { node });
    }
    const failure = await until('the old keys to be refused', () =>
      veteran.query('SELECT 1').then(
        () => undefined,
        (error: { code?: string; message: string }) => (error.code === '28P01' ? error.message : undefined),
      ),
    );
    expect(failure).toContain('password authentication failed');
    expect(await logIn('aq_new', 'new')).toBe('aq_new');
    expect((await veteran.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('the default query, by somebody who may read pg_authid', async () => {
    await cluster.query(`GRANT SELECT ON pg_authid TO ${asker}`, { database });
    await start({ query: 'default' });
    expect(await logIn('aq_app')).toBe('aq_app');
    expect(await logIn('aq_late')).toBe('28P01');
    await cluster.query(`REVOKE SELECT ON pg_authid FROM ${asker}`, { database });
    expect(await logIn('aq_app')).toBe('57P03');
    expect(failures()).toContain(`auth.query for database "${database}": permission denied for table pg_authid`);
  });

  test('md5 hashes with auth.type md5, plain secrets of a table with both', async () => {
    await start({ type: 'md5' });
    // SCRAM verifiers still mean SCRAM. The servers ask for SCRAM, which an md5 hash is no good for.
    expect(await logIn('aq_app')).toBe('aq_app');
    expect(await logIn('aq_md5', 'wrong')).toBe('28P01');
    expect(await logIn('aq_md5')).not.toBe('28P01');
    await rewrite({ query: viaTable });
    expect(await logIn('aq_plain')).toBe('aq_plain');
    expect(await logIn('aq_plain', 'wrong')).toBe('28P01');
    await rewrite({ type: 'scram-sha-256' });
    expect(await logIn('aq_plain')).toBe('aq_plain');
  });
});

describe('what lets nobody in', () => {
  test('an answer that is not exactly right', async () => {
    await start({});
    for (const [why, user, query] of [
      ['more than one row', 'aq_twice', viaTable],
      ['it gave 1 columns', 'aq_plain', 'SELECT secret FROM aq.secrets WHERE name = $1'],
      ['it gave 3 columns', 'aq_plain', 'SELECT name, secret, 1 FROM aq.secrets WHERE name = $1'],
      ['another user', 'aq_app', `SELECT 'aq_plain'::text, $1::text`],
      ['nothing but asterisks', 'aq_app', 'SELECT usename, passwd FROM pg_user WHERE usename = $1'],
      ['starts like a SCRAM secret', 'aq_app', `SELECT $1::text, 'SCRAM-SHA-256$4096:x'::text`],
      ['longer than', 'aq_app', `SELECT $1::text, repeat('x', 3000)`],
      ['division by zero', 'aq_app', 'SELECT $1::text, (1/0)::text'],
      ['syntax error', 'aq_app', 'SELECT $1 FROM WHERE'],
      ['multiple commands', 'aq_app', `SELECT $1::text, 'a'; SELECT 1`],
      ['requires 0', 'aq_app', 'BEGIN -- $1'],
      ['does not exist', 'aq_app', 'SELECT * FROM user_lookup($1)'],
    ] as const) {
      await rewrite({ query });
      for (const password of [PASSWORD, 'evil', '********', 'aq_app', 'a']) {
        expect(await logIn(user, password), why).toBe('57P03');
      }
      expect(failures()).toContain(why);
      // Nothing of it stands in the way of those in auth.file.
      expect(await logIn(asker)).toBe(asker);
    }
  });

  test('the search_path of the client is not that of the question', async () => {
    await start({ query: 'SELECT * FROM user_lookup($1)' });
    const client = new pg.Client({ connectionString: url('aq_app', 'evil'), options: '-c search_path=evil' });
    await expect(client.connect()).rejects.toMatchObject({ code: '57P03' });
    expect(failures()).toContain('user_lookup(unknown) does not exist');
  });

  test('the admin console knows auth.file only', async () => {
    await start({});
    expect(await logIn('aq_app', PASSWORD, 'weir')).toBe('28P01');
    expect(await logIn('weir', PASSWORD, 'pgbouncer')).toBe('28P01');
    const why = 'no such user in auth.file, which alone counts for the admin console';
    expect(new Set(whysRefused())).toEqual(new Set([why]));
    await connectPg(url('operator', PASSWORD, 'weir'));
  });

  test('the console looks up stats_users as PgBouncer does, where auth.dbname says who knows them; nobody else', async () => {
    await start({ as: 'pgbouncer', dbname: database, admin_users: ['operator'], stats_users: ['aq_app'] });
    expect(await logIn('aq_app', 'wrong', 'pgbouncer')).toBe('28P01');
    const console = await connectPg(url('aq_app', PASSWORD, 'pgbouncer'));
    expect((await console.query('SHOW STATE')).rows).not.toEqual([]);
    await expect(console.query('SUSPEND')).rejects.toMatchObject({ message: 'admin access needed' });
    await rewrite({ as: 'pgbouncer', dbname: database, admin_users: ['aq_app', 'operator'] });
    expect(await logIn('aq_app', PASSWORD, 'pgbouncer')).toBe('28P01');
    await rewrite({ dbname: undefined, admin_users: ['operator'], stats_users: ['aq_app'] });
    expect(await logIn('aq_app', PASSWORD, 'pgbouncer')).toBe('28P01');
    await rewrite({ as: 'weir', dbname: database, admin_users: ['operator'], stats_users: ['aq_app'] });
    expect(await logIn('aq_app', PASSWORD, 'pgbouncer')).toBe('28P01');
  });

  test('a database that is not configured has no users, unless auth.dbname says who knows them', async () => {
    await start({});
    expect(await logIn('aq_app', PASSWORD, 'no_such_database')).toBe('28P01');
    await rewrite({ dbname: database });
    expect(await logIn('aq_app', PASSWORD, 'no_such_database')).toBe('3D000');
    expect(await logIn('aq_app', 'wrong', 'no_such_database')).toBe('28P01');
    expect(await logIn('aq_app')).toBe('aq_app');
  });

  test('made-up databases of "*" are not brought to life by somebody who has not logged in', async () => {
    const { port } = cluster.primary;
    await start({}, { databases: { '*': { primary: `postgres://127.0.0.1:${port}` } } });
    expect(await logIn('aq_app', PASSWORD, 'made_up')).toBe('28P01');
    const console = await connectPg(url('operator', PASSWORD, 'weir'));
    expect((await console.query('SHOW DATABASES')).rows.map((row: { name: string }) => row.name)).not.toContain(
      'made_up',
    );
    expect(await logIn('aq_app')).toBe('aq_app');
  });
});

describe('a crowd, and a server that is away', () => {
  test('a hundred at once share a few connections of its own', async () => {
    await start({});
    const names = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 'aq_app' : `nobody_${i}`));
    const answers = await Promise.all(names.map((name) => logIn(name)));
    expect(new Set(answers.filter((_, i) => i % 2 === 0))).toEqual(new Set(['aq_app']));
    expect(new Set(answers.filter((_, i) => i % 2 === 1))).toEqual(new Set(['28P01']));
    const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'weir auth.query'`;
    const [row] = await cluster.query<{ n: number }>(`${sql} AND datname = '${database}'`);
    expect(row!.n).toBeGreaterThan(0);
    expect(row!.n).toBeLessThanOrEqual(4 * (workersOfTests() ?? 1));
  });

  test('a lost connection is replaced; without a server the client hears so within server_connect_timeout', async () => {
    relay = await TcpRelay.start(cluster.primary);
    await start({}, { server_connect_timeout: '1s' });
    expect(await logIn('aq_app')).toBe('aq_app');
    relay.cut();
    expect(await logIn('aq_app')).toBe('aq_app');
    relay.blackhole();
    expect(await logIn('aq_app')).toBe('57P03');
    expect(failures()).toMatch(/timed out|no primary/);
    relay.setMode('refuse');
    relay.reset();
    expect(await logIn('aq_app')).toBe('57P03');
    expect(await logIn(asker, 'wrong')).toBe('28P01');
    relay.pass();
    await until('the server to be back', async () => (await logIn('aq_app')) === 'aq_app');
    const metrics = await weir.http();
    expect(metrics.body).toMatch(/weir_auth_failures_total\{reason="auth-query"\} [2-9]/);
  });

  test('what cannot work is refused at the start', async () => {
    const refused = (auth: WeirConfig): Promise<unknown> =>
      startWeir(weirConfig(cluster, {}, { auth })).then(
        () => 'started',
        (error: Error) => error.message,
      );
    expect(await refused({ query: 'SELECT 1', user: asker })).toContain('auth.query: has no $1');
    expect(await refused({ query: viaTable })).toContain('auth.user: is missing');
    expect(await refused({ dbname: 'nowhere' })).toContain('auth.dbname: there is no database nowhere');
    await start({});
  });
});

const pgLogin = (user: string): pg.ClientConfig => ({ host: weir.host, port: weir.port, user, database });

/** Other settings of `auth`, by SIGHUP. */
async function rewrite(auth: WeirConfig): Promise<void> {
  const config = JSON.parse(readFileSync(weir.configFile, 'utf8')) as { auth: WeirConfig };
  const reloads = (): number => weir.logs.filter((line) => line['event'] === 'reload').length;
  const before = reloads();
  weir.rewriteConfig({ ...config, auth: { ...config.auth, ...auth } });
  weir.signal('SIGHUP');
  await until('the reload', () => reloads() > before);
}
