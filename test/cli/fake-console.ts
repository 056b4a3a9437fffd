/**
 * A server that speaks just enough of the PostgreSQL protocol for a client such as `pg`: cleartext passwords and the
 * simple protocol. Stands in for the admin console, or for a PostgreSQL. The bytes are written by hand, so that these
 * tests do not lean on the code they test.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export interface FakeAnswer {
  readonly columns?: readonly (readonly [name: string, type: number])[];
  readonly rows?: readonly (readonly (string | null)[])[];
  readonly tag?: string;
  readonly notices?: readonly string[];
  readonly error?: {
    readonly message: string;
    readonly code?: string;
    readonly detail?: string;
    readonly hint?: string;
  };
}

export interface FakeConsole {
  readonly port: number;
  /** What was asked, in order, and the startup parameters of each connection. */
  readonly queries: string[];
  readonly startups: Record<string, string>[];
  close(): Promise<void>;
}

export const textType = 25;
export const int8Type = 20;
export const boolType = 16;

function message(type: string, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const int16 = (value: number): Buffer => {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
};
const int32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
};
const ready = message('Z', Buffer.from('I'));

function fields(type: 'E' | 'N', values: Record<string, string | undefined>): Buffer {
  const parts = Object.entries(values).flatMap(([code, value]) => (value === undefined ? [] : [`${code}${value}`]));
  return message(type, ...parts, Buffer.from([0]));
}

function answerBytes(answer: FakeAnswer): Buffer {
  const out = (answer.notices ?? []).map((text) => fields('N', { S: 'NOTICE', V: 'NOTICE', C: '00000', M: text }));
  if (answer.error !== undefined) {
    const { message: text, code = 'XX000', detail, hint } = answer.error;
    out.push(fields('E', { S: 'ERROR', V: 'ERROR', C: code, M: text, D: detail, H: hint }));
    return Buffer.concat([...out, ready]);
  }
  if (answer.columns !== undefined) {
    const description = answer.columns.map(([name, type]) =>
      Buffer.concat([Buffer.from(`${name}\0`), int32(0), int16(0), int32(type), int16(-1), int32(-1), int16(0)]),
    );
    out.push(message('T', int16(description.length), ...description));
    for (const row of answer.rows ?? []) {
      const cells = row.map((cell) =>
        cell === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(cell)), Buffer.from(cell)]),
      );
      out.push(message('D', int16(row.length), ...cells));
    }
  }
  out.push(message('C', answer.tag ?? 'SHOW'));
  return Buffer.concat([...out, ready]);
}

/** @param password undefined: everybody may come in */
export async function startFakeConsole(answer: (query: string) => FakeAnswer, password?: string): Promise<FakeConsole> {
  const queries: string[] = [];
  const startups: Record<string, string>[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let pending: Buffer = Buffer.alloc(0);
    let isStarted = false;
    const take = (): boolean => {
      const start = isStarted ? 1 : 0;
      if (pending.length < start + 4) return false;
      const length = pending.readInt32BE(start);
      if (pending.length < start + length) return false;
      const type = isStarted ? String.fromCharCode(pending[0] ?? 0) : '';
      const body = pending.subarray(start + 4, start + length);
      pending = pending.subarray(start + length);
      handle(type, body);
      return true;
    };
    const welcome = (): boolean => socket.write(Buffer.concat([message('R', int32(0)), ready]));
    const handle = (type: string, body: Buffer): void => {
      if (!isStarted) {
        if (body.readInt32BE(0) === 80877103) {
          socket.write('N');
          return;
        }
        isStarted = true;
        const words = body.subarray(4).toString().split('\0');
        startups.push(
          Object.fromEntries(
            words.flatMap((word, i) => (i % 2 === 0 && word !== '' ? [[word, words[i + 1] ?? '']] : [])),
          ),
        );
        if (password === undefined) welcome();
        else socket.write(message('R', int32(3)));
        return;
      }
      const text = body.toString().replace(/\0$/, '');
      if (type === 'p' && text === password) welcome();
      else if (type === 'p') {
        const refused = { S: 'FATAL', V: 'FATAL', C: '28P01', M: 'password authentication failed for user "weir"' };
        socket.end(fields('E', refused));
      } else if (type === 'Q') {
        queries.push(text);
        socket.write(answerBytes(answer(text)));
      } else if (type === 'X') socket.end();
    };
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (take());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    queries,
    startups,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
