/** A console on a free port of 127.0.0.1: just enough log-in for real drivers to get in. Stopped by `close`. */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { serveConsole } from '../../src/console/session.ts';
import type { ConsoleSession } from '../../src/console/session.ts';
import { createConsole } from '../../src/console/console.ts';
import type { ConsoleSources } from '../../src/console/sources.ts';
import { Request } from '../../src/protocol/codes.ts';
import { readStartupParameters } from '../../src/protocol/read.ts';
import { authenticationOk } from '../../src/protocol/write.ts';

export interface ConsoleServer {
  readonly port: number;
  readonly sessions: ConsoleSession[];
  readonly logged: string[];
  close(): Promise<void>;
}

export async function startConsole(sources: ConsoleSources): Promise<ConsoleServer> {
  const sessions: ConsoleSession[] = [];
  const sockets = new Set<Socket>();
  const logged: string[] = [];
  const log = (level: string, event: string, message: string): void =>
    void logged.push(`${level} ${event}: ${message}`);
  const console = createConsole({
    sources,
    roleOf: (user) => (user === 'weir' ? 'admin' : user === 'stats' ? 'stats' : undefined),
    nowMs: () => performance.now(),
    log,
  });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    let held = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk]);
      const length = held.length >= 8 ? held.readInt32BE(0) : Infinity;
      if (held.length < length) return;
      const code = held.readInt32BE(4);
      if (code === Request.ssl || code === Request.gssEnc) {
        held = held.subarray(length);
        socket.write('N');
        return;
      }
      const parameters = new Map(readStartupParameters(held, 8, length));
      const [user = '', database = 'weir'] = [parameters.get('user'), parameters.get('database')];
      socket.off('data', onData);
      socket.pause();
      socket.write(authenticationOk);
      const leftover = held.subarray(length);
      const address = { remoteAddress: '127.0.0.1', remotePort: socket.remotePort ?? 0 };
      const client = { socket, user, database, parameters, hasTls: false, ...address };
      const cancelKey = { processId: 1, secret: Buffer.from('abcd') };
      sessions.push(serveConsole({ ...client, leftover }, console, { log, cancelKey }));
    };
    socket.on('data', onData);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    logged,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
