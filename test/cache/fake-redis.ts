/**
 * Something on Redis's port: it accepts the log-in, the scripts and the subscription as Redis does, and answers the
 * commands behind them as the test says.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { RespReader } from '../../src/cache/resp.ts';
import type { Reply } from '../../src/cache/resp.ts';

export type Answer = (args: readonly string[], socket: Socket) => string | Buffer | undefined;

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

export class FakeRedis {
  readonly sockets = new Set<Socket>();
  accepted = 0;
  /** The one that has subscribed last. */
  subscriber: Socket | undefined;
  private readonly server: Server;
  private readonly answer: Answer;

  private constructor(answer: Answer) {
    this.answer = answer;
    this.server = createServer((socket) => this.accept(socket));
  }

  static async start(answer: Answer): Promise<FakeRedis> {
    const fake = new FakeRedis(answer);
    await new Promise<void>((resolve) => fake.server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}/0`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(socket: Socket): void {
    this.accepted++;
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.sockets.delete(socket));
    const reader = new RespReader({ maxBytes: 10_000_000 }, (command) => this.handle(command, socket));
    socket.on('data', (chunk: Buffer) => reader.read(chunk));
  }

  private handle(command: Reply, socket: Socket): void {
    const args = (command as Reply[]).map(String);
    const usual = this.usual(args, socket) ?? this.answer(args, socket);
    if (usual !== undefined) socket.write(usual);
  }

  private usual(args: readonly string[], socket: Socket): string | undefined {
    if (args[0] === 'CLIENT') return '+OK\r\n';
    if (args[0] === 'INFO') return bulk('run_id:abc\r\n');
    if (args[0] === 'SCRIPT') return bulk('0'.repeat(40));
    if (args[0] !== 'SUBSCRIBE') return undefined;
    this.subscriber = socket;
    return `*3\r\n${bulk('subscribe')}${bulk(args[1]!)}:1\r\n`;
  }
}
