/**
 * Shared stamps over the channels between workers and their supervisor: what one worker does, the others hear in order; a
 * connection that was given up brings nothing more; a worker that has died is not waited for, one that may have written
 * unannounced is. Fails when an end of a process, or only of a channel, is taken for more than it proves.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { HelloReply, HelloRequest } from '../../src/cache/transport.ts';
import { Channel } from '../../src/workers/channel.ts';
import type { SupervisorTopics, WorkerTopics } from '../../src/workers/messages.ts';
import { StampTransport } from '../../src/workers/stamp-transport.ts';
import { Stamps } from '../../src/workers/stamps.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { StepWire } from './step-wire.ts';

const leaseMs = 1_000;
const memberTimeoutMs = 60_000;

class Bench {
  readonly clock = createManualClock(1_000);
  readonly bugs: unknown[] = [];
  readonly wires: StepWire[] = [];
  private readonly unexpected = (error: unknown): void => void this.bugs.push(error);
  readonly stamps = new Stamps({
    now: this.clock.nowMs,
    name: 'memory',
    maxBytes: 1_000_000,
    isFirst: true,
    unexpected: this.unexpected,
  });

  worker(id: string) {
    const wire = new StepWire(this.clock.nowMs);
    this.wires.push(wire);
    const end = this.stamps.attach(new Channel<WorkerTopics, SupervisorTopics>(wire.supervisor, this.unexpected));
    const transport = new StampTransport(new Channel<SupervisorTopics, WorkerTopics>(wire.worker, this.unexpected), id);
    const events: string[] = [];
    transport.start({
      onConnected: () => void events.push('connected'),
      onLost: (why) => void events.push(`lost: ${why}`),
      onMessage: (text) => {
        const { k, o, n } = JSON.parse(text) as { k: string; o?: string; n: number };
        events.push(`${n} ${k} ${o ?? ''}`);
      },
    });
    let echo = '';
    const request = (open: readonly string[]): HelloRequest => {
      return { rotate: false, echo, leaseMs, memberTimeoutMs, members: [], orphans: [], open };
    };
    const hello = async (open: readonly string[] = []): Promise<HelloReply> => {
      const reply = await this.settled(transport.hello(request(open)));
      echo = reply.echo;
      return reply;
    };
    return { wire, end, transport, events, hello };
  }

  async drain(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      for (const wire of this.wires) {
        while (wire.has('up')) wire.deliver('up');
        while (wire.has('down')) wire.deliver('down');
      }
      await new Promise((resolve) => void setImmediate(resolve));
    }
  }

  async settled<T>(answer: Promise<T>): Promise<T> {
    await this.drain();
    return answer;
  }
}

let bench: Bench;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  bench = new Bench();
});
afterEach(() => {
  expect(bench.bugs).toEqual([]);
  bench.stamps.stop();
  vi.useRealTimers();
});

async function pair() {
  const [a, b] = [bench.worker('a'), bench.worker('b')];
  await bench.drain();
  for (const one of [a, b, a, b]) await one.hello();
  return { a, b };
}

describe('between workers', () => {
  test('a write is announced to all, and ended with new stamps, in order', async () => {
    const { a, b } = await pair();
    expect(await bench.settled(a.transport.close(['t'], 'a:1', 'note'))).toBe('memory-1');
    expect(await bench.settled(b.transport.read(['t'], 'e'))).toMatchObject({ isClosed: true, entry: undefined });
    const { stamps } = await bench.settled(a.transport.open(['t'], 'a:1', true));
    expect(await bench.settled(b.transport.read(['t'], 'e'))).toMatchObject({ isClosed: false, stamps });
    const said = ['connected', '1 open ', '2 close a:1', '3 open a:1'];
    expect([a.events, b.events]).toEqual([said, said]);
  });

  test('an answer that one has stored is there for the other, as a Buffer of its own', async () => {
    const { a, b } = await pair();
    const { incarnation, stamps } = await bench.settled(a.transport.read(['t'], 'e'));
    const payload = Buffer.from(`${incarnation}|${stamps.join(',')}|answer`);
    const write = { tags: ['t'], entryName: 'e', incarnation, stamps, payload, ttlMs: 1_000 };
    expect(await bench.settled(a.transport.store(write))).toBe(true);
    const { entry, ttlMs } = await bench.settled(b.transport.read(['t'], 'e'));
    expect([Buffer.isBuffer(entry), String(entry), ttlMs]).toEqual([true, String(payload), 1_000]);
    bench.clock.advance(1_000);
    expect((await bench.settled(b.transport.read(['t'], 'e'))).entry).toBeUndefined();
  });
});

describe('a connection that was given up', () => {
  test('brings nothing more; the next one begins when the supervisor answers', async () => {
    const { a, b } = await pair();
    const lost = a.transport.read(['t'], 'e');
    await new Promise((resolve) => void setImmediate(resolve));
    a.transport.reset('too slow', false);
    await expect(lost).rejects.toThrow('too slow');
    await expect(a.transport.read(['t'], 'e')).rejects.toThrow('not connected');
    expect(a.transport.problem).toBe('too slow');
    await bench.settled(b.transport.close(['t'], 'b:1', ''));
    a.wire.stalledUntilMs = Infinity;
    vi.advanceTimersByTime(60_000);
    await bench.drain();
    expect(a.events).toEqual(['connected', 'lost: too slow']);
    a.wire.stalledUntilMs = 0;
    await bench.drain();
    expect(a.events).toEqual(['connected', 'lost: too slow', 'connected']);
    expect(a.transport.problem).toBeUndefined();
  });

  test('is followed by none when the supervisor is gone', async () => {
    const { a } = await pair();
    a.wire.close(0);
    vi.advanceTimersByTime(60_000);
    await bench.drain();
    expect(a.events.at(-1)).toBe('lost: the supervisor is gone');
  });
});

test('a worker that does not read misses messages until it asks again, and sees that by their numbers', async () => {
  const { a, b } = await pair();
  const tag = 'x'.repeat(1_000_000);
  for (let i = 0; i < 40; i++) {
    await bench.settled(b.transport.close([tag], 'b:1', ''));
    await b.hello();
  }
  const heard = a.events.length;
  expect(heard).toBeLessThan(25);
  await a.hello();
  await bench.settled(b.transport.open(['t'], 'b:2', false));
  expect(a.events.at(-1)).toMatch(/^4\d open b:2$/);
});

describe('a worker that has died', () => {
  test('is not waited for, and its write is inherited at once', async () => {
    const { a, b } = await pair();
    await bench.settled(a.transport.close(['t'], 'a:1', 'note'));
    a.wire.close(0);
    a.end.processEnded();
    const reply = await b.hello();
    expect(reply).toMatchObject({ isGranted: true, members: ['b'], missing: [], incarnation: 'memory-1' });
    expect(reply.orphans).toEqual([{ token: 'a:1', note: 'note' }]);
    bench.clock.advance(600_000);
    expect(await bench.settled(b.transport.read(['t'], 'e'))).toMatchObject({ isClosed: true });
    await bench.settled(b.transport.open(['t'], 'a:1', true));
    expect(await bench.settled(b.transport.read(['t'], 'e'))).toMatchObject({ isClosed: false });
  });

  test('counts as alive until its process has ended, and all that it sent has arrived', async () => {
    const { a, b } = await pair();
    a.end.processEnded();
    expect((await b.hello()).members).toEqual(['a', 'b']);
    void a.transport.close(['t'], 'a:1', 'note').catch(() => undefined);
    await new Promise((resolve) => void setImmediate(resolve));
    a.wire.close(1);
    expect(await b.hello()).toMatchObject({ members: ['b'], orphans: [{ token: 'a:1', note: 'note' }] });
  });

  test('may still write when only its channel is closed', async () => {
    const { a, b } = await pair();
    a.wire.close(0);
    bench.clock.advance(leaseMs + 1);
    await b.hello();
    expect(await b.hello()).toMatchObject({ isGranted: false, missing: ['a'] });
  });

  test('may have written unannounced if it had not been heard of for two leases', async () => {
    const { a, b } = await pair();
    bench.clock.advance(2 * leaseMs + 1);
    a.wire.close(0);
    a.end.processEnded();
    await b.hello();
    expect(await b.hello()).toMatchObject({ isGranted: false, missing: ['a'], incarnation: 'memory-1' });
    a.end.backendsGone();
    expect(await b.hello()).toMatchObject({ isGranted: true, members: ['b'], incarnation: 'memory-2' });
  });
});
