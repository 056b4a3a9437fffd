/** The admin console over real drivers and raw messages, simple and extended. Fails if an answer breaks the protocol. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import pg from 'pg';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WeirError } from '../../src/errors/errors.ts';
import { Frontend } from '../../src/protocol/codes.ts';
import {
  describe as describeMessage,
  flush,
  frame,
  parse,
  query,
  startupMessage,
  strings,
  sync,
} from '../../src/protocol/write.ts';
import { startConsole } from './console-server.ts';
import type { ConsoleServer } from './console-server.ts';
import { fakeClient, fakeSources } from './fakes.ts';
import type { FakeSources } from './fakes.ts';

let sources: FakeSources;
let server: ConsoleServer;

beforeEach(async () => {
  sources = fakeSources();
  server = await startConsole(sources);
});
afterEach(() => server.close());

async function withPg<T>(use: (client: pg.Client) => Promise<T>, user = 'weir'): Promise<T> {
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, user, database: 'weir' });
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

describe('node-postgres', () => {
  it('reads tables in the simple and in the extended protocol alike', async () => {
    await withPg(async (client) => {
      const simple = await client.query('SHOW POOLS');
      const named = await client.query({ name: 'pools', text: 'SHOW POOLS;' });
      expect(simple.rows).toEqual(named.rows);
      expect(simple.rows[0]).toMatchObject({ database: 'shop', cl_waiting: '4', pool_mode: 'transaction' });
      expect(simple.command).toBe('SHOW');
      expect((await client.query('SHOW NODES')).rows[0]).toMatchObject({ slowdown: 1.25, lag_ms: 0 });
    });
  });

  it('runs commands, several at once, and hears notices', async () => {
    await withPg(async (client) => {
      const notices: (string | undefined)[] = [];
      client.on('notice', (notice) => notices.push(notice.message));
      const result = await client.query('RESIZE POOL shop.app MAX 40');
      expect(result.rows).toEqual([
        { database: 'shop', user: 'app', node: 'db1', before: '20', after: '40', min: '0', max: '40' },
      ]);
      await client.query('PAUSE shop; RESUME shop; RELOAD');
      expect(notices).toEqual(['listen cannot be changed while Weir runs']);
      expect(sources.asked.slice(1)).toEqual(['pause "shop"', 'resume "shop"', 'reload']);
      expect((await client.query('')).rows).toEqual([]);
    });
  });

  it('goes on after an error, in either protocol', async () => {
    await withPg(async (client) => {
      await expect(client.query('SHOW POLS')).rejects.toMatchObject({
        code: '42601',
        severity: 'ERROR',
        hint: 'SHOW HELP lists the commands of the admin console.',
      });
      await expect(client.query({ name: 'x', text: 'SHOW POLS' })).rejects.toMatchObject({ code: '42601' });
      await expect(client.query('RESUME nowhere')).rejects.toMatchObject({ code: '55000' });
      await expect(client.query('SELECT $1', ['x'])).rejects.toMatchObject({ code: '42601' });
      expect((await client.query('SHOW VERSION')).rows).toEqual([{ version: 'Weir 0.1.0' }]);
    });
  });

  it('lets stats users look but not touch, and others not in', async () => {
    await withPg(async (client) => {
      expect((await client.query('SHOW CLIENTS')).rows).toHaveLength(2);
      await expect(client.query('RELOAD')).rejects.toMatchObject({ code: '42501' });
      expect(sources.asked).toEqual([]);
    }, 'stats');
    await expect(withPg(() => Promise.resolve(), 'app')).rejects.toMatchObject({ code: '28000', severity: 'FATAL' });
  });

  it('fetches a large table through a slow reader whole', async () => {
    const many = Array.from({ length: 20_000 }, (_, id) => fakeClient({ id: id + 1 }));
    Object.assign(sources, { clients: () => many });
    await withPg(async (client) => {
      const result = await client.query('SHOW CLIENTS');
      expect(result.rows).toHaveLength(20_000);
      expect(result.rows.at(-1)).toMatchObject({ id: '20000' });
    });
  });
});

describe('postgres.js', () => {
  it('connects with its array types, asks and commands', async () => {
    const sql = postgres({ host: '127.0.0.1', port: server.port, user: 'weir', database: 'weir', max: 1 });
    try {
      const rows = await sql`SHOW DATABASES`;
      expect(rows[0]).toMatchObject({ name: 'shop', pool_size: '20' });
      await sql`INVALIDATE TABLE users`;
      await sql.unsafe('DRAIN db2');
      expect(sources.asked.at(-1)).toBe('setDraining "db2" true');
      await expect(sql`DRAIN db9`).rejects.toMatchObject({ code: '55000' });
      expect(await sql`select 1 as one`).toMatchObject([{ one: '1' }]);
    } finally {
      await sql.end();
    }
  });
});

/** Speaks the protocol byte by byte; `types()` are the answers' type bytes so far. */
async function raw(use: (socket: Socket, types: () => string, received: () => Buffer) => Promise<void>): Promise<void> {
  const socket = connect(server.port, '127.0.0.1');
  let held = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => (held = Buffer.concat([held, chunk])));
  socket.on('error', () => {});
  const types = (): string => {
    let text = '';
    for (let at = 0; at + 5 <= held.length; at += 1 + held.readInt32BE(at + 1))
      text += String.fromCharCode(held[at] as number);
    return text.slice(text.indexOf('Z') + 1);
  };
  try {
    socket.write(startupMessage({ user: 'weir', database: 'weir' }));
    await vi.waitFor(() => expect(held.toString('latin1')).toContain('Z\0\0\0\x05I'));
    await use(socket, types, () => held);
  } finally {
    socket.destroy();
  }
}

