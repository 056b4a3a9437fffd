/**
 * Weir listens on a Unix socket with the mode that is configured, and clears up what a crash has left. Fails if it takes the
 * socket of a process that is alive.
 */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UnixSocket } from '../../src/frontend/unix-socket.ts';
import { openUnixSocket } from '../../src/frontend/unix-socket.ts';

const port = 6432;
let dir = '';
let path = '';
let lock = '';
const opened: UnixSocket[] = [];
const others: Server[] = [];
let seen = 0;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-sock-'));
  path = join(dir, `.s.PGSQL.${port}`);
  lock = `${path}.lock`;
  seen = 0;
});
afterEach(async () => {
  for (const socket of opened.splice(0)) socket.close();
  for (const server of others.splice(0)) await new Promise((resolve) => server.close(resolve));
  rmSync(dir, { recursive: true, force: true });
});

async function open(mode = 0o777): Promise<UnixSocket> {
  const onConnection = (socket: Socket): void => {
    seen++;
    socket.end('hello');
  };
  const socket = await openUnixSocket({ dir, port, mode, onConnection, onError: () => undefined });
  opened.push(socket);
  return socket;
}

const hello = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ path }).setEncoding('utf8');
    let text = '';
    socket.on('data', (chunk: string) => (text += chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });

/** Something else that listens there. */
async function listenAt(where: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen({ path: where }, resolve));
  others.push(server);
  return server;
}

describe('a Unix socket', () => {
  it('is there with its lock and its permissions, and gone afterwards', async () => {
    const socket = await open(0o770);
    expect(socket.path).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o770);
    expect(readdirSync(dir).sort()).toEqual(['.s.PGSQL.6432', '.s.PGSQL.6432.lock']);
    expect(await hello()).toBe('hello');
    expect(seen).toBe(1);
    socket.close();
    expect(readdirSync(dir)).toEqual([]);
  });

  it('has the lock of this process again after another one had taken it, but did not go on', async () => {
    const socket = await open();
    writeFileSync(lock, `${process.ppid}\n`);
    socket.claim();
    expect(readFileSync(lock, 'utf8')).toBe(`${process.pid}\n`);
    socket.close();
    expect(readdirSync(dir)).toEqual([]);
  });

  it('of somebody who listens is left alone', async () => {
    await listenAt(path);
    await expect(open()).rejects.toThrow(`cannot listen on ${path}: another process listens there`);
    expect(existsSync(path)).toBe(true);
    expect(existsSync(lock)).toBe(false);
  });

  it('of a process that is about to listen is left alone', async () => {
    // As PostgreSQL writes it. Our parent is alive.
    writeFileSync(lock, `${process.ppid}\n/var/lib/postgresql\n1700000000\n6432\n${dir}\n`);
    await expect(open()).rejects.toThrow(`process ${process.ppid} has locked it`);
    expect(existsSync(lock)).toBe(true);
  });

  it.each([
    ['a process that is gone', '4194305\n'],
    ['ourselves, under the same id in another life', `${process.pid}\n`],
    ['nobody', ''],
    ['nonsense', 'nonsense\n'],
  ])('with the lock of %s is taken over', async (_who, text) => {
    writeFileSync(lock, text);
    writeFileSync(path, 'a file that is no socket');
    await open();
    expect(await hello()).toBe('hello');
  });

  it('that nobody listens on is taken over, even if its lock has the id of another process by now', async () => {
    const crashed = await open();
    writeFileSync(lock, `${process.ppid}\n`);
    const longAgo = new Date(Date.now() - 3_600_000);
    utimesSync(lock, longAgo, longAgo);
    opened.pop();
    rmSync(path);
    crashed.close();
    expect(existsSync(lock)).toBe(true);
    await open();
    expect(await hello()).toBe('hello');
  });

  it('that somebody has put in its place stays', async () => {
    const socket = await open();
    rmSync(path);
    await listenAt(path);
    socket.close();
    expect(existsSync(path)).toBe(true);
  });

  it('in a directory that is not there, or too deep, says so', async () => {
    rmSync(dir, { recursive: true });
    await expect(open()).rejects.toThrow(/cannot listen on .*change "unix_socket_dir" or "listen"/);
    dir = mkdtempSync(join(tmpdir(), `weir-sock-${'x'.repeat(90)}`));
    await expect(open()).rejects.toThrow('the path is too long for a socket');
  });
});
