/**
 * What comes from Redis's port: read as Redis means it however it is cut, and bounded whatever it claims to be. Every
 * command is settled, and whoever sends what no Redis sends is left.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { RedisTransport } from '../../src/cache/redis.ts';
import { encodeCommand, RespError, RespReader } from '../../src/cache/resp.ts';
import type { Reply } from '../../src/cache/resp.ts';
import { FakeRedis } from './fake-redis.ts';
import type { Answer } from './fake-redis.ts';

const maxBytes = 1_000;

function read(chunks: readonly (string | Buffer)[], most = maxBytes): Reply[] {
  const replies: Reply[] = [];
  const reader = new RespReader({ maxBytes: most }, (reply) => replies.push(reply));
  for (const chunk of chunks) reader.read(Buffer.from(chunk));
  return replies;
}

function encode(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n');
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`);
  if (Buffer.isBuffer(reply)) return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from('\r\n')]);
  if (reply instanceof RespError) return Buffer.from(`-${reply.message}\r\n`);
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(encode)]);
}

describe('reading', () => {
  const leaf: fc.Arbitrary<Reply> = fc.oneof(
    fc.constant(null),
    fc.integer(),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  );
  const reply: fc.Arbitrary<Reply> = fc.oneof(leaf, fc.array(fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }))));

  it('gives back what was sent, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 4 }), fc.array(fc.nat(200), { maxLength: 10 }), (replies, cuts) => {
        const bytes = Buffer.concat(replies.map(encode));
        const ends = [...new Set([...cuts, bytes.length])].sort((a, b) => a - b).filter((end) => end <= bytes.length);
        expect(read(ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end)))).toEqual(replies);
        expect(read([...bytes].map((byte) => Buffer.from([byte])))).toEqual(replies);
      }),
    );
  });

  it('tells words and errors apart', () => {
    expect(read(['+OK\r\n-ERR no\r\n'])).toEqual([Buffer.from('OK'), new RespError('ERR no')]);
  });

  it.each([
    ['a value of 1 GB', ['$1000000000\r\n']],
    ['values that are too much together', ['*3\r\n', `$600\r\n${'x'.repeat(600)}\r\n`, '$600\r\n']],
    ['a list of very many', ['*1000000000\r\n']],
    ['lists that are many together', ['*9000\r\n*9000\r\n']],
    ['nesting', ['*1\r\n'.repeat(100)]],
    ['a line without an end', Array.from({ length: 100 }, () => 'x'.repeat(1_000))],
    ['many lines in a list', ['*100\r\n', ...Array.from({ length: 50 }, () => `+${'x'.repeat(100)}\r\n`)]],
    ['many errors in a list', ['*100\r\n', ...Array.from({ length: 50 }, () => `-${'x'.repeat(100)}\r\n`)]],
    ['a line of the wrong end', ['+OK\n']],
    ['another type', ['%1\r\n']],
    ['a length that is none', ['$1e3\r\n']],
    ['a negative length', ['$-2\r\n']],
    ['a number beyond all numbers', [':99999999999999999999\r\n']],
    ['a value longer than announced', ['$2\r\nabc\r\n']],
    ['HTTP', ['HTTP/1.1 400 Bad Request\r\n']],
  ])('refuses %s as soon as it is announced', (_what, chunks) => {
    expect(() => read(chunks)).toThrow();
  });

  it('keeps as much memory as has come, not as was announced', () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 100 }, () => {
      const reader = new RespReader({ maxBytes: 100_000_000 }, () => undefined);
      reader.read(Buffer.from('$99999999\r\nx'));
      return reader;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
    expect(readers).toHaveLength(100);
  });

  it('spells commands by bytes, not letters', () => {
    expect(encodeCommand(['GET', Buffer.from('ü'), 12, 'é']).toString()).toBe(
      '*4\r\n$3\r\nGET\r\n$2\r\nü\r\n$2\r\n12\r\n$2\r\né\r\n',
    );
  });
});

describe('something that is not to be trusted on its port', () => {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  async function meet(answer: Answer): Promise<{ fake: FakeRedis; losses: string[]; transport: RedisTransport }> {
    const fake = await FakeRedis.start(answer);
    const losses: string[] = [];
    const transport = new RedisTransport({
      url: fake.url,
      instanceId: 'i',
      maxEntryBytes: 10_000,
      log: () => undefined,
    });
    stops.push(
      () => transport.stop(false),
      () => fake.stop(),
    );
    await new Promise<void>((resolve) => {
      transport.start({
        onConnected: () => resolve(),
        onLost: (why) => losses.push(why),
        onMessage: () => undefined,
      });
    });
    return { fake, losses, transport };
  }

  const header = '*5\r\n$1\r\ni\r\n:0\r\n*1\r\n:1\r\n';
  it.each([
    ['a value of 1 GB', `${header}$1000000000\r\n`],
    ['a list of a billion', '*1000000000\r\n'],
    ['lists in lists', '*1\r\n'.repeat(1_000)],
    ['a line without an end', 'x'.repeat(100_000)],
    ['another protocol', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['more answers than questions', ':1\r\n:1\r\n'],
  ])('%s: it is left at once, and the command is settled', async (_what, bytes) => {
    const { fake, losses, transport } = await meet((args) => (args[0] === 'EVALSHA' ? bytes : undefined));
    const asked = [transport.read(['t'], 'e'), transport.read(['t'], 'e')];
    for (const one of asked) await expect(one).rejects.toThrow();
    while (fake.sockets.size > 0) await sleep(5);
    expect(losses).toHaveLength(1);
  });

  it.each([
    ['nothing', '$-1\r\n'],
    ['a number', ':1\r\n'],
    ['an error', '-ERR no\r\n'],
    ['a short list', '*1\r\n$1\r\ni\r\n'],
    ['stamps that are none', '*5\r\n$1\r\ni\r\n:0\r\n*1\r\n$1\r\nx\r\n$-1\r\n:0\r\n'],
    ['fewer stamps than tags', '*5\r\n$1\r\ni\r\n:0\r\n*0\r\n$-1\r\n:0\r\n'],
  ])('an answer of another shape (%s) is none', async (_what, bytes) => {
    const { transport } = await meet(() => bytes);
    await expect(transport.read(['t'], 'e')).rejects.toThrow();
  });

  it('a message of very many bytes on the channel: it is left', async () => {
    const { fake, losses } = await meet(() => undefined);
    fake.subscriber?.write('*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$500000000\r\n');
    while (losses.length === 0) await sleep(5);
    expect(losses).toEqual([expect.stringContaining('500000000')]);
  });

  it('commands in flight when it goes are settled then, and those behind them at once', async () => {
    const { fake, losses, transport } = await meet(() => undefined);
    const asked = transport.close(['t'], 'token', '');
    for (const socket of fake.sockets) socket.destroy();
    await expect(asked).rejects.toThrow();
    await expect(transport.close(['t'], 'token', '')).rejects.toThrow('not connected');
    expect(losses).toHaveLength(1);
  });
});