const bind = (formats: number[] = []): Buffer => {
  const tail = Buffer.alloc(6 + 2 * formats.length);
  tail.writeInt16BE(formats.length, 4);
  formats.forEach((format, index) => tail.writeInt16BE(format, 6 + 2 * index));
  return frame(Frontend.Bind, Buffer.concat([strings('', ''), tail]));
};
const execute = (maxRows = 0): Buffer => {
  const rows = Buffer.alloc(4);
  rows.writeInt32BE(maxRows);
  return frame(Frontend.Execute, Buffer.concat([strings(''), rows]));
};
const prepare = (sql: string): Buffer => parse('', Buffer.from(sql), Buffer.alloc(2));

describe('the protocol', () => {
  it('answers a whole flow in order, portals in parts', async () => {
    await raw(async (socket, types) => {
      socket.write(Buffer.concat([prepare('SHOW CONFIG'), describeMessage('S', ''), bind(), describeMessage('P', '')]));
      socket.write(Buffer.concat([execute(2), execute(2), execute(2), sync]));
      await vi.waitFor(() => expect(types()).toBe('1tT2TDDsDCCZ'));
    });
  });

  it('sends numbers in binary to who asks for it', async () => {
    await raw(async (socket, types, received) => {
      socket.write(Buffer.concat([prepare('SHOW TOTALS'), bind([0, 1]), execute(1), sync]));
      await vi.waitFor(() => expect(types()).toBe('12DsZ'));
      const value = Buffer.alloc(12);
      value.writeInt32BE(8);
      value.writeBigInt64BE(1000n, 4);
      expect(received().subarray(-80).toString('hex')).toContain(value.toString('hex'));
    });
  });

  it('skips to Sync after an error, and runs nothing on the way', async () => {
    await raw(async (socket, types) => {
      socket.write(Buffer.concat([prepare('NONSENSE'), bind(), execute(), prepare('RELOAD'), bind(), execute(), sync]));
      await vi.waitFor(() => expect(types()).toBe('EZ'));
      expect(sources.asked).toEqual([]);
      socket.write(Buffer.concat([query('RELOAD')]));
      await vi.waitFor(() => expect(types()).toBe('EZNCZ'));
    });
  });

  it('answers what was flushed without a Sync', async () => {
    await raw(async (socket, types) => {
      socket.write(Buffer.concat([prepare('RELOAD'), describeMessage('S', ''), flush]));
      await vi.waitFor(() => expect(types()).toBe('1tn'));
    });
  });

  it('reads frames cut anywhere', async () => {
    await raw(async (socket, types) => {
      socket.setNoDelay(true);
      for (const byte of Buffer.concat([prepare('SHOW VERSION'), bind(), execute(), sync])) {
        await new Promise<void>((resolve, reject) => {
          socket.write(Buffer.of(byte), (error) => (error == null ? resolve() : reject(error)));
        });
      }
      await vi.waitFor(() => expect(types()).toBe('12DCZ'));
    });
  });

  it.each([
    ['a length above the limit', Buffer.from([0x51, 0x40, 0, 0, 0])],
    ['a negative length', Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff])],
    ['an unknown message', Buffer.from([0x7e, 0, 0, 0, 4])],
    ['a Query without its end', Buffer.from([0x51, 0, 0, 0, 5, 0x41])],
    ['a Bind that is cut off', frame(Frontend.Bind, strings('', ''))],
    ['a Describe of nothing', frame(Frontend.Describe, strings('X'))],
  ])('closes only the connection that sends %s', async (_what, bytes) => {
    await raw(async (socket, types) => {
      const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      socket.write(Buffer.concat([prepare('SHOW VERSION'), bytes]));
      await ended;
      expect(types().at(-1)).toBe('E');
    });
    await withPg(async (client) => void (await client.query('SHOW VERSION')));
  });

  it('ends a waiting command on cancel and goes on', async () => {
    const signals: AbortSignal[] = [];
    Object.assign(sources, {
      pause: (_name: string, signal: AbortSignal) => {
        signals.push(signal);
        return new Promise<void>(() => {});
      },
    });
    await withPg(async (client) => {
      const waiting = client.query('PAUSE').catch((error: unknown) => error);
      await vi.waitFor(() => expect(signals).toHaveLength(1));
      server.sessions[0]?.cancel();
      expect(await waiting).toMatchObject({ code: '57014' });
      expect((await client.query('SELECT 1')).rowCount).toBe(1);
    });
  });

  it('says while a statement runs that ends by itself, so that a drain lets it be answered', async () => {
    let done: () => void = () => undefined;
    const runs = (): Promise<void> => new Promise((resolve) => (done = resolve));
    Object.assign(sources, { resume: runs, pause: runs });
    await withPg(async (client) => {
      const [session] = server.sessions;
      for (const [command, isAnswering] of [
        ['RESUME', true],
        ['PAUSE', false],
      ] as const) {
        done = () => undefined;
        const before = done;
        const answered = client.query(command);
        await vi.waitFor(() => expect(done).not.toBe(before));
        expect(session?.isAnswering).toBe(isAnswering);
        done();
        await answered;
        expect(session?.isAnswering).toBe(false);
      }
    });
  });

  it('SUSPEND ends with its connection, and when it is cancelled', async () => {
    let isHanging = false;
    sources.suspend = (signal) =>
      isHanging
        ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
        : Promise.resolve();
    await withPg(async (client) => {
      await client.query('SUSPEND');
      expect(sources.asked).toEqual([]);
    });
    await vi.waitFor(() => expect(sources.asked).toEqual(['end suspend']));
    isHanging = true;
    await withPg(async (client) => {
      const waiting = client.query('SUSPEND').catch((error: unknown) => error);
      await vi.waitFor(() => expect(server.sessions.at(-1)?.stats().state).toBe('active'));
      server.sessions.at(-1)?.cancel();
      expect(await waiting).toMatchObject({ code: '57014' });
    });
    await vi.waitFor(() => expect(sources.asked).toEqual(['end suspend', 'end suspend']));
  });

  it('stops waiting for a client that went away', async () => {
    const signals: AbortSignal[] = [];
    Object.assign(sources, {
      pause: (_name: string, signal: AbortSignal) => {
        signals.push(signal);
        return new Promise<void>(() => {});
      },
    });
    await raw(async (socket) => {
      socket.write(query('PAUSE'));
      await vi.waitFor(() => expect(signals).toHaveLength(1));
    });
    await server.sessions[0]?.closed;
    expect(signals[0]?.aborted).toBe(true);
  });

  it('says why it closes', async () => {
    await withPg(async (client) => {
      const error = new Promise((resolve) => client.once('error', resolve));
      server.sessions[0]?.close(new WeirError('shutting_down'));
      expect(await error).toMatchObject({ code: '57P01' });
    });
  });
});
