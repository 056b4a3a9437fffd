/** In which order the clients of several users and priorities get the servers of a pool. */
import { describe, expect, test } from 'vitest';
import { ServiceShares } from '../../src/pool/service-shares.ts';
import { WaitQueue } from '../../src/pool/wait-queue.ts';
import type { Priority, Waiter } from '../../src/pool/waiter.ts';
import { Scene, type Client } from './scene.ts';

const waiterOf = (user: string, priority: Priority = 'normal'): Waiter => ({
  user,
  priority,
  mayGoElsewhere: false,
  mayShare: () => false,
  granted: () => undefined,
  refused: () => undefined,
});

describe('priorities', () => {
  test('high before normal before low, each in the order in which they came', () => {
    const queue = new WaitQueue();
    for (const priority of ['low', 'normal', 'high', 'low', 'normal', 'high'] as const)
      queue.join(waiterOf('app', priority), 0, 1);
    const order = Array.from({ length: 6 }, () => queue.take(1).waiter.priority);
    expect(order).toEqual(['high', 'high', 'normal', 'normal', 'low', 'low']);
    expect(queue.length).toBe(0);
  });

  test('one of ten is of the lowest: it waits for longer, but not for ever', () => {
    const queue = new WaitQueue();
    for (let i = 0; i < 100; i++) queue.join(waiterOf('app', 'high'), i, 1_000);
    for (let i = 0; i < 5; i++) queue.join(waiterOf('app', 'low'), i, 1_000);
    const order = Array.from({ length: 40 }, () => queue.take(1).waiter.priority);
    expect(order.flatMap((priority, at) => (priority === 'low' ? [at] : []))).toEqual([9, 19, 29, 39]);
  });

  test('normal has its turns too, by who has waited longest', () => {
    const queue = new WaitQueue();
    for (let i = 0; i < 200; i++) queue.join(waiterOf('app', 'high'), i, 1_000);
    for (let i = 0; i < 10; i++) queue.join(waiterOf('app', 'low'), 2 * i, 1_000);
    for (let i = 0; i < 10; i++) queue.join(waiterOf('app', 'normal'), 2 * i + 1, 1_000);
    const order = Array.from({ length: 80 }, () => queue.take(1).waiter.priority);
    expect(order.filter((priority) => priority !== 'high')).toEqual(
      Array.from({ length: 4 }, () => ['low', 'normal']).flat(),
    );
  });

  test('in an overload not even that', () => {
    const queue = new WaitQueue();
    const line = { smallestMs: Infinity, served: 0, gaveUp: 0 };
    const full = { waiting: 1, line, oldestMs: 2_000, isAtCapacity: true };
    for (let nowMs = 0; nowMs <= 1_200; nowMs += 100)
      queue.overload.look({ ...full, nowMs }, { queueTargetMs: 50, queueIntervalMs: 1_000, queuePatienceMs: 1_000 });
    expect(queue.overload.state).toBe('overloaded');
    queue.join(waiterOf('app', 'low'), 0, 1_000);
    for (let i = 1; i < 30; i++) queue.join(waiterOf('app', 'high'), i, 1_000);
    const order = Array.from({ length: 29 }, () => queue.take(1).sinceMs);
    expect(order).toEqual(Array.from({ length: 29 }, (_, i) => 29 - i));
    expect(queue.take(1).waiter.priority).toBe('low');
  });
});

describe('users of one pool', () => {
  /** Every user has as many clients as it wants; each holds a server for so long. Returns ms of service by user. */
  async function play(
    users: Readonly<Record<string, { readonly clients: number; readonly holdMs: number }>>,
    totalMs: number,
  ): Promise<Record<string, number>> {
    const scene = new Scene({ defaultPoolSize: 2, queueTargetMs: 0, queryWaitTimeoutMs: 10_000_000 });
    await scene.fill(2);
    const had: Record<string, number> = {};
    const inService: { client: Client; user: string; untilMs: number }[] = [];
    const come = (user: string, holdMs: number): void => {
      const begin = (): void => {
        // Granted at once: `client` is not known yet.
        queueMicrotask(() => inService.push({ client, user, untilMs: scene.clock.nowMs() + holdMs }));
      };
      const client: Client = scene.wait(user, { user }, undefined, begin);
      if (client.ticket === undefined) begin();
    };
    for (const [user, { clients, holdMs }] of Object.entries(users))
      for (let i = 0; i < clients; i++) come(user, holdMs);
    const endMs = scene.clock.nowMs() + totalMs;
    while (scene.clock.nowMs() < endMs) {
      await Promise.resolve();
      scene.clock.advance(10);
      const now = scene.clock.nowMs();
      for (const done of inService.splice(0)) {
        if (done.untilMs > now) {
          inService.push(done);
          continue;
        }
        const { holdMs } = users[done.user] as { holdMs: number };
        had[done.user] = (had[done.user] ?? 0) + holdMs;
        come(done.user, holdMs);
        scene.giveBack(done.client);
      }
    }
    return had;
  }

  test('equal shares of the time of the servers, not of statements, and not by who has more clients', async () => {
    const had = await play(
      { reports: { clients: 50, holdMs: 500 }, shop: { clients: 4, holdMs: 10 }, api: { clients: 6, holdMs: 20 } },
      60_000,
    );
    const each = Object.values(had);
    expect(each.length).toBe(3);
    const total = each.reduce((sum, ms) => sum + ms, 0);
    // Two servers were busy for nearly all of the time, and Jain's index of fairness is near 1.
    expect(total).toBeGreaterThan(0.9 * 2 * 60_000);
    const jain = total ** 2 / (3 * each.reduce((sum, ms) => sum + ms ** 2, 0));
    expect(jain).toBeGreaterThan(0.95);
  });

  test('who comes after a long time begins where the others are', () => {
    const shares = new ServiceShares();
    shares.joined('a');
    shares.granted('a', 10_000);
    shares.granted('a', 10);
    shares.joined('b');
    expect(shares.hadMs('b')).toBe(10_000);
    shares.granted('b', 100);
    shares.granted('b', 100);
    expect(shares.hadMs('b')).toBe(10_200);
  });

  test('thousands of users who have gone take no room', () => {
    const shares = new ServiceShares();
    for (let i = 0; i < 20_000; i++) {
      shares.joined(`user ${i}`);
      shares.granted(`user ${i}`, 1);
    }
    expect(shares.users).toBeLessThanOrEqual(1_001);
  });

  test('a queue that many users have used is no longer than those who wait at once', () => {
    const queue = new WaitQueue();
    for (let i = 0; i < 1_000; i++) {
      queue.join(waiterOf(`user ${i}`), i, 1_000);
      queue.join(waiterOf(`left ${i}`), i, 1_000).cancel();
      expect(queue.take(1).waiter.user).toBe(`user ${i}`);
    }
    expect(queue.lineCount).toBeLessThanOrEqual(2);
  });
});
