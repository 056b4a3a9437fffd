/** Who gets a server when: the queue in front of a pool, its deadlines, and those who leave it. */
import { describe, expect, test } from 'vitest';
import { WaitQueue } from '../../src/pool/wait-queue.ts';
import type { Waiter } from '../../src/pool/waiter.ts';
import { Scene, settled } from './scene.ts';

describe('the queue', () => {
  test('first come, first served', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const first = scene.wait('first');
    const second = scene.wait('second');
    scene.wait('third');
    await scene.logIn();
    expect(scene.served).toEqual(['first']);
    scene.giveBack(first);
    scene.giveBack(second);
    expect(scene.served).toEqual(['first', 'second', 'third']);
    expect(scene.pool.stats()).toMatchObject({ active: 1, idle: 0, waiting: 0, waits: 3, checkouts: 3 });
  });

  test('nobody overtakes those who wait, not even when a server is idle for a moment', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    await scene.fill(1);
    scene.pool.pause();
    const waiting = scene.wait('waiting');
    scene.pool.resume();
    expect(scene.pool.tryCheckout()).toBeUndefined();
    await scene.logIn();
    expect(waiting.server).toBeDefined();
  });

  test('of several idle servers the one used last, unless another looks like the session already', async () => {
    const scene = new Scene({ defaultPoolSize: 3 });
    const [first, second, last] = await scene.fill(3);
    expect(scene.pool.tryCheckout((server) => server === first)).toBe(first);
    expect(scene.pool.tryCheckout(() => false)).toBe(last);
    expect(scene.pool.tryCheckout()).toBe(second);
  });

  test('who left is passed over and holds nobody up', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const first = scene.wait('first');
    const left = scene.wait('left');
    scene.wait('last');
    await scene.logIn();
    left.ticket?.cancel();
    left.ticket?.cancel();
    expect(scene.pool.stats().waiting).toBe(1);
    scene.giveBack(first);
    expect(scene.served).toEqual(['first', 'last']);
  });

  test('query_wait_timeout: told so, with the name of the pool, while those behind wait on', async () => {
    const scene = new Scene({ defaultPoolSize: 1, queryWaitTimeoutMs: 1_000 });
    scene.wait('has it');
    await scene.logIn();
    const early = scene.wait('early');
    await scene.advance(600);
    const late = scene.wait('late');
    await scene.advance(399);
    expect(early.refusal).toBeUndefined();
    await scene.advance(1);
    expect(early.refusal).toMatchObject({
      isElsewhere: false,
      error: { sqlstate: '53400', errorName: 'query_wait_timeout' },
    });
    expect(early.refusal?.error.message).toContain('shop.app on db1');
    expect(late.refusal).toBeUndefined();
    expect(scene.pool.stats()).toMatchObject({ waitTimeouts: 1, waiting: 1 });
  });

  test('who has waited in another queue already is not made to wait longer for it', async () => {
    const scene = new Scene({ defaultPoolSize: 1, queryWaitTimeoutMs: 1_000 });
    scene.wait('has it');
    await scene.logIn();
    const ahead = scene.wait('ahead');
    const moved = scene.wait('moved', {}, scene.clock.nowMs() - 900);
    await scene.advance(100);
    expect(moved.refusal?.error.sqlstate).toBe('53400');
    expect(ahead.refusal).toBeUndefined();
  });

  test('everybody is sent elsewhere when the node can serve nobody any more', () => {
    const scene = new Scene();
    const clients = ['a', 'b'].map((name) => scene.wait(name));
    scene.pool.sendElsewhere('db1 is down');
    for (const client of clients) {
      expect(client.refusal).toMatchObject({ isElsewhere: true, error: { errorName: 'no_node' } });
    }
    expect(scene.pool.stats().waiting).toBe(0);
  });

  test('a thousand who leave behind one who stays take no room', () => {
    const queue = new WaitQueue();
    const waiter: Waiter = {
      user: 'app',
      priority: 'normal',
      mayGoElsewhere: false,
      mayShare: () => false,
      granted: () => undefined,
      refused: () => undefined,
    };
    const stays = queue.join(waiter, 0, 1);
    for (let i = 0; i < 1_000; i++) queue.join(waiter, 0, 1).cancel();
    expect(queue.length).toBe(1);
    expect(queue.places).toBeLessThan(100);
    expect(queue.take(1)).toBe(stays);
    expect(queue.oldest()).toBeUndefined();
  });
});

describe('the figures of the queue', () => {
  test('the longest wait, ended or going on, is taken once', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const holder = scene.wait('holder');
    await scene.logIn();
    scene.pool.takeMaxWaitMs();
    const next = scene.wait('next');
    scene.clock.advance(40);
    expect(scene.pool.stats().maxWaitMs).toBe(40);
    scene.giveBack(holder);
    expect(scene.pool.takeMaxWaitMs()).toBe(40);
    expect(scene.pool.takeMaxWaitMs()).toBe(0);
    scene.giveBack(next);
    const histogram = scene.pool.waitHistogram();
    expect(histogram.count).toBe(2);
    expect(histogram.counts.at(-1)).toBe(2);
    expect(histogram.counts[histogram.boundsSeconds.indexOf(0.025)]).toBe(1);
    expect(histogram.counts[histogram.boundsSeconds.indexOf(0.05)]).toBe(2);
    await settled();
  });

  test('the peak of connections in use since it was last asked', async () => {
    const scene = new Scene({ defaultPoolSize: 3 });
    const clients = ['a', 'b', 'c'].map((name) => scene.wait(name));
    await scene.logIn();
    for (const client of clients) scene.giveBack(client);
    expect(scene.pool.takePeakInUse()).toBe(3);
    expect(scene.pool.takePeakInUse()).toBe(0);
  });
});
