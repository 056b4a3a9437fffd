/**
 * The servers of `listen` and listen_addresses: all on one port, also if any free one will do; none for a Unix socket only.
 */
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import { TcpServers } from '../../src/frontend/tcp-servers.ts';

const accepted: string[] = [];
const fail = (error: Error): void => {
  throw error;
};
const servers = new TcpServers(() =>
  createServer((socket) => {
    accepted.push(socket.localAddress ?? '');
    socket.end();
  }),
);

afterEach(() => {
  servers.close();
  accepted.length = 0;
});

const listen = { host: '127.0.0.1', port: 0 };

it('listens on each address', async () => {
  await servers.open({ listen, addresses: ['127.0.0.1', '127.0.0.2'] }, fail);
  const { host, port } = servers.address() ?? { host: '', port: 0 };
  expect(host).toBe('127.0.0.1');
  expect(port).toBeGreaterThan(0);
  for (const each of ['127.0.0.1', '127.0.0.2']) {
    await new Promise((resolve) => connect({ host: each, port }).resume().on('close', resolve));
  }
  expect(accepted).toEqual(['127.0.0.1', '127.0.0.2']);
});

it('listens once on what is named twice', async () => {
  await servers.open({ listen, addresses: ['127.0.0.1', '127.0.0.1'] }, fail);
  expect(servers.all()).toHaveLength(1);
});

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'));

it.runIf(hasIpv6)('listens on all addresses of IPv4 and on all of IPv6', async () => {
  await servers.open({ listen, addresses: ['0.0.0.0', '::'] }, fail);
  expect(servers.all()).toHaveLength(2);
});

it('listens on that of listen, or on none', async () => {
  await servers.open({ listen }, fail);
  expect(servers.all()).toHaveLength(1);
  servers.close();
  await servers.open({ listen, addresses: [] }, fail);
  expect([servers.all(), servers.address()]).toEqual([[], undefined]);
});

it('an address that cannot be had is an error that says what to do', async () => {
  const taken = new TcpServers(() => createServer());
  await taken.open({ listen }, fail);
  const { port } = taken.address() ?? { port: 0 };
  await expect(servers.open({ listen: { ...listen, port } }, fail)).rejects.toThrow('another process listens there');
  taken.close();
});
