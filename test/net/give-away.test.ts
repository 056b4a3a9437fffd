/**
 * A connection goes from one owner to the next, and through another process, while its peer writes all the time. Fails if a
 * byte is lost, comes twice or out of order, or if the peer notices anything.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { ListenOptions, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { TurnWriter } from '../../src/net/turn.ts';
import { Wire } from '../../src/net/wire.ts';

const relay = fileURLToPath(new URL('../../integration/programs/socket-relay.mjs', import.meta.url));
const words = 4;
const total = 6_000_000;

/** Numbers, each in four bytes, as fast as they are taken. */
async function count(socket: Socket): Promise<void> {
  for (let next = 0; next < total;) {
    const some = Buffer.alloc(words * Math.min(1_000 + (next % 777), total - next));
    for (let at = 0; at < some.length; at += words) some.writeUInt32BE(next++, at);
    if (!socket.write(some)) await once(socket, 'drain');
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

test.each(['TCP', 'Unix'])('no byte is lost on the way of a %s socket', async (kind) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-'));
  const path = join(dir, 'socket');
  const server = createServer({ pauseOnConnect: true });
  const where: ListenOptions = kind === 'Unix' ? { path } : { port: 0, host: '127.0.0.1' };
  server.listen(where);
  await once(server, 'listening');
  const address = server.address();
  const peer = typeof address === 'string' || address === null ? connect(path) : connect(address.port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const child = fork(relay, { serialization: 'advanced', execArgv: [] });
  const turn = new TurnWriter();
  const chunks: Buffer[] = [];
  let size = 0;
  let ends = 0;
  let wire: Wire;
  const own = (socket: Socket, unread: Buffer): void => {
    const received = (chunk: Buffer): void => void (chunks.push(chunk), (size += chunk.length));
    wire = new Wire(
      socket,
      { side: 'client', received, drained: () => undefined, mayRead: true, closed: () => ends++ },
      turn,
    );
    wire.start(unread);
  };
  own(accepted, Buffer.alloc(0));
  const counted = count(peer);
  let moves = 0;
  let closes = 0;
  accepted.once('close', () => closes++);
  while (size < total * words && moves < 60) {
    const before = size;
    await until('more bytes', () => size > before || size === total * words);
    const { socket, unread } = wire!.giveAway();
    moves++;
    const back = once(child, 'message') as Promise<[{ ahead: Buffer | null }, Socket]>;
    child.send({}, socket);
    const [{ ahead }, again] = await back;
    own(again, Buffer.concat([unread, ahead ?? Buffer.alloc(0)]));
  }
  await counted;
  await until('all bytes', () => size === total * words);
  const all = Buffer.concat(chunks);
  for (let at = 0; at < total; at++)
    if (all.readUInt32BE(at * words) !== at) expect(all.readUInt32BE(at * words)).toBe(at);
  expect(moves).toBeGreaterThan(5);
  expect([ends, closes]).toEqual([moves, 1]);
  wire!.send(Buffer.from('answer'));
  expect(String((await once(peer, 'data'))[0])).toBe('answer');
  peer.end();
  await until('the end', () => ends === moves + 1);
  child.disconnect();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});
