/** A replication connection at every boundary of its messages: who hears what when either end goes, or Weir ends it. */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { TurnWriter } from '../../src/net/turn.ts';
import { Backend, Frontend } from '../../src/protocol/codes.ts';
import { readErrorFields } from '../../src/protocol/read.ts';
import { errorResponse, frame, query, readyForQuery, terminate } from '../../src/protocol/write.ts';
import { ReplicationSession } from '../../src/session/replication.ts';
import { socketPair } from '../fuzz/memory-socket.ts';

const greeting = frame(Backend.BackendKeyData, Buffer.alloc(8));
const start = query('START_REPLICATION 0/0');
const copyBoth = frame(Backend.CopyBothResponse, Buffer.from([0, 0, 0]));
const wal = (size: number): Buffer => frame(Backend.CopyData, Buffer.alloc(size, 0x77));

/** What an end has heard, and whether it was closed. */
class End {
  readonly socket: Socket;
  heard: Buffer = Buffer.alloc(0);
  isEnded = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => (this.heard = Buffer.concat([this.heard, chunk])));
    socket.on('end', () => (this.isEnded = true)).on('close', () => (this.isEnded = true));
  }

  async hears(bytes: Buffer): Promise<void> {
    await until('the bytes', () => this.heard.equals(bytes), { intervalMs: 1 }).catch((error) => {
      throw new Error(`${(error as Error).message}: ${this.heard.toString('latin1')}`);
    });
  }

  /** All that came before its end, with the SQLSTATE of an error at the end of it. */
  async end(): Promise<{ before: Buffer; sqlstate: string | undefined }> {
    await until('the end', () => this.isEnded, { intervalMs: 1 });
    for (let at = 0; at < this.heard.length; at += 1 + this.heard.readInt32BE(at + 1)) {
      if (at + 5 > this.heard.length || at + 1 + this.heard.readInt32BE(at + 1) > this.heard.length) break;
      if (this.heard[at] !== Backend.ErrorResponse) continue;
      const sqlstate = readErrorFields(this.heard, at + 5, this.heard.length).get('C');
      return { before: this.heard.subarray(0, at), sqlstate };
    }
    return { before: this.heard, sqlstate: undefined };
  }
}

interface World {
  readonly session: ReplicationSession;
  readonly client: End;
  readonly server: End;
  readonly cancels: () => number;
  readonly closed: string[];
}

const worlds: World[] = [];
afterEach(() => {
  for (const { client, server } of worlds.splice(0)) for (const { socket } of [client, server]) socket.destroy();
});

function open(leftover: Buffer = Buffer.alloc(0)): World {
  const [clientEnd, clientSocket] = socketPair();
  const [serverEnd, serverSocket] = socketPair();
  const node = { name: 'primary', host: 'db', port: 5432, database: undefined, weight: 1 };
  const link = {
    socket: serverSocket,
    leftover: Buffer.alloc(0),
    notices: [],
    parameters: new Map<string, string>(),
    processId: 4,
    secretKey: Buffer.alloc(4),
    hasTls: false,
  };
  const closed: string[] = [];
  let cancels = 0;
  const identity = { id: 1, user: 'u', remoteAddress: '', remotePort: 0, hasTls: false, connectedAtMs: 0 };
  const session = new ReplicationSession(clientSocket, {
    identity: { ...identity, secret: Buffer.alloc(4) },
    kind: 'physical',
    database: 'shop',
    applicationName: 'x',
    server: { id: 1, node: { ...node, user: undefined, password: undefined }, user: 'u', link },
    turn: new TurnWriter(),
    nowMs: () => 0,
    cancel: () => Promise.resolve(void cancels++),
    whyGone: () => Promise.resolve(undefined),
    onClosed: (_session, why) => closed.push(why),
  });
  const world = { session, client: new End(clientEnd), server: new End(serverEnd), cancels: () => cancels, closed };
  worlds.push(world);
  session.start(greeting, leftover);
  return world;
}

const shuttingDown = new WeirError('shutting_down');

describe('a stream', () => {
  it('is passed on both ways, whatever the chunks are', async () => {
    const down = Buffer.concat([copyBoth, wal(0), wal(10), wal(300), readyForQuery('I')]);
    const up = Buffer.concat([start, frame(Frontend.CopyData, Buffer.alloc(34)), frame(Frontend.CopyDone)]);
    for (const size of [1, 2, 3, 5, 7, 64, 10_000]) {
      const { client, server } = open();
      for (let at = 0; at < up.length; at += size) client.socket.write(up.subarray(at, at + size));
      for (let at = 0; at < down.length; at += size) server.socket.write(down.subarray(at, at + size));
      await server.hears(up);
      await client.hears(Buffer.concat([greeting, down]));
    }
  });

  it('goes on with what the client sent ahead', async () => {
    const { server } = open(start);
    await server.hears(start);
  });

  it('a message of a megabyte is passed on before it has ended', async () => {
    const { client, server } = open();
    const large = wal(1_000_000);
    server.socket.write(large.subarray(0, 100_000));
    await until('the first part', () => client.heard.length === greeting.length + 100_000, { intervalMs: 1 });
    server.socket.write(large.subarray(100_000));
    await client.hears(Buffer.concat([greeting, large]));
  });
});

