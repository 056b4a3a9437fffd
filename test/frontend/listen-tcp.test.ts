/**
 * `*` is every address of the machine, those of IPv6 as well where it has it; a client of IPv4 has its IPv4 address.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import { hostPort } from '../../src/config/values.ts';
import { listenTcp } from '../../src/frontend/listen-tcp.ts';
import { addressOf } from '../../src/frontend/logins.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'));
const hosts = hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];

it.each(hosts)('* can be reached at %s', async (host) => {
  const parsed = hostPort().parse('*:0');
  if ('refused' in parsed) throw new Error(parsed.refused);
  const server = createServer();
  stops.push(() => server.close());
  await listenTcp(server, parsed.value, 'listen', () => undefined);
  const arrived = once(server, 'connection') as Promise<[Socket]>;
  const client = connect((server.address() as AddressInfo).port, host);
  stops.push(() => client.destroy());
  await once(client, 'connect');
  const [socket] = await arrived;
  stops.push(() => socket.destroy());
  expect(addressOf(socket)).toBe(host);
});
