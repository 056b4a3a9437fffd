/** Keys from which other Weirs read whose client a CancelRequest is for, and to whom such a request is passed on. */
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Clients } from '../../src/app/clients.ts';
import { hopsLeft, numberOf, numbersOfPeer, passedOn, peerOf } from '../../src/app/peer-key.ts';
import { Peers } from '../../src/app/peers.ts';
import type { PeerAddress } from '../../src/config/peers.ts';
import { defaults } from '../config/defaults.ts';

const key = (id: number, secret: Buffer): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(id);
  return Buffer.concat([bytes, secret]);
};

describe('the key of a client', () => {
  it('has the peer_id in bytes 1 and 2, the smaller part first, and 3 in the last bits of byte 7, as that of PgBouncer', () => {
    const clients = new Clients(undefined, undefined, 0x1234);
    const { id, secret } = clients.register(0);
    const bytes = key(id, secret);
    expect([bytes.length, bytes[1], bytes[2], (bytes[7] ?? 0) & 3]).toEqual([8, 0x34, 0x12, 3]);
    expect([peerOf(id), hopsLeft(secret), (bytes[0] ?? 0) >= 1 && (bytes[0] ?? 0) <= 127]).toEqual([0x1234, 3, true]);
  });

  it('is another one for each, also for those of several workers, and for more clients than there are such numbers', () => {
    const both = [0, 1].map((from) => new Clients(undefined, { every: 2, from }, 7));
    const ids = both.flatMap((clients) => Array.from({ length: 17_000 }, () => clients.register(0).id));
    expect(new Set(ids).size).toBe(34_000);
    expect(ids.filter((id) => peerOf(id) === 7 && id >= 2 ** 24).length).toBeGreaterThanOrEqual(numbersOfPeer);
    expect(Math.min(...ids)).toBeGreaterThan(2 ** 22);
    expect(Math.max(...ids)).toBeLessThan(2 ** 31);
  });

  it('fits whatever number it is', () => {
    for (const peerId of [1, 255, 256, 16_383])
      for (const order of [0, 255, 256, numbersOfPeer - 1]) {
        const id = numberOf(order, peerId);
        expect([peerOf(id), id > 2 ** 22, id < 2 ** 31]).toEqual([peerId, true, true]);
      }
  });

  it('cancels after it was passed on, and no other key does', () => {
    const clients = new Clients(undefined, undefined, 3);
    const { id, secret } = clients.register(0);
    const cancels = (given: Buffer): boolean => clients.cancel(id, given, () => undefined);
    expect([cancels(secret), cancels(passedOn(secret)), cancels(passedOn(passedOn(secret)))]).toEqual([
      true,
      true,
      true,
    ]);
    const wrong = Buffer.from(secret);
    wrong[3] = (wrong[3] ?? 0) ^ 4;
    expect([cancels(wrong), cancels(secret.subarray(0, 3))]).toEqual([false, false]);
    // Without peer_id, each bit counts.
    const alone = new Clients();
    const own = alone.register(0);
    const other = Buffer.from(own.secret);
    other[3] = (other[3] ?? 0) ^ 1;
    expect(alone.cancel(own.id, other, () => undefined)).toBe(false);
  });
});

describe('a CancelRequest for a client of another Weir', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  });

  /** Notes what it is told, and closes the connection. */
  async function peer(heard: Buffer[]): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (bytes) => {
        heard.push(bytes);
        socket.end();
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  function weir(peerId: number, peers: readonly PeerAddress[]): { peers: Peers; outcomes: string[] } {
    const outcomes: string[] = [];
    const tls = { ...defaults.tls, server: { ...defaults.tls.server, mode: 'disable' as const } };
    const config = { ...defaults, tls, peerId, peers };
    const made = new Peers({
      config: () => config,
      log: () => undefined,
      count: (outcome) => void outcomes.push(outcome),
    });
    return { peers: made, outcomes };
  }
  const secret = Buffer.from([1, 2, 3, 0xff]);
  const at = (id: number, port: number): PeerAddress => ({ id, host: '127.0.0.1', port });

  it('is passed on with one hop less', async () => {
    const heard: Buffer[] = [];
    const { peers, outcomes } = weir(1, [at(2, await peer(heard))]);
    const id = numberOf(5, 2);
    await peers.passOn(id, secret);
    expect(outcomes).toEqual(['passed_on']);
    expect(heard.map((bytes) => bytes.subarray(4, 8).readInt32BE())).toEqual([80_877_102]);
    expect(heard[0]?.subarray(8)).toEqual(key(id, Buffer.from([1, 2, 3, 0xfe])));
  });

  it('is not when it has no hop left, when nobody is its peer, or when it is for this one', async () => {
    const heard: Buffer[] = [];
    const { peers, outcomes } = weir(1, [at(1, 1), at(2, await peer(heard))]);
    await peers.passOn(numberOf(5, 2), Buffer.from([1, 2, 3, 0xfc]));
    await peers.passOn(numberOf(5, 3), secret);
    await peers.passOn(numberOf(5, 1), secret);
    const off = weir(0, [at(2, 1)]);
    await off.peers.passOn(numberOf(5, 2), secret);
    expect([heard, outcomes, off.outcomes]).toEqual([[], ['expired', 'unknown'], []]);
  });

  it('whose peer cannot be reached has failed', async () => {
    const { peers, outcomes } = weir(1, [at(2, 1)]);
    await peers.passOn(numberOf(5, 2), secret);
    expect(outcomes).toEqual(['failed']);
  });
});
