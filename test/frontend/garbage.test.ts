/**
 * More than 100,000 random, mutated and cut-off log-ins at the door. Every one must end in an ErrorResponse, a close or
 * a log-in, none may take the process, a place or memory with it, and the next good client must be served.
 * Most run in process over streams; some thousand over real sockets.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { createAcceptor } from '../../src/frontend/client-acceptor.ts';
import type { ClientAcceptor } from '../../src/frontend/client-acceptor.ts';
import { Request } from '../../src/protocol/codes.ts';
import { cancelRequest, query, sslRequest, startupMessage, strings } from '../../src/protocol/write.ts';
import { RawClient, doorOptions, gssEncRequest, newRecord, packet, passwordMessage, startFixture } from './fixture.ts';

const sasl = (text: string, mechanism = 'SCRAM-SHA-256'): Buffer => {
  const data = Buffer.from(text);
  return passwordMessage(Buffer.concat([strings(mechanism), Buffer.from([0, 0, 0, data.length]), data]));
};

/** Messages that the door knows, from which mutants are made. */
const known: readonly Buffer[] = [
  sslRequest,
  gssEncRequest,
  startupMessage({ user: 'ann', database: 'shop' }),
  startupMessage({ user: 'ann', database: 'weir', options: '-c a=b' }),
  startupMessage({ user: 'nobody', replication: 'true' }),
  packet(Request.protocol32, strings('user', 'ann', '_pq_.x', 'y', '')),
  packet(Request.protocol30 + 9999, strings('user', 'ann', '_pq_.x', 'y', '_pq_.x', 'z', '')),
  startupMessage({ user: 'ann', database: 'shop', replication: 'database' }),
  startupMessage({ user: 'ann', replication: 'maybe' }),
  packet(131072, strings('old')),
  Buffer.from('16030100c8010000c40303', 'hex'),
  cancelRequest(1, Buffer.from([1, 2, 3, 4])),
  cancelRequest(1, Buffer.alloc(32, 1)),
  cancelRequest(1, Buffer.alloc(256, 1)),
  passwordMessage(strings('secret')),
  sasl('n,,n=,r=abcdef'),
  sasl('y,,n=,r=abcdef'),
  sasl('p=tls-server-end-point,,n=,r=abcdef', 'SCRAM-SHA-256-PLUS'),
  passwordMessage(Buffer.from('c=biws,r=abcdef,p=AAAA')),
  query('SELECT 1'),
  Buffer.from('GET / HTTP/1.0\r\n\r\n'),
];

type Cut = { readonly at: number; readonly byte: number; readonly how: 'change' | 'drop' | 'insert' | 'end' };

function mutate(bytes: Buffer, cuts: readonly Cut[]): Buffer {
  let out = bytes;
  for (const { at, byte, how } of cuts) {
    const place = out.length === 0 ? 0 : at % out.length;
    const [before, after] = [out.subarray(0, place), out.subarray(place)];
    if (how === 'end') out = before;
    else if (how === 'insert') out = Buffer.concat([before, Buffer.from([byte]), after]);
    else if (how === 'drop') out = Buffer.concat([before, after.subarray(1)]);
    else out = Buffer.concat([before, Buffer.from([byte]), after.subarray(1)]);
  }
  return out;
}

const cut: fc.Arbitrary<Cut> = fc.record({
  at: fc.nat(400),
  byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)),
  how: fc.constantFrom('change', 'change', 'drop', 'insert', 'end'),
});
const mutant = fc
  .tuple(fc.array(fc.constantFrom(...known), { minLength: 1, maxLength: 4 }), fc.array(cut, { maxLength: 4 }))
  .map(([messages, cuts]) => mutate(Buffer.concat(messages), cuts));
const random = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
const attack = fc.record({
  bytes: fc.oneof({ weight: 4, arbitrary: mutant }, { weight: 1, arbitrary: random }),
  /** Where the chunks end. */
  splits: fc.array(fc.nat(200), { maxLength: 3 }),
});
type Attack = typeof attack extends fc.Arbitrary<infer T> ? T : never;

function* chunksOf({ bytes, splits }: Attack): Generator<Buffer> {
  let from = 0;
  for (const to of [...splits.map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b), bytes.length]) {
    if (to > from) yield bytes.subarray(from, to);
    from = Math.max(from, to);
  }
}

/** As much of a net.Socket as the door sees. */
class FakeSocket extends Duplex {
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 1;
  saidBytes = 0;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.saidBytes += chunk.length;
    done();
  }
}

