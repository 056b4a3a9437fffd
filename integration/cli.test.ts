/**
 * The command line as its users have it: `node bin/weir.js ...` in a process of its own, against a real Weir in front of
 * a real primary and two replicas.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { checkoutDir, currentRun } from './harness/run-dir.ts';
import {
  Child,
  closeClients,
  connectPg,
  freePorts,
  PASSWORD,
  pgUrl,
  startWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

interface Finished {
  readonly code: number | null;
  readonly output: string;
}

const running: WeirProcess[] = [];

afterEach(closeClients);
afterAll(async () => {
  for (const one of running.splice(0)) if (one.isRunning) await one.stop();
});

/** Runs one command to its end; `output` is standard output, then standard error. */
function cli(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  const args = [join(checkoutDir, 'bin/weir.js'), ...argv];
  const options = { env: { ...process.env, ...env }, timeout: 60_000 };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ code, output: stdout + stderr });
    });
  });
}

function configFile(config: unknown): string {
  const file = join(mkdtempSync(join(currentRun().dir, 'cli-')), 'weir.yaml');
  writeFileSync(file, JSON.stringify(config));
  return file;
}

describe('weir check', () => {
  test('a cluster as it should be', async () => {
    const cluster = useCluster();
    await cluster.waitForReplicas();
    const config = { ...weirConfig(cluster), auth: { admin_users: ['app'] } };
    const { code, output } = await cli(['check', '--config', configFile(config)]);
    expect(output).toContain('everything is fine');
    expect(output).toMatch(/postgres +primary +127\.0\.0\.1:\d+ +ok +primary/);
    expect(output.match(/ ok +replica +\d+ B +\d+/g)).toHaveLength(2);
    expect(output).not.toContain(PASSWORD);
    expect(code).toBe(0);
  });

  test('roles the wrong way round, a wrong password, nobody there', async () => {
    const cluster = useCluster();
    const [replica] = cluster.replicas;
    const [free] = await freePorts(1);
    const databases = {
      a: { primary: pgUrl(replica ?? cluster.primary), replicas: [pgUrl(cluster.primary)] },
      b: { primary: pgUrl(cluster.primary, { password: 'wrong-password', database: 'b' }) },
      c: { primary: `postgres://127.0.0.1:${free}` },
    };
    const { code, output } = await cli(['check', '--config', configFile({ databases })]);
    expect(code).toBe(1);
    expect(output).toContain('is configured as the primary, but it is a replica');
    expect(output).toContain('is configured as a replica, but it is a primary');
    expect(output).toContain('password authentication failed for user "app"');
    expect(output).toContain('nobody listens there (ECONNREFUSED)');
    expect(output).toContain('4 problems');
    expect(output).not.toMatch(/wrong-password/);
  });

  test('auth.query is tried as Weir will do it', async () => {
    const cluster = useCluster();
    const database = await cluster.createDatabase();
    const role = `check_asker_${process.pid}`;
    await cluster.query(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`);
    const users = join(mkdtempSync(join(currentRun().dir, 'cli-')), 'users.txt');
    writeFileSync(users, `"${role}" "${PASSWORD}"\n`, { mode: 0o600 });
    const checkWith = async (auth: Record<string, string>): Promise<string> => {
      const config = weirConfig(cluster, { database, replicas: [] }, { auth: { file: users, user: role, ...auth } });
      return (await cli(['check', '--config', configFile(config)])).output;
    };
    try {
      const denied = await checkWith({ query: 'default' });
      expect(denied).toContain(`auth.query for database "${database}": permission denied for table pg_authid`);
      expect(denied).toContain('1 problem');
      await cluster.query(`GRANT SELECT ON pg_authid TO ${role}`, { database });
      const fine = await checkWith({ query: 'default' });
      expect(fine).toContain(`note: auth.query for database "${database}" knows ${role}: a SCRAM-SHA-256 secret`);
      expect(fine).toContain('everything is fine');
      const hidden = await checkWith({ query: 'SELECT usename, passwd FROM pg_user WHERE usename = $1' });
      expect(hidden).toContain('it reads pg_user or pg_roles, which hide it');
      const nobody = await checkWith({ query: 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 || 1' });
      expect(nobody).toContain(`note: auth.query for database "${database}" knows no secret of ${role}`);
      writeFileSync(users, `"${role}" "wrong-password"\n`);
      const wrong = await checkWith({ query: 'default' });
      expect(wrong).toContain(`password authentication failed for user "${role}"`);
      expect(wrong).not.toContain('wrong-password');
    } finally {
      await cluster.dropDatabase(database);
      await cluster.query(`DROP ROLE ${role}`);
    }
  });
});

describe('a running Weir', () => {
  let weir: WeirProcess;

  beforeAll(async () => {
    weir = await startWeir(weirConfig(useCluster(), {}, { cache: { enabled: true } }));
    running.push(weir);
  });

  const ask = (...argv: string[]): Promise<Finished> => cli(argv, { WEIR_ADMIN_URL: weir.adminUrl() });
  async function rows(...argv: string[]): Promise<Record<string, unknown>[]> {
    const { code, output } = await ask(...argv, '--json');
    expect([code, output]).toEqual([0, expect.stringMatching(/^\[/)]);
    return JSON.parse(output) as Record<string, unknown>[];
  }
  const nodes = async (): Promise<unknown[][]> =>
    (await rows('nodes')).map((row) => [row['node'], row['role'], row['state']]).sort();

  test.each(['pools', 'nodes', 'clients', 'servers', 'databases', 'stats', 'cache', 'config'])(
    'weir %s as text and as JSON',
    async (verb) => {
      const client = await connectPg(weir.url());
      await client.query('SELECT 1');
      const text = await ask(verb);
      expect(text.code).toBe(0);
      expect(text.output.split('\n').length).toBeGreaterThan(2);
      expect(text.output).not.toContain(PASSWORD);
      expect((await rows(verb)).length).toBeGreaterThan(0);
    },
  );

  test('nodes: who is who', async () => {
    expect(await nodes()).toEqual([
      ['primary', 'primary', 'up'],
      ['replica1', 'replica', 'up'],
      ['replica2', 'replica', 'up'],
    ]);
  });

  test('resize acts at once, up and down, and prints before -> after', async () => {
    const client = await connectPg(weir.url());
    await client.query('CREATE TEMPORARY TABLE keeps_the_pool_busy (n int)');
    const up = await ask('resize', 'postgres.app', '--node', 'primary', '--min', '30', '--max', '60');
    expect([up.code, up.output]).toEqual([0, 'postgres.app on primary: 20 -> 30 (min 30, max 60)\n']);
    const down = await ask('resize', 'postgres.app', '--node', 'primary', '--min', '0', '--max', '5');
    expect([down.code, down.output]).toEqual([0, 'postgres.app on primary: 30 -> 5 (min 0, max 5)\n']);
    const pool = (await rows('pools')).find((row) => row['user'] === 'app' && row['node'] === 'primary');
    expect(pool).toMatchObject({ limit: 5, min: 0, max: 5 });
    const unknown = await ask('resize', 'nowhere', '--max', '5');
    expect(unknown.code).toBe(1);
    expect(unknown.output).toContain('nowhere');
  });

  test('drain and undrain', async () => {
    expect((await ask('drain', 'replica1')).code).toBe(0);
    await until('the drained node to be shown', async () => (await nodes())[1]?.[2] === 'draining');
    const client = await connectPg(weir.url());
    await client.query('SELECT 1');
    const { rows: last } = await client.query<Record<string, string>>('SHOW weir.last_route');
    expect(last[0]?.['weir.last_route']).toMatch(/^replica2;.*replica1 is draining/);
    expect((await ask('undrain', 'replica1')).code).toBe(0);
    await until('the node to be back', async () => (await nodes())[1]?.[2] === 'up');
    const unknown = await ask('drain', 'replica9');
    expect(unknown.code).toBe(1);
    expect(unknown.output).toContain('there is no node "replica9"');
  });

  test('pause holds clients back, resume lets them go on', async () => {
    const client = await connectPg(weir.url());
    await client.query('SELECT 1');
    expect((await ask('pause', 'postgres')).code).toBe(0);
    let isAnswered = false;
    const answer = client.query('SELECT 2 AS two').then((result) => {
      isAnswered = true;
      return result.rows;
    });
    await until('the client to wait', async () => (await rows('pools')).some((row) => Number(row['cl_waiting']) > 0));
    expect(isAnswered).toBe(false);
    expect((await ask('resume', 'postgres')).code).toBe(0);
    expect(await answer).toEqual([{ two: 2 }]);
  });

  test('kill ends one client and no other', async () => {
    const [victim, other] = [await connectPg(`${weir.url()}?application_name=victim`), await connectPg(weir.url())];
    const ended = new Promise<Error>((resolve) => victim.once('error', resolve));
    const row = (await rows('clients')).find((client) => client['application_name'] === 'victim');
    expect((await ask('kill', String(row?.['id']))).code).toBe(0);
    expect((await ended).message).toContain('terminat');
    expect((await other.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect((await ask('kill', '999999999')).code).toBe(1);
  });

  test('explain says where and why, and runs nothing', async () => {
    const read = await ask('explain', 'SELECT 1');
    expect(read.code).toBe(0);
    expect(read.output).toMatch(/node now +replica[12]/);
    const write = await ask('explain', 'CREATE TABLE never_made (n int)');
    expect(write.output).toMatch(/node now +primary/);
    expect(await useCluster().query("SELECT to_regclass('never_made') AS made")).toEqual([{ made: null }]);
  });

  test('invalidate drops what was cached', async () => {
    expect((await ask('invalidate', '--all')).code).toBe(0);
    expect((await ask('invalidate', '--tag', 'user:42', '--tag', 'users')).code).toBe(0);
    const unknown = await ask('invalidate', '--table', 'public.there_is_no_such_table');
    expect([unknown.code, unknown.output]).toEqual([1, expect.stringContaining('there_is_no_such_table')]);
  });

  test('a wrong password and an ordinary user are refused', async () => {
    const wrong = await cli(['pools', '--url', weir.adminUrl().replace(PASSWORD, 'wrong-password')]);
    expect(wrong.code).toBe(1);
    expect(wrong.output).toContain('password authentication failed');
    const ordinary = await cli(['pools', '--url', weir.url({ database: 'weir' })]);
    expect(ordinary.code).toBe(1);
    expect(ordinary.output).toContain('may not use the admin console');
    expect(wrong.output + ordinary.output).not.toMatch(/wrong-password/);
  });
});

describe('reload', () => {
  test('weir reload and SIGHUP apply what they can, name what they cannot, and refuse a bad file whole', async () => {
    const config = weirConfig(useCluster());
    const weir = await startWeir(config);
    running.push(weir);
    const ask = (...argv: string[]): Promise<Finished> => cli(argv, { WEIR_ADMIN_URL: weir.adminUrl() });
    const value = async (key: string): Promise<unknown> => {
      const all = JSON.parse((await ask('config', '--json')).output) as Record<string, unknown>[];
      return all.find((row) => row['key'] === key)?.['value'];
    };
    const addresses = { listen: `127.0.0.1:${weir.port}`, http: `127.0.0.1:${weir.httpPort}` };
    const auth = { type: 'scram-sha-256', admin_users: ['weir'], file: 'users.txt' };
    const base = { ...config, ...addresses, auth };

    weir.rewriteConfig({ ...base, query_wait_timeout: '7s', http: '127.0.0.1:1' });
    const reloaded = await ask('reload');
    expect([reloaded.code, reloaded.output]).toEqual([0, expect.stringContaining('http')]);
    expect(await value('query_wait_timeout')).toBe('7s');
    expect(await value('http')).toBe(addresses.http);

    weir.rewriteConfig({ ...base, query_wait_timeout: 'never' });
    const refused = await ask('reload');
    expect([refused.code, refused.output]).toEqual([1, expect.stringContaining('query_wait_timeout')]);
    expect(await value('query_wait_timeout')).toBe('7s');

    weir.rewriteConfig({ ...base, query_wait_timeout: '9s' });
    weir.signal('SIGHUP');
    await until('the new value', async () => (await value('query_wait_timeout')) === '9s');
    await weir.stop();
  });
});

describe('weir serve with flags alone', () => {
  test('serves, and SIGTERM ends it with exit code 0', async () => {
    const cluster = useCluster();
    const [port = 0, httpPort = 0] = await freePorts(2);
    const replicas = cluster.replicas.flatMap((node) => ['--replica', `postgres://127.0.0.1:${node.port}/postgres`]);
    const flags = ['--primary', pgUrl(cluster.primary), ...replicas, '--listen', `127.0.0.1:${port}`];
    const child = new Child(currentRun(), process.execPath, [join(checkoutDir, 'bin/weir.js'), 'serve', ...flags], {
      env: { ...process.env, WEIR_HTTP: `127.0.0.1:${httpPort}`, WEIR_AUTH_ADMIN_USERS: 'app' },
    });
    try {
      await until('Weir to be ready', async () => (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok);
      expect(child.output).toContain(`weir: listening on 127.0.0.1:${port}, http on 127.0.0.1:${httpPort}\n`);
      const client = await connectPg(pgUrl({ port }));
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      const pools = await cli(['pools', '--url', pgUrl({ port }, { database: 'weir' })]);
      expect([pools.code, pools.output]).toEqual([0, expect.stringContaining('postgres')]);
      await closeClients();
      expect(await child.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    } finally {
      await child.kill();
    }
  });
});
