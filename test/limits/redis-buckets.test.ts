/**
 * A Redis that refuses, lies, is silent or is not there counts as gone, with the reason; it crashes nothing, takes no memory,
 * and is used again when it answers as it should.
 */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RedisBuckets } from '../../src/limits/redis-buckets.ts';
import type { Spent } from '../../src/limits/types.ts';
import { startLyingRedis } from '../cache/lying-redis.ts';

const spent: readonly Spent[] = [{ key: 'k', perMs: 0.1, burst: 80, spent: 1, left: 79 }];
const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

interface Liar {
  readonly url: string;
  /** What it answers to the EVAL of an exchange; to everything else it answers as Redis does. */
  answer: (socket: Socket) => void;
  /** To the probe after connecting. */
  answerProbe: (socket: Socket) => void;
  probes: number;
}

async function liar(answer: (socket: Socket) => void): Promise<Liar> {
  const redis = await startLyingRedis((text, socket) => {
    for (const [, word] of text.matchAll(/\r\n(CLIENT|AUTH|SELECT|EVAL)\r\n/g)) {
      if (word !== 'EVAL') socket.write('+OK\r\n');
      else if (!text.includes('\r\nweir:limit:probe\r\n')) self.answer(socket);
      else {
        self.probes++;
        self.answerProbe(socket);
      }
    }
  });
  stops.push(() => redis.stop());
  const answerProbe = (socket: Socket): void => void socket.write('*1\r\n$1\r\n1\r\n');
  const self: Liar = { url: redis.url, answer, answerProbe, probes: 0 };
  return self;
}

function bucketsAt(url: string, steadyMs = 20): { buckets: RedisBuckets; lines: string[] } {
  const lines: string[] = [];
  const log = (_level: string, _event: string, message: string): void => void lines.push(message);
  const buckets = new RedisBuckets({ url, consequence: 'until then, alone', log, steadyMs });
  stops.push(() => buckets.stop());
  return { buckets, lines };
}

const isReady = (buckets: RedisBuckets): Promise<void> =>
  vi.waitFor(() => expect(buckets.isReady).toBe(true), { timeout: 10_000, interval: 5 });

describe('Redis', () => {
  it('that answers is used', async () => {
    const { url } = await liar((socket) => socket.write('*1\r\n$4\r\n12.5\r\n'));
    const { buckets, lines } = bucketsAt(url);
    expect(buckets.problem).toBeUndefined();
    await isReady(buckets);
    expect(await buckets.exchange(spent)).toEqual([12.5]);
    expect(lines).toEqual([]);
  });

  it.each([
    ['an error', '-OOM command not allowed\r\n', 'OOM'],
    ['another number of answers', '*2\r\n$1\r\n1\r\n$1\r\n2\r\n', 'something else'],
    ['no list', '$1\r\n1\r\n', 'something else'],
    ['words for numbers', '*1\r\n$3\r\nabc\r\n', 'numbers that are none'],
    ['no number', '*1\r\n$3\r\nNaN\r\n', 'numbers that are none'],
    ['an empty number', '*1\r\n*0\r\n', 'numbers that are none'],
    ['a huge announcement', '*1\r\n$999999999\r\n', 'it sends'],
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n', 'it sends'],
  ])('that sends %s is gone, until it does not any more', async (_what, bytes, why) => {
    const redis = await liar((socket) => socket.write(bytes));
    const { buckets, lines } = bucketsAt(redis.url);
    await isReady(buckets);
    await expect(buckets.exchange(spent)).rejects.toThrow();
    await vi.waitFor(() => expect(buckets.problem).toContain(why));
    expect(lines.join()).toContain('until then, alone');
    redis.answer = (socket) => socket.write('*1\r\n$1\r\n7\r\n');
    await isReady(buckets);
    expect(await buckets.exchange(spent)).toEqual([7]);
    await vi.waitFor(() => expect(lines).toHaveLength(2));
    expect(lines[1]).toContain('answers again');
  });

  it('that takes no writes is gone, until it takes them', async () => {
    const redis = await liar((socket) => socket.write('*1\r\n$1\r\n7\r\n'));
    const works = redis.answerProbe;
    redis.answerProbe = (socket) => socket.write('-READONLY You can not write against a read only replica.\r\n');
    const { buckets, lines } = bucketsAt(redis.url);
    await vi.waitFor(() => expect(redis.probes).toBe(2), { timeout: 10_000 });
    await vi.waitFor(() => expect(buckets.problem).toContain('READONLY'));
    expect(lines).toHaveLength(1);
    redis.answerProbe = works;
    await isReady(buckets);
    expect(buckets.problem).toBeUndefined();
  });

  it('that works and fails in turn is said to be gone once', async () => {
    const redis = await liar((socket) => socket.write('-OOM command not allowed\r\n'));
    const { buckets, lines } = bucketsAt(redis.url, 60_000);
    for (let i = 0; i < 3; i++) {
      await isReady(buckets);
      await expect(buckets.exchange(spent)).rejects.toThrow('OOM');
    }
    expect(redis.probes).toBe(3);
    expect(lines).toHaveLength(1);
  });

  it('that is silent is gone', async () => {
    const { url } = await liar(() => undefined);
    const { buckets } = bucketsAt(url);
    await isReady(buckets);
    await expect(buckets.exchange(spent)).rejects.toThrow('does not answer');
    expect(buckets.problem).toBe('it does not answer');
  });

  it('that is not there is gone, and is said to be once', async () => {
    const { url } = await liar(() => undefined);
    for (const stop of stops.splice(0)) stop();
    const { buckets, lines } = bucketsAt(url);
    await vi.waitFor(() => expect(buckets.problem).toContain('ECONNREFUSED'));
    await expect(buckets.exchange(spent)).rejects.toThrow('not connected');
    expect(lines).toHaveLength(1);
  });
});
