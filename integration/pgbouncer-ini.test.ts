/**
 * A pgbouncer.ini is served as it is, as its users have it: started by PgBouncer's command line, in the background too, with its
 * auth_file and HBA file, in session mode, with its log and process ID files; reloaded; converted; checked.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  Child,
  PASSWORD,
  closeClients,
  connectPg,
  currentRun,
  freePort,
  isProcessRunning,
  pgUrl,
  until,
  useCluster,
  users,
} from './harness/index.ts';
import { checkoutDir } from './harness/run-dir.ts';

const cluster = useCluster();
const dir = mkdtempSync(join(currentRun().dir, 'ini-'));
const inDir = (name: string): string => join(dir, name);
/** As PgBouncer is called; a link to Weir. */
const pgbouncer = inDir('pgbouncer');
const background: number[] = [];
const children: Child[] = [];
let database = '';
let port = 0;

interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  WEIR_WORKERS: process.env['WEIR_TEST_WORKERS'] ?? '1',
});

function run(program: string, ...args: readonly string[]): Promise<Finished> {
  const options = { cwd: dir, env: environment(), timeout: 60_000 };
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ code, out, err });
    });
  });
}

function write(name: string, more = '', databases = ''): string {
  const { primary } = cluster;
  const text = `
;; as PgBouncer's documentation writes it
[databases]
${database} = host=127.0.0.1 port=${primary.port}
forced = host=127.0.0.1 port=${primary.port} dbname=${database} user=${users.app}
${databases}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = md5
auth_file = users.txt
admin_users = weir
server_reset_query = DISCARD ALL
pkt_buf = 2048
${more}`;
  writeFileSync(inDir(name), text);
  return name;
}

const url = (to: string, user: string = users.app2): string => pgUrl({ port }, { user, database: to });

async function start(...args: readonly string[]): Promise<Child> {
  const child = new Child(currentRun(), process.execPath, [pgbouncer, ...args], { cwd: dir, env: environment() });
  children.push(child);
  await until('Weir to listen', async () => {
    if (!child.isRunning) throw new Error(`it has ended: ${child.output}`);
    const client = await connectPg(url('pgbouncer', 'weir')).catch(() => undefined);
    await client?.end();
    return client !== undefined;
  });
  return child;
}

async function ask(to: string, text: string, user?: string): Promise<unknown> {
  const client = await connectPg(url(to, user));
  const { rows } = await client.query<Record<string, unknown>>(text);
  await client.end();
  return Object.values(rows[0] ?? {})[0];
}

async function setting(key: string): Promise<unknown> {
  const client = await connectPg(url('pgbouncer', 'weir'));
  const { rows } = await client.query<{ key: string; value: string }>('SHOW CONFIG');
  await client.end();
  return rows.find((row) => row.key === key)?.value;
}

beforeAll(async () => {
  symlinkSync(join(checkoutDir, 'bin/weir.js'), pgbouncer);
  const names = [users.app, users.app2, 'weir'];
  writeFileSync(inDir('users.txt'), names.map((name) => `"${name}" "${PASSWORD}"\n`).join(''));
  database = await cluster.createDatabase();
});

afterEach(async () => {
  await closeClients();
  for (const child of children.splice(0)) if (child.isRunning) await child.stop('SIGINT');
});

afterAll(() => {
  for (const pid of background) if (isProcessRunning(pid)) process.kill(pid, 'SIGKILL');
});