/** The client says all this and leaves; resolves when the door is done with it. */
async function attackOnce(door: ClientAcceptor, one: Attack): Promise<FakeSocket> {
  const socket = new FakeSocket({ allowHalfOpen: false });
  const isClosed = new Promise<void>((resolve) => socket.once('close', resolve));
  door.accept(socket as unknown as Socket, 'plain');
  for (const chunk of chunksOf(one)) socket.push(chunk);
  // Not at once: some of them are let in.
  setImmediate(() => socket.push(null));
  await isClosed;
  return socket;
}

const authTypes = ['trust', 'md5', 'scram-sha-256', 'cert'] as const;

describe('garbage at the door', () => {
  it('in process: 104,000 log-ins', { timeout: 120_000 }, async () => {
    const seen = newRecord();
    const unexpected: string[] = [];
    let refused = 0;
    let handedOver = 0;
    const doors = authTypes.map((type) => {
      const { options, seats } = doorOptions(
        {
          auth: { type, users: (name) => (name === 'ann' ? 'secret' : undefined) },
          onClient: ({ socket }) => {
            handedOver++;
            socket.destroy();
          },
          onCancel: (_processId, _secret, done) => done(),
          onRefused: () => refused++,
          log: (_level, _event, message) => void (message.includes('internal error') && unexpected.push(message)),
        },
        seen,
      );
      return { door: createAcceptor(options), seats };
    });
    let longest = 0;
    let count = 0;
    let batches = 0;
    const property = fc.asyncProperty(fc.array(attack, { minLength: 260, maxLength: 260 }), async (attacks) => {
      const { door } = doors[batches % doors.length] as (typeof doors)[number];
      const sockets = await Promise.all(attacks.map((one) => attackOnce(door, one)));
      count += attacks.length;
      batches++;
      for (const { saidBytes } of sockets) longest = Math.max(longest, saidBytes);
    });
    await fc.assert(property, { numRuns: 400, endOnFailure: true });
    expect(count).toBeGreaterThanOrEqual(100_000);
    expect(unexpected).toEqual([]);
    expect(refused).toBeGreaterThan(10_000);
    expect(handedOver).toBeGreaterThan(1_000);
    // What it says is short, whatever it was told.
    expect(longest).toBeLessThan(4_096);
    for (const { door, seats } of doors) {
      expect(seats()).toBe(0);
      await door.close();
    }
  });
});

describe('over real sockets', () => {
  let fixture: Awaited<ReturnType<typeof startFixture>>;
  beforeAll(async () => {
    fixture = await startFixture({
      auth: { type: 'md5', users: () => 'secret' },
      tryEnter: () => true,
      leave: () => undefined,
    });
  });
  afterAll(() => fixture.stop());

  it('3,000 connections, and then a good one', { timeout: 60_000 }, async () => {
    const dial = (one: Attack): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect({ host: '127.0.0.1', port: fixture.port });
        socket.on('error', () => undefined);
        socket.on('close', () => resolve());
        socket.on('data', () => undefined);
        for (const chunk of chunksOf(one)) socket.write(chunk);
        socket.end();
      });
    const property = fc.asyncProperty(fc.array(attack, { minLength: 100, maxLength: 100 }), async (attacks) => {
      await Promise.all(attacks.map(dial));
    });
    await fc.assert(property, { numRuns: 30, endOnFailure: true });
    const good = (await RawClient.connect(fixture.port)).startup({ user: 'ann' });
    expect((await good.next()).body.readInt32BE(0)).toBe(5);
    good.close();
    await until('every connection to be forgotten', () => fixture.clients.every(({ socket }) => socket.destroyed));
    expect(fixture.logged.filter((line) => line.includes('internal error'))).toEqual([]);
  });

  it('a flood that nobody reads is not kept in memory', { timeout: 60_000 }, async () => {
    const flooder = await RawClient.connect(fixture.port);
    flooder.startup({ user: 'ann' });
    await flooder.next();
    const before = process.memoryUsage().arrayBuffers;
    // A password message of the largest size allowed, sent but for its last byte, again and again on new connections.
    const almost = Buffer.concat([Buffer.from([0x70, 0, 0, 0xff, 0xff]), Buffer.alloc(65_000)]);
    const all = await Promise.all(
      Array.from({ length: 50 }, async () => (await RawClient.connect(fixture.port)).startup({ user: 'ann' })),
    );
    for (const client of all) client.say(almost);
    await until('all of it to be sent', () => all.every(({ socket }) => socket.writableLength === 0));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 65_535 * 6);
    for (const client of [...all, flooder]) client.close();
  });
});
