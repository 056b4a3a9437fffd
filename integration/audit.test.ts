/**
 * What the log of a Weir says of its operators: each command of the console with who, from where and how it ended, without
 * secrets; and a reload in words that say what it changed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, until, useCluster, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  const settings = { auth: { stats_users: ['app2'] }, log: { level: 'debug' } };
  weir = await startWeir(weirConfig(useCluster(), { database }, settings));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await useCluster().dropDatabase(database);
});

const logged = async (
  what: string,
  is: (line: Record<string, unknown>) => boolean,
): Promise<Record<string, unknown>> => {
  await until(what, () => Promise.resolve(weir.logs.some(is)));
  return weir.logs.find(is) ?? {};
};

test('commands that are done and refused, of an operator and of one who may only look', async () => {
  const console = await connectPg(weir.adminUrl());
  await console.query("SET query_wait_timeout = '29s'");
  await expect(console.query("SET max_client_conn = 'many'")).rejects.toThrow();
  const stats = await connectPg(weir.url({ user: 'app2', database: 'pgbouncer' }));
  await expect(stats.query('PAUSE')).rejects.toThrow();
  await stats.query('SHOW POOLS');
  const line = (command: string): Promise<Record<string, unknown>> =>
    logged(command, (each) => each['event'] === 'console_command' && each['command'] === command);
  const from = { client: expect.stringMatching(/^127\.0\.0\.1:\d+$/) };
  expect(await line("SET query_wait_timeout = '29s'")).toMatchObject({
    ...{ level: 'info', user: 'weir', database: 'weir', outcome: 'done', ...from },
  });
  expect(await line("SET max_client_conn = 'many'")).toMatchObject({
    level: 'warn',
    outcome: 'refused',
    why: expect.any(String),
  });
  expect(await line('PAUSE')).toMatchObject({
    user: 'app2',
    database: 'pgbouncer',
    outcome: 'refused',
    sqlstate: '42501',
  });
  expect(await line('SHOW POOLS')).toMatchObject({ level: 'debug', user: 'app2', outcome: 'done', ...from });
  expect(weir.logs.filter(({ event }) => event === 'reload')).toEqual([]);
});

test('KILL is not called PAUSE', async () => {
  const client = await connectPg(weir.url({ database }));
  client.on('error', () => undefined);
  await client.query('SELECT 1');
  const console = await connectPg(weir.adminUrl());
  await console.query(`KILL ${database}`);
  await console.query(`RESUME ${database}`);
  await logged('KILL of a server', ({ event, msg }) => event === 'server_closed' && msg === 'KILL');
  expect(weir.logs.filter(({ event, msg }) => event === 'server_closed' && msg === 'PAUSE')).toEqual([]);
});

test('SIGHUP says whose password it has changed, and that of a file without changes nothing', async () => {
  const reloads = (): string[] => weir.logs.filter(({ event }) => event === 'reload').map(({ msg }) => String(msg));
  const reload = async (): Promise<string | undefined> => {
    const before = reloads().length;
    weir.signal('SIGHUP');
    await until('the reload', () => Promise.resolve(reloads().length > before));
    return reloads().at(-1);
  };
  // The SET of the first test ends here.
  expect(await reload()).toMatch(/^the configuration was reloaded: changed: query_wait_timeout/);
  expect(await reload()).toBe('the configuration was reloaded: nothing had changed');
  const file = join(dirname(weir.configFile), 'users.txt');
  const users = readFileSync(file, 'utf8');
  writeFileSync(file, users.replace(/^"app2" .*$/m, '"app2" "another one"') + '"zoe" "geheim"\n');
  expect(await reload()).toBe('the configuration was reloaded: changed: password of "app2", new user "zoe"');
  writeFileSync(file, users);
  expect(await reload()).toBe('the configuration was reloaded: changed: password of "app2", user gone "zoe"');
  expect(weir.output).not.toContain('geheim');
});
