/** A pool in which fewer statements may run at once than it has servers: who waits, who never does, and who is woken. */
import { describe, expect, test } from 'vitest';
import { Scene, type Client } from './scene.ts';

/** Its client is in a transaction and asks nothing. */
function thinks(client: Client): void {
  Object.defineProperty(client.server, 'isKeptIdle', { value: true, configurable: true });
}
function asks(client: Client): void {
  Object.defineProperty(client.server, 'isKeptIdle', { value: false, configurable: true });
}

async function poolOf(servers: number, atOnce: number, queuePatienceMs = 0): Promise<Scene> {
  const scene = new Scene({ defaultPoolSize: servers, queuePatienceMs });
  await scene.fill(servers);
  scene.pool.atOnce.limit = atOnce;
  return scene;
}

describe('a limit of statements at once', () => {
  test('whoever comes when as many run waits, although servers are idle, and is next', async () => {
    const scene = await poolOf(4, 2);
    const [one, two] = [scene.wait('one'), scene.wait('two')];
    scene.wait('three');
    expect(scene.served).toEqual(['one', 'two']);
    expect(scene.pool.stats()).toMatchObject({ active: 2, idle: 2, waiting: 1, atOnce: 2 });
    scene.giveBack(one);
    expect(scene.served).toEqual(['one', 'two', 'three']);
    scene.giveBack(two);
    expect(scene.pool.stats()).toMatchObject({ active: 1, idle: 3, waiting: 0 });
  });

  test('all of it is used: when one comes back the next one goes', async () => {
    const scene = await poolOf(4, 3);
    const running = ['a', 'b', 'c'].map((name) => scene.wait(name));
    for (let i = 0; i < 20; i++) {
      const next = scene.wait(`next ${i}`);
      expect(next.server).toBeUndefined();
      scene.giveBack(running.shift() as Client);
      expect(next.server).toBeDefined();
      running.push(next);
      expect(scene.pool.stats()).toMatchObject({ active: 3, waiting: 0 });
    }
  });

  test('a transaction that thinks does not count, and makes room for another when its statement ends', async () => {
    const scene = await poolOf(4, 1);
    const first = scene.wait('first');
    const second = scene.wait('second');
    expect(second.server).toBeUndefined();
    thinks(first);
    scene.pool.statementEnded();
    expect(second.server).toBeDefined();
    // Its next statement runs beside the other: it is never held up.
    asks(first);
    const third = scene.wait('third');
    expect(scene.pool.stats()).toMatchObject({ active: 2, waiting: 1 });
    scene.giveBack(first);
    expect(third.server).toBeUndefined();
    scene.giveBack(second);
    expect(third.server).toBeDefined();
  });

  test('no connection is opened for those who wait for it', async () => {
    const scene = await poolOf(2, 2);
    scene.pool.setLimit(10, 'operator', 'RESIZE');
    scene.wait('one');
    scene.wait('two');
    for (let i = 0; i < 5; i++) scene.wait(`waiting ${i}`);
    await scene.advance(100);
    expect(scene.logins).toEqual([]);
    expect(scene.pool.stats()).toMatchObject({ active: 2, login: 0, waiting: 5 });
  });

  test('a larger limit, and none, lets those begin who wait', async () => {
    const scene = await poolOf(4, 1);
    for (const name of ['a', 'b', 'c', 'd']) scene.wait(name);
    expect(scene.served).toEqual(['a']);
    scene.pool.atOnce.limit = 3;
    scene.pool.statementEnded();
    expect(scene.served).toEqual(['a', 'b', 'c']);
    scene.pool.atOnce.limit = Infinity;
    await scene.advance(100);
    expect(scene.served).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a server that is lost makes room within a sweep', async () => {
    const scene = await poolOf(3, 1);
    const lost = scene.wait('lost');
    const next = scene.wait('next');
    lost.server?.destroy('lost');
    await scene.advance(100);
    expect(next.server).toBeDefined();
  });

  test('who waits for longer than query_wait_timeout is told why', async () => {
    const scene = new Scene({ defaultPoolSize: 4, queryWaitTimeoutMs: 1_000, queueTargetMs: 0 });
    await scene.fill(4);
    scene.pool.atOnce.limit = 1;
    scene.wait('one');
    const two = scene.wait('two');
    await scene.advance(1_000);
    expect(two.refusal?.error.message).toMatch(
      /as many statements run as do the most work together \(resize\.mode = on\)$/,
    );
  });

  test('counts as all that the pool can do: an overload is seen', async () => {
    const scene = await poolOf(4, 1, 1_000);
    scene.wait('one');
    for (let i = 0; i < 30; i++) {
      scene.wait(`client ${i}`);
      await scene.advance(100);
    }
    expect(scene.overloads).toEqual([true]);
  });
});
