/**
 * Who has not proven who he is takes nobody's place: connections that never log in, from one address or several, do not keep
 * clients out, and are gone after client_login_timeout. To see it fail: take the place at StartupMessage.
 */
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { startupMessage } from '../src/protocol/write.ts';
import {
  closeClients,
  connectPg,
  startTestWeir,
  until,
  useCluster,
  users,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

const cluster = useCluster();
const sockets: Socket[] = [];
let weir: TestWeir;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await closeClients();
  await weir.stop();
});

interface Stranger {
  readonly socket: Socket;
  /** What Weir has said to it. */
  heard: string;
  isClosed: boolean;
}

/** Somebody who connects, perhaps says who he wants to be, and then nothing. */
async function stranger(localAddress: string, says: boolean): Promise<Stranger> {
  const socket = connect({ port: weir.port, host: '127.0.0.1', localAddress });
  sockets.push(socket);
  const one: Stranger = { socket, heard: '', isClosed: false };
  socket.setEncoding('latin1').on('data', (text: string) => (one.heard += text));
  socket.on('error', () => undefined).on('close', () => (one.isClosed = true));
  await new Promise((resolve) => socket.once('connect', resolve));
  if (says) {
    socket.write(startupMessage({ user: users.app, database: 'postgres' }));
    await until('the question for a password', () => one.heard.startsWith('R'));
  }
  return one;
}

test('strangers keep no client out, however many they are', async () => {
  weir = await startTestWeir(weirConfig(cluster, {}, { max_client_conn: 20, max_client_logins: 50 }));
  for (let i = 0; i < 25; i++) await stranger('127.0.0.1', true);
  for (let i = 0; i < 40; i++) await stranger('127.0.0.1', false);
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectPg(weir.url())));
  await expect(connectPg(weir.url())).rejects.toMatchObject({ code: '53300' });
  for (const client of clients) expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('beyond max_client_logins the address with most of them gives way, its oldest first, and is told', async () => {
  weir = await startTestWeir(weirConfig(cluster, {}, { max_client_logins: 12 }));
  const quiet = await stranger('127.0.0.2', true);
  const crowd: Stranger[] = [];
  for (let i = 0; i < 35; i++) crowd.push(await stranger('127.0.0.1', true));
  const open = (): Stranger[] => crowd.filter(({ isClosed }) => !isClosed);
  await until('the others to be gone', () => open().length <= 11);
  for (const { heard } of crowd.filter(({ isClosed }) => isClosed)) expect(heard).toContain('53300');
  expect(quiet.isClosed).toBe(false);
  // Of several workers, each has its part of them, and ends the oldest of its own.
  if (workersOfTests() === undefined) expect(open()).toEqual(crowd.slice(24));
  else expect(open()).toHaveLength(11);
  await (await connectPg(weir.url())).query('SELECT 1');
});

test('client_login_timeout ends what does not log in, and a reload changes it', async () => {
  weir = await startTestWeir(weirConfig(cluster, {}, { client_login_timeout: '300ms' }));
  const [silent, asked] = [await stranger('127.0.0.1', false), await stranger('127.0.0.1', true)];
  await until('both to be gone', () => silent.isClosed && asked.isClosed);
  expect(silent.heard + asked.heard).toMatch(/log-in.*0\.3/s);
  const console = await connectPg(weir.adminUrl());
  expect((await console.query("SET client_login_timeout = '1h'")).command).toBe('SET');
});
