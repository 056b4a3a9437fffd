/** A server that takes commands of Redis and answers as a test says, for what a real Redis will not do on demand. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface LyingRedis {
  readonly url: string;
  stop(): void;
}

/** @param heard is given what came in one piece */
export async function startLyingRedis(heard: (text: string, socket: Socket) => void): Promise<LyingRedis> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => heard(chunk.toString('latin1'), socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