const conversation = Buffer.concat([copyBoth, wal(0), wal(20), wal(3)]);
const boundaries = new Set<number>([0]);
for (let at = 0; at < conversation.length;) boundaries.add((at += 1 + conversation.readInt32BE(at + 1)));

describe('at every byte of it', () => {
  it('the server goes: the client hears everything, and why if nothing is left open', async () => {
    for (let cut = 0; cut <= conversation.length; cut++) {
      const { client, server, closed } = open();
      client.socket.write(start);
      await server.hears(start);
      server.socket.end(conversation.subarray(0, cut));
      const { before, sqlstate } = await client.end();
      // Of a header that is not whole nothing is passed on.
      const isOpen = !boundaries.has(cut) && before.length - greeting.length === cut;
      expect(sqlstate, `after ${cut} bytes`).toBe(isOpen ? undefined : '08006');
      const passed = before.length - greeting.length;
      expect(before.subarray(greeting.length)).toEqual(conversation.subarray(0, passed));
      expect(cut - passed).toBeLessThan(5);
      expect(closed).toHaveLength(1);
    }
  });

  it('Weir ends it: the message is finished first', async () => {
    for (let cut = 0; cut <= conversation.length; cut++) {
      const { session, client, server } = open();
      client.socket.write(start);
      await server.hears(start);
      server.socket.write(conversation.subarray(0, cut));
      await until('it to arrive', () => client.heard.length + 5 > greeting.length + cut, { intervalMs: 1 });
      session.terminate(shuttingDown);
      session.terminate(shuttingDown);
      server.socket.write(conversation.subarray(cut));
      const { before, sqlstate } = await client.end();
      expect(sqlstate, `after ${cut} bytes`).toBe('57P01');
      expect([...boundaries]).toContain(before.length - greeting.length);
      await server.end();
    }
  });

  it('the client goes: the walsender is told so, if it can be', async () => {
    const up = Buffer.concat([start, frame(Frontend.CopyData, Buffer.alloc(10))]);
    for (let cut = 0; cut <= up.length; cut++) {
      const { client, server, closed } = open();
      client.socket.end(up.subarray(0, cut));
      await until('the end', () => server.isEnded, { intervalMs: 1 });
      await until('it to be noticed', () => closed.length === 1, { intervalMs: 1 });
      expect(server.heard.equals(Buffer.concat([up.subarray(0, cut), terminate]))).toBe(cut === 0);
    }
  });
});

describe('what is going on', () => {
  it('a command that is being answered is cancelled when its client goes; a stream is ended', async () => {
    const busy = open();
    busy.client.socket.write(start);
    await busy.server.hears(start);
    busy.client.socket.end();
    await busy.server.end();
    expect([busy.cancels(), busy.server.heard]).toEqual([1, start]);
    const streaming = open();
    streaming.client.socket.write(start);
    streaming.server.socket.write(copyBoth);
    await streaming.client.hears(Buffer.concat([greeting, copyBoth]));
    await streaming.server.hears(start);
    expect(streaming.session.isIdle).toBe(true);
    streaming.client.socket.end();
    await streaming.server.hears(Buffer.concat([start, terminate]));
    expect(streaming.cancels()).toBe(0);
  });

  it('a cancel is passed on only while there is something to cancel', async () => {
    const { session, client, server, cancels } = open();
    let done = 0;
    session.cancel(() => done++);
    expect([done, cancels()]).toEqual([1, 0]);
    client.socket.write(start);
    await server.hears(start);
    expect(session.isIdle).toBe(false);
    session.cancel(() => done++);
    await until('it to be done', () => done === 2, { intervalMs: 1 });
    expect(cancels()).toBe(1);
  });

  it('the server’s own farewell is the last word', async () => {
    const { client, server } = open();
    const farewell = errorResponse({ severity: 'FATAL', sqlstate: '57P01', message: 'terminating connection' });
    server.socket.end(Buffer.concat([copyBoth, farewell]));
    await client.hears(Buffer.concat([greeting, copyBoth, farewell]));
    expect((await client.end()).sqlstate).toBe('57P01');
  });

  it.each([
    ['server', '08P01'],
    ['client', '08P01'],
  ] as const)('garbage of the %s ends it with words', async (who, sqlstate) => {
    const world = open();
    world[who].socket.write(Buffer.from('d\0\0\0\x03not a message'));
    expect((await world.client.end()).sqlstate).toBe(sqlstate);
    await world.server.end();
    expect(world.closed).toHaveLength(1);
  });
});
