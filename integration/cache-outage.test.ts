/**
 * The cache while its Redis is stopped, cut off, or something else altogether: clients notice nothing, no answer is old,
 * and it heals by itself. One node is enough; the rules one by one are in cache-redis.test.ts.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, hasRedis, startRedis, startWeir, until } from './harness/index.ts';
import { TcpRelay, useCluster, weirConfig } from './harness/index.ts';
import type { Redis, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let database: string;
const weirs: WeirProcess[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(`SET ROLE app; CREATE TABLE items (id int, n int); INSERT INTO items VALUES (1, 0)`, {
    database,
  });
});
afterEach(async () => {
  await closeClients();
  await Promise.all(weirs.splice(0).map((weir) => weir.stop()));
});

async function start(redisUrl: string): Promise<WeirProcess> {
  const cache = { enabled: true, redis: redisUrl };
  const weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, { cache }));
  weirs.push(weir);
  return weir;
}

async function figure(weir: WeirProcess, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${weir.httpPort}/metrics`)).text();
  return Number(new RegExp(`^weir_cache_${name} (\\d+)`, 'm').exec(text)?.[1]);
}

const ask = 'SELECT n FROM items';

async function answer(client: pg.Client): Promise<{ n: number; route: string }> {
  const { rows } = await client.query<{ n: number }>(ask);
  const shown = await client.query<Record<string, string>>('SHOW weir.last_route');
  return { n: rows[0]!.n, route: Object.values(shown.rows[0]!)[0]! };
}

const hit = (client: pg.Client): Promise<boolean> =>
  until('a hit', async () => (await answer(client)).route.startsWith('cache; hit'));

describe.skipIf(!hasRedis())('Redis', () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => {
    redis.resume();
    await redis.stop();
  });

  test.each([
    ['killed', (): Promise<void> => redis.kill(), (): Promise<void> => redis.start()],
    ['frozen', (): void => redis.pause(), (): void => redis.resume()],
  ])('%s and back: uncached meanwhile, what is written then is never missed', async (_how, breakIt, mendIt) => {
    const weir = await start(redis.url);
    const client = await connectPg(weir.url({ database }));
    await hit(client);
    await breakIt();
    await until('the loss', async () => (await figure(weir, 'redis_up')) === 0);
    expect(await figure(weir, 'entries')).toBe(0);
    const { n } = await answer(client);
    for (let i = 1; i <= 5; i++) {
      await client.query('UPDATE items SET n = $1', [n + i]);
      expect(await answer(client)).toEqual({ n: n + i, route: expect.not.stringContaining('cache; hit') as string });
    }
    await mendIt();
    await hit(client);
    expect((await answer(client)).n).toBe(n + 5);
    expect(weir.output).toContain('queries go on uncached');
    expect(weir.output).toContain('in step with the other Weirs through Redis');
  });

  test('slow for the one that writes: what a session has read from the database, no cached answer is older than', async () => {
    const relay = await TcpRelay.start({ port: redis.port });
    try {
      const [writes, reads] = [await start(`redis://127.0.0.1:${relay.port}`), await start(redis.url)];
      const [writer, reader] = [await connectPg(writes.url({ database })), await connectPg(reads.url({ database }))];
      await until(
        'both to be in step',
        async () => (await figure(writes, 'redis_up')) + (await figure(reads, 'redis_up')) === 2,
      );
      relay.delayMs = 150;
      let seen = 0;
      for (let n = 1001; n <= 1010; n++) {
        await hit(reader);
        let isWritten = false;
        const written = writer.query('UPDATE items SET n = $1', [n]).then(() => (isWritten = true));
        while (!isWritten) {
          for (const sql of [`/* weir: cache=off */ ${ask}`, ask]) {
            const { rows } = await reader.query<{ n: number }>(sql);
            expect(rows[0]!.n).toBeGreaterThanOrEqual(seen);
            seen = rows[0]!.n;
          }
        }
        await written;
      }
    } finally {
      await relay.stop();
    }
  });
});

describe('something else in place of Redis', () => {
  let server: Server;
  const sockets = new Set<Socket>();
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  test.each([
    ['speaks another protocol', (socket: Socket): void => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['answers every command with another type', (socket: Socket): void => void socket.write(':1\r\n'.repeat(3))],
    [
      'sends random bytes',
      (socket: Socket): void => void socket.write(Buffer.from(Array.from({ length: 999 }, (_, i) => (i * 7919) % 256))),
    ],
    ['says nothing', (): void => undefined],
    ['hangs up', (socket: Socket): void => void socket.end()],
  ])('%s: queries go on uncached, the log says why', async (_what, respond) => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', () => respond(socket));
      socket.once('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const weir = await start(`redis://127.0.0.1:${port}`);
    const client = await connectPg(weir.url({ database }));
    const { n } = await answer(client);
    for (let i = 1; i <= 5; i++) {
      await client.query('UPDATE items SET n = $1', [n + i]);
      expect(await answer(client)).toEqual({ n: n + i, route: expect.not.stringContaining('cache; hit') as string });
    }
    if (_what !== 'says nothing') {
      await until('a line that names it', () => weir.output.includes(`Redis at 127.0.0.1:${port}`));
    }
    expect(weir.isRunning).toBe(true);
    expect((await answer(client)).n).toBe(n + 5);
    expect(weir.output.length).toBeLessThan(100_000);
  });
});
