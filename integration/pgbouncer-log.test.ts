/**
 * log.format pgbouncer: the lines that fail2ban and scripts look for in PgBouncer's log are in that of Weir, with the address and
 * the reason, and each connection has its end.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, until, useCluster, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  const missing = { primary: `postgres://127.0.0.1:${useCluster().primary.port}/not_there` };
  const more = { log: { format: 'pgbouncer' }, databases: { missing } };
  weir = await startWeir(weirConfig(useCluster(), { database }, more));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await useCluster().dropDatabase(database);
});

const stamp = String.raw`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[\d+\] `;
const logged = (rest: string): Promise<unknown> =>
  until(`a line ${rest}`, () => Promise.resolve(new RegExp(stamp + rest, 'm').test(weir.output)));
const client = (who: string): string => String.raw`C-0x[0-9a-f]+: ${who}@127\.0\.0\.1:\d+ `;

test('log-in, and the end by the client', async () => {
  const app = await connectPg(weir.url({ database }));
  await app.query('SELECT 1');
  await app.end();
  await logged(`LOG ${client(`${database}/app`)}login attempt: db=${database} user=app tls=no$`);
  await logged(String.raw`LOG ${client(`${database}/app`)}closing because: client close request \(age=\d+s\)$`);
});

test('a wrong password, and a database that is not there', async () => {
  await expect(connectPg(weir.url({ database, password: 'wrong' }))).rejects.toMatchObject({ code: '28P01' });
  await logged(String.raw`LOG ${client(`${database}/app`)}closing because: SASL authentication failed \(age=\d+s\)$`);
  await logged(`WARNING ${client(`${database}/app`)}pooler error: SASL authentication failed$`);
  await expect(connectPg(weir.url({ database: 'nowhere' }))).rejects.toMatchObject({ code: '3D000' });
  await logged(`WARNING ${client('nowhere/app')}pooler error: no such database: nowhere$`);
});

test('a client that an operator ends', async () => {
  const app = await connectPg(weir.url({ database }));
  app.on('error', () => undefined);
  const console = await connectPg(weir.url({ user: 'weir', database: 'pgbouncer' }));
  const { rows } = await console.query<{ id: string; database: string }>('SHOW CLIENTS');
  await console.query(`KILL_CLIENT ${rows.find((row) => row.database === database)?.id ?? ''}`);
  await logged(String.raw`LOG ${client(`${database}/app`)}closing because: admin forced disconnect \(age=\d+s\)$`);
  await logged(`LOG ${client('pgbouncer/weir')}login attempt: db=pgbouncer user=weir tls=no$`);
});

test('server connections: opened, closed, and refused by the server', async () => {
  const server = (who: string): string => String.raw`S-0x[0-9a-f]+: ${who}@127\.0\.0\.1:\d+ `;
  await logged(String.raw`LOG ${server(`${database}/app`)}new connection to server \(from 127\.0\.0\.1:\d+\)$`);
  const console = await connectPg(weir.url({ user: 'weir', database: 'pgbouncer' }));
  await console.query(`RECONNECT ${database}`);
  await logged(
    String.raw`LOG ${server(`${database}/app`)}closing because: database configuration changed \(age=\d+s\)$`,
  );
  await expect(connectPg(weir.url({ database: 'missing' }))).rejects.toMatchObject({ code: '3D000' });
  await logged(`WARNING ${server('missing/app')}server login failed: FATAL database "not_there" does not exist$`);
  await logged(String.raw`LOG ${server('missing/app')}closing because: login failed \(age=\d+s\)$`);
});

test('every line has the form, and none is of another', () => {
  const lines = weir.output.split('\n').filter((line) => / \[\d+\] /.test(line));
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) expect(line).toMatch(new RegExp(`${stamp}(LOG|WARNING|ERROR|DEBUG) `));
  expect(weir.output).not.toMatch(/^\{/m);
});
