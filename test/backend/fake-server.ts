/**
 * A scripted PostgreSQL for the tests of log-in: says what it is told to, step by step, and misbehaves on demand.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { NodeConfig } from '../../src/config/config.ts';
import { MessageReader } from '../../src/net/message-reader.ts';
import { AuthCode } from '../../src/protocol/codes.ts';
import { readStartupParameters } from '../../src/protocol/read.ts';
import {
  authentication,
  authenticationOk,
  backendKeyData,
  parameterStatus,
  readyForQuery,
} from '../../src/protocol/write.ts';

export class Peer {
  readonly socket: Socket;
  readonly reader: MessageReader;

  constructor(socket: Socket) {
    this.socket = socket;
    this.reader = new MessageReader(socket, 20_000);
  }

  say(...frames: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(frames));
    return this;
  }

  /** StartupMessage. */
  async startup(): Promise<Map<string, string>> {
    const { body } = await this.reader.nextStartup();
    return new Map(readStartupParameters(body, 0, body.length));
  }

  async packet(): Promise<number> {
    return (await this.reader.nextStartup()).code;
  }

  /** Body of the next 'p' message. */
  async password(): Promise<Buffer> {
    return (await this.reader.next(1 << 16)).body;
  }

  sasl(code: number, text: string): this {
    return this.say(authentication(code, Buffer.from(text, 'latin1')));
  }

  /** Up to here the log-in went well. */
  welcome(): this {
    return this.say(authenticationOk, goodEnd);
  }
}

export const goodEnd = Buffer.concat([
  parameterStatus('server_version', '18.1'),
  parameterStatus('in_hot_standby', 'off'),
  backendKeyData(4711, Buffer.from([1, 2, 3, 4])),
  readyForQuery('I'),
]);

export const askScram = authentication(AuthCode.Sasl, Buffer.from('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0'));

export interface FakeServer {
  readonly node: NodeConfig;
  /** Connections that were made. */
  connections(): number;
  stop(): Promise<void>;
}

/** `script` runs for each connection; `count` from 1. */
export async function startFakeServer(script: (peer: Peer, count: number) => Promise<void>): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    script(new Peer(socket), ++connections).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    node: {
      name: 'db1',
      host: '127.0.0.1',
      port,
      database: 'shop',
      user: undefined,
      password: undefined,
      weight: 1,
    },
    connections: () => connections,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
