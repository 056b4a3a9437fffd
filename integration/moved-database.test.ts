/**
 * A database that a reload gives to another server, as operators move one: PAUSE, a new file, RELOAD, RESUME. Whoever waited
 * meanwhile, for RESUME or for a place in a full pool, is served by the new server, and so is everybody after.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  Child,
  closeClients,
  connectPg,
  currentRun,
  freePort,
  pgUrl,
  until,
  useCluster,
  users,
  PASSWORD,
} from './harness/index.ts';
import { checkoutDir } from './harness/run-dir.ts';

const cluster = useCluster();
const dir = mkdtempSync(join(currentRun().dir, 'moved-'));
let port = 0;
let weir: Child;
let from = '';
let to = '';

function write(database: string, more = ''): void {
  writeFileSync(
    join(dir, 'pgbouncer.ini'),
    `[databases]
moving = host=127.0.0.1 port=${cluster.primary.port} dbname=${database} ${more}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
pool_mode = transaction
auth_file = users.txt
admin_users = weir
`,
  );
}

const connect = (database: string, user: string = users.app) => connectPg(pgUrl({ port }, { user, database }));

async function admin(...commands: readonly string[]): Promise<void> {
  const client = await connect('pgbouncer', 'weir');
  for (const command of commands) await client.query(command);
  await client.end();
}

type Client = Awaited<ReturnType<typeof connect>>;

async function databaseOf(client: Client): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string }>('SELECT current_database() AS name');
  return rows[0]?.name;
}

const waiting = async (): Promise<number> => {
  const client = await connect('pgbouncer', 'weir');
  const { rows } = await client.query<{ database: string; cl_waiting: number }>('SHOW POOLS');
  await client.end();
  return rows.find(({ database }) => database === 'moving')?.cl_waiting ?? 0;
};

beforeAll(async () => {
  from = await cluster.createDatabase();
  to = await cluster.createDatabase();
  writeFileSync(join(dir, 'users.txt'), [users.app, 'weir'].map((name) => `"${name}" "${PASSWORD}"\n`).join(''));
});

async function start(more = ''): Promise<void> {
  port = await freePort();
  write(from, more);
  const env = { ...process.env, WEIR_WORKERS: process.env['WEIR_TEST_WORKERS'] ?? '1' };
  const program = join(checkoutDir, 'bin/weir.js');
  weir = new Child(currentRun(), process.execPath, [program, 'serve', 'pgbouncer.ini'], { cwd: dir, env });
  await until('Weir to listen', async () => {
    if (!weir.isRunning) throw new Error(`it has ended: ${weir.output}`);
    const client = await connect('pgbouncer', 'weir').catch(() => undefined);
    await client?.end();
    return client !== undefined;
  });
}

afterEach(async () => {
  await closeClients();
  await weir.stop('SIGINT');
});

describe('a database that moves to another server', () => {
  test.each([
    ['PAUSE', 'RESUME'],
    ['PAUSE moving', 'RESUME moving'],
  ])('%s, RELOAD, %s: who waited for RESUME is served there', async (pause, resume) => {
    await start();
    const [idle, waits] = [await connect('moving'), await connect('moving')];
    expect([await databaseOf(idle), await databaseOf(waits)]).toEqual([from, from]);
    await admin(pause);
    const answer = databaseOf(waits);
    await until('the statement to wait', async () => (await waiting()) === 1);
    write(to);
    await admin('RELOAD', resume);
    expect(await answer).toBe(to);
    expect([await databaseOf(waits), await databaseOf(idle)]).toEqual([to, to]);
    expect(await databaseOf(await connect('moving'))).toBe(to);
  });

  test('who waited for a place in a full pool is served there', async () => {
    await start('pool_size=1');
    const [busy, waits] = [await connect('moving'), await connect('moving')];
    await busy.query('BEGIN');
    expect(await databaseOf(busy)).toBe(from);
    const answer = databaseOf(waits);
    await until('the statement to wait', async () => (await waiting()) === 1);
    write(to, 'pool_size=1');
    await admin('RELOAD');
    // The transaction goes on where it began.
    expect(await databaseOf(busy)).toBe(from);
    await busy.query('COMMIT');
    expect(await answer).toBe(to);
    expect([await databaseOf(busy), await databaseOf(await connect('moving'))]).toEqual([to, to]);
  });
});
