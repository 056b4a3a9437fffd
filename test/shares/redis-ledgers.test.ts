/** A Redis that lies or is gone: it counts as gone, that is said once, and nothing it says is believed. */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Exchange } from '../../src/shares/exchange.ts';
import { RedisLedgers } from '../../src/shares/redis-ledgers.ts';
import { ShareBook } from '../../src/shares/share-book.ts';
import type { Said, ShareState } from '../../src/shares/types.ts';
import { startLyingRedis } from '../cache/lying-redis.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0).reverse()) stop();
});

/** Answers each script as `answer` says, and the check of the connection as Redis does. */
async function liar(answer: (socket: Socket) => void): Promise<string> {
  const redis = await startLyingRedis((text, socket) => {
    if (text.includes('SETNAME')) socket.write('+OK\r\n');
    if (text.includes('return 1\r\n')) socket.write(':1\r\n');
    if (text.includes('sha1hex')) answer(socket);
  });
  stops.push(() => redis.stop());
  return redis.url;
}

function ledgersAt(url: string): RedisLedgers {
  const ledgers = new RedisLedgers(url);
  stops.push(() => ledgers.stop());
  return ledgers;
}

const said: Said = {
  ...{ id: 'aaaaaaaaaaaa', seq: 1, limit: 0, open: 0, need: 1, want: 2, budget: 9, pids: [], isLeaving: false },
  seen: undefined,
};
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

describe('a Redis', () => {
  it.each([
    ['an error', '-OOM command not allowed\r\n'],
    ['no list', ':5\r\n'],
    ['too few', '*1\r\n$1\r\n5\r\n'],
    ['numbers for texts', '*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n'],
    ['a negative time', `*4\r\n${bulk('-5')}${bulk('ab')}${bulk('')}${bulk('')}`],
    ['a huge time', `*4\r\n${bulk('9'.repeat(40))}${bulk('ab')}${bulk('')}${bulk('')}`],
    ['another name', `*4\r\n${bulk('5')}${bulk('a b')}${bulk('')}${bulk('')}`],
    ['a huge announcement', '*4\r\n$999999999\r\n'],
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n'],
  ])('that sends %s is gone', async (_what, bytes) => {
    const ledgers = ledgersAt(await liar((socket) => socket.write(bytes)));
    await expect(ledgers.exchange('server', said)).rejects.toThrow();
    expect(ledgers.problem).toBeDefined();
  });

  it('in which others always write first is given up', async () => {
    let asked = 0;
    const url = await liar((socket) => {
      asked++;
      const read = `*4\r\n${bulk('5000')}${bulk('ab')}${bulk('stamp')}${bulk('')}`;
      socket.write(asked % 2 === 1 ? read : ':0\r\n');
    });
    await expect(ledgersAt(url).exchange('server', said)).rejects.toThrow('all the time');
    expect(asked).toBe(20);
  });

  it('that takes too long is not taken for others who write', async () => {
    let asked = 0;
    const url = await liar((socket) => {
      asked++;
      const read = `*4\r\n${bulk('5000')}${bulk('ab')}${bulk('stamp')}${bulk('')}`;
      if (asked % 2 === 1) socket.write(read);
      else setTimeout(() => socket.write(':0\r\n'), 550);
    });
    await expect(ledgersAt(url).exchange('server', said)).rejects.toThrow('takes longer than 500 ms');
  });

  it('that lies all the time is said to be gone once, and gives no connections', async () => {
    const ledgers = ledgersAt(await liar((socket) => socket.write(':5\r\n')));
    const states: ShareState[] = [];
    let nowMs = 0;
    const places = {
      usage: () => ({ open: 0, need: 3, want: 3, pids: [] }),
      open: () => 0,
      pids: () => [],
      changed: () => undefined,
    };
    const book = new ShareBook(places, () => nowMs);
    const reasons: string[] = [];
    const exchange = new Exchange({
      ...{
        server: 'db1:5432',
        identity: () => 'server',
        keeper: book,
        terms: () => ({ budget: 9, fixed: 3 }),
        ledgers,
      },
      ask: () => Promise.reject(new Error('not logged in')),
      nowMs: () => nowMs,
      onState: (state) => states.push(state),
      onShort: (reason) => reasons.push(reason),
    });
    stops.push(() => exchange.stop());
    exchange.start();
    for (let times = 0; times < 4; times++) {
      nowMs += 1_000;
      await vi.waitFor(() => expect(exchange.standing.problem).toBeDefined());
      await exchange.leave();
      exchange.start();
    }
    expect(states).toEqual(['unseen']);
    expect(book.limit('db1:5432', 0)).toBe(0);
    await vi.waitFor(() => expect(reasons).toContain('unseen'));
  });
});
