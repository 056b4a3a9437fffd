/**
 * A Wire over TCP and TLS gives every byte once and in order, stops when it is paused, and is closed once. Fails if a byte
 * is lost or a second `closed` comes.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer as createTcp } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as connectTls, createServer as createTls } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { CertificateAuthority } from '../../integration/harness/certs.ts';
import { until } from '../../integration/harness/until.ts';
import { TurnWriter } from '../../src/net/turn.ts';
import { Wire } from '../../src/net/wire.ts';

const { cert, key } = new CertificateAuthority().server();
const ways = {
  plain: {
    listen: (): Server => createTcp({ pauseOnConnect: true }),
    event: 'connection',
    dial: (port: number): Socket => connect(port, '127.0.0.1'),
  },
  TLS: {
    listen: (): Server => createTls({ cert, key }),
    event: 'secureConnection',
    dial: (port: number): Socket => connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }),
  },
} as const;

/** A wire on the accepted end of a connection, and what it was told. */
class End {
  readonly side = 'client';
  readonly chunks: Buffer[] = [];
  readonly closes: (Error | undefined)[] = [];
  drains = 0;
  mayRead = true;
  wire!: Wire;
  onChunk: (chunk: Buffer) => void = () => undefined;

  static of(socket: Socket, turn: TurnWriter): End {
    const end = new End();
    end.wire = new Wire(socket, end, turn);
    return end;
  }

  received(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.onChunk(chunk);
  }

  drained(): void {
    this.drains++;
  }

  closed(error: Error | undefined): void {
    this.closes.push(error);
  }

