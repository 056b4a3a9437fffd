/**
 * Clients that are gone in the middle of what they say, against real PostgreSQL: behind every message of a session and in
 * the middle of each, in COPY, in a transaction, in TLS and log-in. What they began is undone, and their place is free.
 */
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { describe as describeMessage, query, sslRequest, startupMessage, sync } from '../src/protocol/write.ts';
import { bind, copyData, copyDone, execute, parseText } from '../test/fuzz/frames.ts';
import {
  CertificateAuthority,
  closeClients,
  connectPg,
  currentRun,
  RawClient,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const dir = mkdtempSync(join(currentRun().dir, 'tls-'));
  const { cert, key } = new CertificateAuthority().server();
  writeFileSync(join(dir, 'cert.pem'), cert);
  writeFileSync(join(dir, 'key.pem'), key, { mode: 0o600 });
  const client = { mode: 'prefer', cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
  const pool = { default_pool_size: 2, max_pool_size: 2, resize: { enabled: false } };
  const config = { ...pool, auth: { type: 'trust' }, tls: { client } };
  weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, config));
  await cluster.query('CREATE TABLE line (id int)', { database });
  await cluster.query('ALTER TABLE line OWNER TO app', { database });
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

/** Nobody is left, and both servers serve whoever comes next. */
async function expectWhole(): Promise<void> {
  const console = await connectPg(weir.adminUrl());
  const clients = async (): Promise<{ database: string }[]> => (await console.query('SHOW CLIENTS')).rows;
  await until('the clients to be gone', async () => (await clients()).every((client) => client.database !== database));
  await console.end();
  const isBusy = `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND state <> 'idle'`;
  await until('the servers to be idle', async () => {
    return (await cluster.query(isBusy, { values: [database, users.app] })).length === 0;
  });
  const two = await Promise.all([1, 2].map(() => connectPg(weir.url({ database }))));
  for (const client of two) await client.query('BEGIN');
  for (const client of two)
    expect((await client.query('SELECT count(*)::int AS n FROM line')).rows).toEqual([{ n: 0 }]);
  for (const client of two) await client.query('COMMIT');
  for (const client of two) await client.end();
}

/** None of it commits. */
const session: readonly Buffer[] = [
  query('BEGIN'),
  parseText('s', 'INSERT INTO line VALUES (1)'),
  bind('', 's'),
  describeMessage('P', ''),
  execute(''),
  sync,
  query('SAVEPOINT s; LISTEN news; CREATE TEMP TABLE gone (id int)'),
  query('COPY line FROM STDIN'),
  copyData(Buffer.from('2\n')),
  copyDone,
  query('COPY (SELECT generate_series(1, 100000)) TO STDOUT'),
  query("SELECT pg_advisory_lock(1), set_config('work_mem', '5MB', false)"),
];

describe('a client that is gone', () => {
  test.each([
    { when: 'at once', patience: (): boolean => true },
    {
      when: 'when it has heard something',
      patience: (client: RawClient, before: number) => client.receivedBytes > before,
    },
  ])('behind every message and in the middle of each, $when', async ({ patience }) => {
    for (let count = 1; count <= session.length; count++) {
      for (const cut of [0, 3, 6]) {
        const client = await RawClient.connect(weir, { user: users.app, database });
        const next = session[count] ?? query('SELECT 1');
        const before = client.receivedBytes;
        await client.send(Buffer.concat([...session.slice(0, count), next.subarray(0, cut)]));
        await until('its answer', () => patience(client, before));
        client.end();
      }
    }
    await expectWhole();
  });

  test('in the middle of a long COPY, and of a result that it does not read', async () => {
    const copies = await RawClient.connect(weir, { user: users.app, database });
    await copies.send(query('COPY line FROM STDIN'));
    for (let i = 0; i < 50; i++) await copies.send(copyData(Buffer.from('3\n'.repeat(10_000))));
    const reads = await RawClient.connect(weir, { user: users.app, database });
    const before = reads.receivedBytes;
    await reads.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"));
    await until('rows', () => reads.receivedBytes > before);
    copies.end();
    reads.end();
    await expectWhole();
  });

  test('during TLS and log-in', async () => {
    const hello = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
    const startup = startupMessage({ user: users.app, database });
    const openings = [sslRequest.subarray(0, 5), sslRequest, startup.subarray(0, 9), startup];
    for (const bytes of openings) (await open(bytes)).destroy();
    const hanging = await open(sslRequest);
    await new Promise((resolve) => hanging.once('data', resolve));
    hanging.write(hello, () => hanging.destroy());
    for (const bytes of [
      Buffer.alloc(0),
      startup.subarray(0, 9),
      startup,
      Buffer.concat([startup, ...session.slice(0, 4)]),
    ]) {
      const plain = await open(sslRequest);
      await new Promise((resolve) => plain.once('data', resolve));
      const secure = connectTls({ socket: plain, rejectUnauthorized: false });
      secure.on('error', () => undefined);
      await new Promise((resolve) => secure.once('secureConnect', resolve));
      await new Promise((resolve) => secure.write(bytes, resolve));
      plain.destroy();
    }
    await expectWhole();
  });
});

async function open(bytes: Buffer): Promise<Socket> {
  const socket = connectTcp(weir.port, weir.host);
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  await new Promise((resolve) => socket.write(bytes, resolve));
  return socket;
}
