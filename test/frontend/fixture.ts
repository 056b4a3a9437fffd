/**
 * A listener with a scripted session behind it, just enough for real drivers: reports a few parameters, answers every
 * query with one row. And raw sockets to say to it what no driver would.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TlsSide } from '../../src/config/config.ts';
import type { Listener, LoggedInClient, RefusalReason } from '../../src/frontend/listener.ts';
import { createListener } from '../../src/frontend/listener.ts';
import type { AcceptorOptions } from '../../src/frontend/types.ts';
import { MessageReader } from '../../src/net/message-reader.ts';
import type { Message } from '../../src/net/message-reader.ts';
import { Frontend, Request } from '../../src/protocol/codes.ts';
import { readErrorFields } from '../../src/protocol/read.ts';
import {
  backendKeyData,
  bindComplete,
  commandComplete,
  dataRow,
  frame,
  noData,
  parameterStatus,
  parseComplete,
  readyForQuery,
  rowDescription,
  startupMessage,
} from '../../src/protocol/write.ts';

/** With whatever in it, also what is no password. */
export const passwordMessage = (data: Buffer): Buffer => frame(Frontend.Password, data);

export const noTls: TlsSide = { mode: 'disable', cert: undefined, key: undefined, ca: undefined };

export interface Fixture {
  readonly listener: Listener;
  readonly port: number;
  readonly clients: LoggedInClient[];
  readonly refusals: RefusalReason[];
  readonly cancels: { processId: number; secret: Buffer; done: () => void }[];
  /** Lines of the log as JSON. */
  readonly logged: string[];
  /** Seats taken now. */
  seats(): number;
  stop(): Promise<void>;
}

export function doorOptions(
  overrides: Partial<AcceptorOptions>,
  seen: Omit<Fixture, 'listener' | 'port' | 'stop' | 'seats'>,
) {
  let seats = 0;
  const options: AcceptorOptions = {
    tls: noTls,
    auth: { type: 'trust', users: () => undefined },
    findDatabase: (name) => (name === 'weir' ? 'console' : name === 'nowhere' ? 'unknown' : 'ok'),
    consoleNames: ['weir', 'pgbouncer'],
    consoleUserAllowed: (user) => user === 'weir' || user === 'stats',
    isConsoleAdmin: (user) => user === 'weir',
    maxClientConn: () => 100,
    isFull: () => seats >= 100,
    tryEnter: () => (seats < 100 ? ++seats > 0 : false),
    leave: () => void seats--,
    loginTimeoutMs: () => 20_000,
    maxLogins: () => 1_000,
    onClient: (client) => {
      seen.clients.push(client);
      serve(client);
    },
    onCancel: (processId, secret, done) => {
      seen.cancels.push({ processId, secret, done });
      done();
    },
    onRefused: (reason) => seen.refusals.push(reason),
    log: (level, event, message, fields) => seen.logged.push(JSON.stringify({ level, event, message, ...fields })),
    isDraining: () => false,
    ...overrides,
  };
  return { options, seats: () => seats };
}

export const newRecord = (): Omit<Fixture, 'listener' | 'port' | 'stop' | 'seats'> => ({
  clients: [],
  refusals: [],
  cancels: [],
  logged: [],
});

export async function startFixture(overrides: Partial<AcceptorOptions> = {}): Promise<Fixture> {
  const seen = newRecord();
  const { options, seats } = doorOptions(overrides, seen);
  const listener = createListener({ ...options, listen: { host: '127.0.0.1', port: 0 } });
  await listener.listen();
  return {
    listener,
    port: listener.address().port,
    ...seen,
    seats,
    async stop() {
      await listener.close();
      for (const { socket } of seen.clients) socket.destroy();
    },
  };
}

/** The scripted session: each query has one row, the user's name. */
function serve({ socket, unsent, leftover, user }: LoggedInClient): void {
  socket.on('error', () => socket.destroy());
  if (leftover.length > 0) socket.unshift(leftover);
  const reader = new MessageReader(socket, undefined);
  const row = Buffer.concat([dataRow([user]), commandComplete('SELECT 1')]);
  const columns = rowDescription([{ name: 'who' }]);
  const answers: Record<number, Buffer> = {
    [Frontend.Query]: Buffer.concat([columns, row, readyForQuery('I')]),
    [Frontend.Parse]: parseComplete,
    [Frontend.Bind]: bindComplete,
    [Frontend.Describe]: columns,
    [Frontend.Execute]: row,
    [Frontend.Sync]: readyForQuery('I'),
    [Frontend.Close]: noData,
  };
  socket.write(
    Buffer.concat([
      unsent.take(),
      parameterStatus('server_version', '18.0'),
      parameterStatus('client_encoding', 'UTF8'),
      backendKeyData(7, Buffer.from([1, 2, 3, 4])),
      readyForQuery('I'),
    ]),
  );
  const loop = async (): Promise<void> => {
    for (;;) {
      const { type } = await reader.next(1 << 20);
      if (type === Frontend.Terminate) return void socket.end();
      const answer = answers[type];
      if (answer !== undefined) socket.write(answer);
    }
  };
  loop().catch(() => socket.destroy());
}

/** A client without manners: says bytes, reads messages, sees the end. */
export class RawClient {
  readonly socket: Socket | TLSSocket;
  readonly reader: MessageReader;

  constructor(socket: Socket | TLSSocket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    this.reader = new MessageReader(socket, 20_000);
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawClient(socket);
  }

  say(...frames: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(frames));
    return this;
  }

  startup(parameters: Record<string, string>): this {
    return this.say(startupMessage(parameters));
  }

  next(): Promise<Message> {
    return this.reader.next(1 << 20);
  }

  /** The next message must be an ErrorResponse, and then the connection must end. */
  async refusal(): Promise<{ severity: string; sqlstate: string; message: string; detail: string; hint: string }> {
    let { type, body } = await this.next();
    while (type === 0x76) ({ type, body } = await this.next());
    if (type !== 0x45) throw new Error(`not an ErrorResponse but ${String.fromCharCode(type)}`);
    const field = readErrorFields(body, 0, body.length);
    await this.end();
    const text = (letter: string): string => field.get(letter) ?? '';
    return { severity: text('S'), sqlstate: text('C'), message: text('M'), detail: text('D'), hint: text('H') };
  }

  /** Resolves when the other side has closed; rejects if it says anything more. */
  async end(): Promise<void> {
    const more = await this.reader.nextByte().catch((error: Error) => error);
    if (!(more instanceof Error)) throw new Error(`the connection goes on with byte ${more}`);
    if (!/closed|reset|EPIPE/i.test(more.message)) throw more;
    this.close();
  }

  close(): void {
    this.reader.detach();
    this.socket.destroy();
  }
}

/** A packet without type byte. */
export function packet(code: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(code, 4);
  return Buffer.concat([head, body]);
}

export const gssEncRequest = packet(Request.gssEnc);
