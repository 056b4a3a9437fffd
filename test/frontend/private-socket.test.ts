/**
 * Whether a Unix socket can be reached only by the system user of this process, seen from the permissions of files.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isPrivateSocket } from '../../src/frontend/private-socket.ts';

const root = mkdtempSync(join(tmpdir(), 'weir-private-'));
const dir = join(root, 'sockets');
const path = join(dir, '.s.PGSQL.6432');
let server: Server;

beforeAll(async () => {
  mkdirSync(dir);
  server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
});

afterAll(() => {
  server.close();
  rmSync(root, { recursive: true });
});

const withModes = (above: number, own: number, socket: number): boolean => {
  chmodSync(root, above);
  chmodSync(dir, own);
  chmodSync(path, socket);
  return isPrivateSocket(dir, 6432);
};

it.each([
  [0o755, 0o755, 0o777, false],
  [0o755, 0o755, 0o700, true],
  [0o755, 0o700, 0o777, true],
  [0o700, 0o755, 0o777, true],
  [0o755, 0o710, 0o777, false],
  [0o711, 0o755, 0o770, false],
])('%o/%o/%o: %s', (above, own, socket, expected) => {
  expect(withModes(above, own, socket)).toBe(expected);
});

it('is not the case for a socket that is not there, or is another file', () => {
  expect(withModes(0o700, 0o700, 0o700)).toBe(true);
  expect(isPrivateSocket(dir, 5432)).toBe(false);
  symlinkSync(path, join(dir, '.s.PGSQL.5432'));
  expect(isPrivateSocket(dir, 5432)).toBe(false);
});

it('a link to a directory is judged by where it leads', () => {
  chmodSync(root, 0o755);
  chmodSync(dir, 0o755);
  chmodSync(path, 0o777);
  const inside = join(root, 'ours');
  mkdirSync(inside, { mode: 0o700 });
  symlinkSync(dir, join(inside, 'link'));
  expect(isPrivateSocket(join(inside, 'link'), 6432)).toBe(false);
});