  allow(mayRead: boolean): void {
    this.mayRead = mayRead;
    this.wire.regulate();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

let clean: (() => void)[] = [];
afterEach(() => {
  for (const step of clean) step();
  clean = [];
});

describe.each(Object.entries(ways))('a wire over %s', (_way, { listen, event, dial }) => {
  /** As a log-in leaves it: paused, perhaps with bytes that have come already. */
  async function pair(turn = new TurnWriter(), early?: Buffer): Promise<{ near: Socket; far: Socket; end: End }> {
    const server = listen().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const far = dial((server.address() as AddressInfo).port);
    far.on('error', () => undefined);
    if (early !== undefined) far.write(early);
    const [near] = (await once(server, event)) as [Socket];
    near.pause();
    clean.push(() => {
      near.destroy();
      far.destroy();
      server.close();
    });
    return { near, far, end: End.of(near, turn) };
  }

  test('gives what came before it, then what was read ahead, then the rest', async () => {
    const { near, far, end } = await pair(new TurnWriter(), Buffer.from('second '));
    near.read(0);
    await until('it to be read ahead', () => near.readableLength === 7);
    end.wire.start(Buffer.from('first '));
    far.write('third');
    await until('all', () => end.bytes.toString() === 'first second third');
    expect(end.wire.receivedBytes).toBe(18);
  });

  test('keeps what it was given although others are read meanwhile', async () => {
    const turn = new TurnWriter();
    const pairs = await Promise.all(Array.from({ length: 8 }, () => pair(turn)));
    const sent = pairs.map(() => randomBytes(60_000));
    pairs.forEach(({ far, end }, i) => {
      end.wire.start(Buffer.alloc(0));
      const bytes = sent[i] as Buffer;
      for (let at = 0; at < bytes.length; at += 37 + i * 997) far.write(bytes.subarray(at, at + 37 + i * 997));
    });
    await until('all', () => pairs.every(({ end }) => end.wire.receivedBytes === 60_000));
    expect(pairs.map(({ end }, i) => end.bytes.equals(sent[i] as Buffer))).toEqual(pairs.map(() => true));
  });

  test('gives nothing while it is paused, and all of it afterwards', async () => {
    const { near, far, end } = await pair();
    const bytes = randomBytes(3_000_000);
    let pauses = 0;
    end.onChunk = (): void => {
      expect(end.wire.isPaused).toBe(false);
      if (++pauses % 3 !== 0) return;
      end.mayRead = false;
      setImmediate(() => end.allow(true));
    };
    end.wire.start(Buffer.alloc(0));
    end.allow(false);
    far.end(bytes);
    await until('the other end to be stuck', () => far.bytesWritten > 0 && near.isPaused());
    expect(end.chunks).toEqual([]);
    end.allow(true);
    await until('the end', () => end.closes.length > 0);
    expect(end.bytes.equals(bytes)).toBe(true);
    expect(end.closes).toEqual([undefined]);
  });

  test('is not read during SUSPEND', async () => {
    const turn = new TurnWriter();
    const { far, end } = await pair(turn);
    turn.suspension.begin();
    turn.suspension.stopReading('server');
    turn.suspension.stopReading('client');
    end.wire.start(Buffer.alloc(0));
    expect(end.wire.isReading).toBe(false);
    far.write('later');
    turn.suspension.end();
    end.wire.regulate();
    await until('the bytes', () => end.bytes.toString() === 'later');
  });

  test('is closed once when the peer ends, with what was sent before', async () => {
    const { far, end } = await pair();
    end.wire.start(Buffer.alloc(0));
    far.end('last words');
    await until('the end', () => end.closes.length > 0);
    far.destroy();
    expect(end.bytes.toString()).toBe('last words');
    expect(end.closes).toEqual([undefined]);
    expect(end.wire.isOpen).toBe(false);
  });

  test('is closed with the exception of its handler, and gives nothing more', async () => {
    const { far, end } = await pair();
    end.onChunk = (): void => {
      throw new Error('what is that?');
    };
    end.wire.start(Buffer.alloc(0));
    far.write('x');
    await until('the end', () => end.closes.length > 0);
    far.resume().write('y');
    await until('the peer to notice', () => far.closed);
    expect(end.closes).toMatchObject([{ message: 'what is that?' }]);
    expect(end.bytes.toString()).toBe('x');
  });

  test('sends nothing while it is held, and all of it in order afterwards', async () => {
    const { far, end } = await pair();
    const heard: Buffer[] = [];
    far.on('data', (chunk: Buffer) => heard.push(chunk));
    const text = (): string => Buffer.concat(heard).toString();
    end.wire.start(Buffer.alloc(0));
    end.wire.send(Buffer.from('before '));
    await until('what was sent before', () => text() === 'before ');
    const releases: (() => void)[] = [];
    const hold = (): void => end.wire.holdUntil(new Promise((resolve) => releases.push(resolve)));
    end.wire.send(Buffer.from('of this turn '));
    hold();
    hold();
    // More than is otherwise written before the turn ends.
    for (let i = 0; i < 3; i++) end.wire.send(Buffer.alloc(200_000, 'x'));
    end.wire.writeNow();
    expect([end.wire.isFull, end.wire.willDrain, end.wire.isDrained]).toEqual([true, true, false]);
    releases[0]!();
    for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => void setImmediate(resolve));
    expect(text()).toBe('before ');
    const drains = end.drains;
    releases[1]!();
    await until('the rest', () => text() === `before of this turn ${'x'.repeat(600_000)}`);
    await until('it to say that it is not full', () => end.drains > drains);
    end.wire.send(Buffer.from('after'));
    await until('what comes later', () => text().endsWith('xafter'));
  });

  test('that is held and ends has said everything; a hold of what is closed does nothing', async () => {
    const { far, end } = await pair();
    let text = '';
    far.on('data', (chunk: Buffer) => (text += chunk.toString()));
    end.wire.start(Buffer.alloc(0));
    let release: () => void = () => undefined;
    end.wire.holdUntil(new Promise((resolve) => (release = resolve)));
    end.wire.send(Buffer.from('answer, '));
    end.wire.end(Buffer.from('last words'));
    await until('all', () => text === 'answer, last words');
    release();
    await new Promise((resolve) => void setImmediate(resolve));
    expect(end.closes).toEqual([undefined]);
  });

  test.each([1, 2, 5])('is full of %i large pieces and says so when it is not any more', async (pieces) => {
    const { far, end } = await pair();
    end.wire.start(Buffer.alloc(0));
    far.resume();
    for (let round = 0; round < 3; round++) {
      const before = end.drains;
      // So much that it is full, and so little that the kernel may take all of it at once.
      for (let i = 0; i < pieces; i++) end.wire.send(Buffer.alloc(Math.ceil(300_000 / pieces)));
      if (pieces === 1) expect(end.wire.isFull).toBe(true);
      await until('it to say so', () => end.drains > before);
      expect(end.wire.isFull).toBe(false);
    }
  });

  test('says its last words before it ends', async () => {
    const { far, end } = await pair();
    end.wire.start(Buffer.alloc(0));
    const heard: Buffer[] = [];
    far.on('data', (chunk) => heard.push(chunk));
    end.wire.send(Buffer.from('a'));
    end.wire.end(Buffer.from('b'));
    await once(far, 'end');
    expect(Buffer.concat(heard).toString()).toBe('ab');
  });

  test('that ends soon says its last words to who reads', async () => {
    const { far, end } = await pair();
    end.wire.start(Buffer.alloc(0));
    const heard: Buffer[] = [];
    far.on('data', (chunk) => heard.push(chunk));
    end.wire.send(Buffer.from('a'));
    end.wire.endSoon(Buffer.from('b'));
    await once(far, 'end');
    expect(Buffer.concat(heard).toString()).toBe('ab');
    expect(end.closes).toEqual([undefined]);
  });

  test('that ends soon is cut off from who does not read', async () => {
    const { near, far, end } = await pair();
    end.wire.start(Buffer.alloc(0));
    far.pause();
    const megabyte = Buffer.alloc(2 ** 20);
    for (let sent = 0; sent < 40; sent++) end.wire.send(megabyte);
    await until('the kernel to take no more', () => end.wire.unsentBytes > 0 && !end.wire.hasPending);
    expect(end.wire.takenBytes + end.wire.unsentBytes).toBe(40 * 2 ** 20);
    end.wire.endSoon(Buffer.from('b'));
    expect(end.wire.isOpen).toBe(false);
    await until('it to be closed', () => near.destroyed);
  });
});
