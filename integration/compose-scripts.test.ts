/**
 * The scripts of deploy/compose on a real PostgreSQL, and its weir.yaml in front of them: primary.sh makes the roles, replica.sh
 * copies the primary and follows it, and copies nothing when it is started again. Needs Debian's programs of a server, as the
 * containers have them; skipped without.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, chownSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { serverBin } from './harness/programs.ts';
import { checkoutDir, currentRun } from './harness/run-dir.ts';
import { Child, closeClients, connectPg, freePort, lastRoute, startTestWeir, until } from './harness/index.ts';
import type { TestWeir, WeirConfig } from './harness/index.ts';

interface Compose {
  readonly services: Readonly<Record<string, { readonly environment: Readonly<Record<string, string>> }>>;
}

const bin = [18, 17, 16, 15, 14]
  .map(serverBin)
  .find((dir) => dir !== undefined && existsSync(join(dir, 'pg_basebackup')));
const folder = join(checkoutDir, 'deploy/compose');
const { services } = parse(readFileSync(join(folder, 'compose.yaml'), 'utf8'), { merge: true }) as Compose;
const environment = services['primary']?.environment ?? {};
const children: Child[] = [];
const weirs: TestWeir[] = [];

afterEach(async () => {
  await closeClients();
  for (const weir of weirs.splice(0)) await weir.stop();
  for (const child of children.splice(0).reverse()) {
    child.signal('SIGINT');
    await child.exited;
  }
});

/** A folder that belongs to the user that servers run as. */
function folderFor(name: string, parent: string): string {
  const dir = join(parent, name);
  mkdirSync(dir, { mode: 0o700 });
  const { user } = currentRun();
  if (user !== undefined) chownSync(dir, user.uid, user.gid);
  return dir;
}

function start(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Child {
  const path = `${bin}:${process.env['PATH'] ?? ''}`;
  const all = { PATH: path, LC_ALL: 'C', ...environment, ...env };
  return new Child(currentRun(), program, args, { asServerUser: true, cwd: env['PGDATA'] ?? '/', env: all });
}

async function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const child = start(program, args, env);
  expect(await child.exited, child.output).toEqual({ code: 0, signal: null });
}

const why = bin === undefined ? ' (skipped: no server of PostgreSQL with pg_basebackup is installed)' : '';

describe.skipIf(bin === undefined)(`the scripts of deploy/compose${why}`, () => {
  test('a primary, a replica that follows it, and Weir in front of both', async () => {
    const dir = mkdtempSync(join(currentRun().dir, 'compose-'));
    const { user } = currentRun();
    if (user !== undefined) chownSync(dir, user.uid, user.gid);
    for (const name of ['primary.sh', 'replica.sh']) copyFileSync(join(folder, name), join(dir, name));
    const [primaryData, replicaData] = [folderFor('primary', dir), folderFor('replica', dir)];
    const [primaryPort, replicaPort] = [await freePort(), await freePort()];
    const on = (port: number): string[] => ['-p', String(port), '-k', dir, '-c', 'listen_addresses=127.0.0.1'];

    // What the image does before it runs the script.
    const auth = ['--auth-local', 'trust', '--auth-host', 'scram-sha-256', '--username', 'postgres'];
    await run('initdb', ['--pgdata', primaryData, ...auth], {});
    const primary = start('postgres', on(primaryPort), { PGDATA: primaryData });
    children.push(primary);
    await until('the primary', () => primary.output.includes('ready to accept connections'));
    const local = { PGDATA: primaryData, PGHOST: dir, PGPORT: String(primaryPort) };
    await run('sh', [join(dir, 'primary.sh')], local);
    await run('pg_ctl', ['reload'], local);

    const follow = (): Child => {
      const env = { PGDATA: replicaData, PRIMARY_HOST: '127.0.0.1', PRIMARY_PORT: String(primaryPort) };
      const child = start('sh', [join(dir, 'replica.sh'), ...on(replicaPort)], env);
      children.push(child);
      return child;
    };
    const replica = follow();
    await until('the replica', () => replica.output.includes('ready to accept read-only connections'));

    const text = readFileSync(join(folder, 'weir.yaml'), 'utf8')
      .replace('primary:5432', `127.0.0.1:${primaryPort}`)
      .replace('replica1:5432', `127.0.0.1:${replicaPort}`);
    const config = parse(text) as WeirConfig & { databases: { shop: { replicas: unknown[] } } };
    config.databases.shop.replicas.length = 1;
    const weir = await startTestWeir({
      databases: config.databases,
      auth: { file: join(folder, 'users.txt'), admin_users: ['weir'] },
      log: { level: 'error' },
    });
    weirs.push(weir);
    const login = new URL(`postgres://app:${environment['APP_PASSWORD']}@127.0.0.1:${weir.port}/shop`);
    const client = await connectPg(login.href);
    await client.query('CREATE TABLE seen (n int)');
    await client.query('INSERT INTO seen VALUES (1)');
    await until('a read from the replica', async () => {
      expect((await client.query('SELECT n FROM seen')).rows).toEqual([{ n: 1 }]);
      return (await lastRoute(client)).startsWith('replica1');
    });

    // Started again, it goes on with what it has.
    replica.signal('SIGINT');
    await replica.exited;
    const again = follow();
    await until('the replica again', () => again.output.includes('ready to accept read-only connections'));
    expect(again.output).toContain('database system was shut down in recovery');
  });
});