test('log in, session mode, a user with a password of auth_file, notes, reload', async () => {
  port = await freePort();
  const ini = write('a.ini');
  const child = await start(ini);
  expect(child.output).toContain('note: a.ini:15: pkt_buf has no effect here');
  expect(child.output).not.toContain('server_reset_query');
  expect(await ask(database, 'SELECT current_user')).toBe(users.app2);
  expect(await ask('forced', 'SELECT current_user')).toBe(users.app);
  await expect(connectPg(url('nowhere'))).rejects.toThrow('nowhere');

  // In session mode a client keeps its server: another one gets another.
  const [one, other] = [await connectPg(url(database)), await connectPg(url(database))];
  const pidOf = async (client: typeof one): Promise<unknown> =>
    (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
  const first = await pidOf(one);
  expect(await pidOf(other)).not.toBe(first);
  expect(await pidOf(one)).toBe(first);
  expect(await setting('pool_mode')).toBe('session');
  expect(await setting('max_pool_size')).toBe('20');
  await closeClients();

  // RELOAD and SIGHUP read the ini again; a wrong one changes nothing.
  write(
    ini,
    'pool_mode = transaction\nmax_client_conn = 77',
    `late = host=127.0.0.1 port=${cluster.primary.port} dbname=${database}`,
  );
  expect(await ask('pgbouncer', 'RELOAD', 'weir')).toBeUndefined();
  expect(await setting('pool_mode')).toBe('transaction');
  expect(await setting('max_client_conn')).toBe('77');
  expect(await ask('late', 'SELECT current_user')).toBe(users.app2);
  write(ini, 'pool_mod = session');
  await expect(ask('pgbouncer', 'RELOAD', 'weir')).rejects.toThrow('RELOAD failed, see logs');
  await until('the log to say why', () => child.output.includes('a.ini:16: unknown parameter: pgbouncer/pool_mod'));
  expect(await setting('pool_mode')).toBe('transaction');
  write(ini, 'max_client_conn = 55');
  child.signal('SIGHUP');
  await until('the ini to be read', async () => (await setting('max_client_conn')) === '55');
  expect(await setting('pool_mode')).toBe('session');
});

test('auth_type plain: passwords in clear text, also those with which Weir logs in to the server', async () => {
  port = await freePort();
  await start('-q', write('plain.ini', 'auth_type = plain'));
  expect(await ask(database, 'SELECT current_user', users.app)).toBe(users.app);
  const wrong = new pg.Client({ host: '127.0.0.1', port, database, user: users.app, password: 'wrong' });
  let asked = 0;
  wrong.connection.on('authenticationCleartextPassword', () => asked++);
  await expect(wrong.connect()).rejects.toThrow('password authentication failed');
  expect(asked).toBe(1);
});

test('auth_type hba with its file, and TLS off', async () => {
  port = await freePort();
  writeFileSync(
    inDir('hba.conf'),
    `local all ${users.app2} peer\nlocal all all md5\nhost pgbouncer weir 127.0.0.1/32 md5\nhost ${database} ${users.app} 127.0.0.1/32 md5\nhost all ${users.app2} all reject\n`,
  );
  const child = await start(
    '-v',
    write('hba.ini', `auth_type = hba\nauth_hba_file = hba.conf\nunix_socket_dir = ${dir}`),
  );
  expect(child.output).toContain('hba.conf:1: peer: Node cannot ask the kernel');
  expect(await ask(database, 'SELECT current_user', users.app)).toBe(users.app);
  await expect(connectPg(url(database, users.app2))).rejects.toThrow(/pg_hba|reject/i);
  expect(await setting('verbose')).toBe('1');
  // peer refuses whom its line concerns, and nobody else.
  const bySocket = (user: string): pg.Client => new pg.Client({ host: dir, port, database, user, password: PASSWORD });
  await expect(bySocket(users.app2).connect()).rejects.toMatchObject({
    code: '28000',
    message: `Peer authentication failed for user "${users.app2}"`,
  });
  const other = bySocket(users.app);
  await other.connect();
  await other.end();
});

test('the user pgbouncer comes into the console without a password, by a Unix socket that only we can reach', async () => {
  port = await freePort();
  await start('-q', write('s.ini', `unix_socket_dir = ${dir}`));
  const local = { host: dir, port, database: 'pgbouncer', user: 'pgbouncer' };
  const client = new pg.Client(local);
  await client.connect();
  expect((await client.query('RELOAD')).command).toBe('RELOAD');
  await client.end();
  // Not for another user, another database, or by TCP.
  for (const other of [
    { ...local, user: users.app },
    { ...local, database },
    { ...local, host: '127.0.0.1' },
  ]) {
    const refused = new pg.Client({ ...other, password: 'wrong' });
    await expect(refused.connect()).rejects.toThrow('password authentication failed');
  }
});

test('-d: in the background, with log and process ID files, which a second one does not take', async () => {
  port = await freePort();
  const ini = write('d.ini', 'logfile = d.log\npidfile = d.pid\nlog_stats = 0');
  const started = await run(pgbouncer, '-d', ini);
  expect(started).toMatchObject({ code: 0, out: '' });
  expect(started.err).toContain('note: d.ini:18: log_stats has no effect here');
  const pid = Number(readFileSync(inDir('d.pid'), 'utf8'));
  background.push(pid);
  expect(isProcessRunning(pid)).toBe(true);
  expect(await ask(database, 'SELECT 1')).toBe(1);
  expect(readFileSync(inDir('d.log'), 'utf8')).toContain('d.ini:15: pkt_buf has no effect here');

  const second = await run(pgbouncer, '-d', '-q', ini);
  expect(second.code).toBe(1);
  expect(second.err).toBe(`cannot start: pidfile ${inDir('d.pid')}: process ${pid} has it: is another Weir running?\n`);
  const reboot = await run(pgbouncer, '-R', '-q', ini);
  expect(reboot.err).toContain(`--reboot: process ${pid} runs, and cannot pass its clients`);

  // As logrotate does.
  renameSync(inDir('d.log'), inDir('d.log.1'));
  process.kill(pid, 'SIGHUP');
  await until('the log to be opened anew', () => Promise.resolve(existsSync(inDir('d.log'))));
  process.kill(pid, 'SIGINT');
  await until('Weir to end', () => Promise.resolve(!isProcessRunning(pid)));
  expect(existsSync(inDir('d.pid'))).toBe(false);
  expect(readFileSync(inDir('d.log'), 'utf8')).toContain('weir has stopped');
});

test('-d without its files, a wrong ini, and usage', async () => {
  port = await freePort();
  const bare = await run(pgbouncer, '-d', write('bare.ini'));
  expect(bare.code).toBe(1);
  expect(bare.err).toContain('--daemon: pidfile is not set');
  const wrong = await run(pgbouncer, write('wrong.ini', 'pool_mode = sesion\nfoo = 1'));
  expect(wrong).toMatchObject({ code: 1, out: '' });
  expect(wrong.err).toContain('wrong.ini:16: invalid value "sesion" for parameter pool_mode');
  expect(wrong.err).toContain('wrong.ini:17: unknown parameter: pgbouncer/foo');
  expect((await run(pgbouncer, '-V')).out).toMatch(/^Weir \d/);
  expect((await run(pgbouncer, '--help')).out).toContain('usage: weir serve [FILE] [-d]');
});

test('weir convert prints what weir check accepts', async () => {
  port = await freePort();
  const weir = join(checkoutDir, 'bin/weir.js');
  const ini = write('c.ini', 'pool_mode = statement');
  const converted = await run(weir, 'convert', ini);
  expect(converted).toMatchObject({ code: 0, err: '' });
  writeFileSync(inDir('c.yaml'), converted.out);
  for (const file of [ini, 'c.yaml']) {
    const checked = await run(weir, 'check', file);
    expect(checked.out, checked.err).toContain('everything is fine');
  }
  const wrong = await run(weir, 'check', write('e.ini', 'pool_size = 3'));
  expect(wrong.err).toContain('e.ini:16: unknown parameter: pgbouncer/pool_size');
});
