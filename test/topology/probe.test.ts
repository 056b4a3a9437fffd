/** A connection of the monitor that has ended leaves nothing behind. Fails if a listener stays. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { getEventListeners, once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createPgConnect } from '../../src/topology/probe.ts';
import { noTls, nodeConfig } from './fixtures.ts';

describe('connections of the monitor', () => {
  test('one that has ended leaves no listener on the signal that would have ended it', async () => {
    let accepted = 0;
    const server = createServer((socket) => {
      accepted++;
      socket.on('error', () => socket.destroy());
      socket.once('data', () => socket.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const connect = createPgConnect(
      { tls: noTls, databaseName: 'app', connectTimeoutMs: 60_000, queryTimeoutMs: 60_000 },
      { user: 'weir', password: 'secret' },
    );
    const node = nodeConfig('primary', { host: '127.0.0.1', port });
    const { signal } = new AbortController();
    for (let round = 0; round < 12; round++) {
      await expect(connect(node, () => undefined, signal)).rejects.toThrow();
    }
    server.close();
    await once(server, 'close');
    expect(accepted).toBe(12);
    await expect.poll(() => getEventListeners(signal, 'abort').length).toBe(0);
  });
});
