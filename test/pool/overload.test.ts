/** An overload of a pool: when it begins and ends, who is served in it, and who is told early to come back. */
import { describe, expect, test } from 'vitest';
import { NodeBudget } from '../../src/pool/budget.ts';
import { Overload } from '../../src/pool/overload.ts';
import { Scene, settled, type Client } from './scene.ts';

const settings = { queueTargetMs: 50, queueIntervalMs: 1_000, queuePatienceMs: 1_000 };

/** A pool of one server and its holder, with a client that comes every 100 ms and one served every 200 ms. */
class Busy {
  readonly scene: Scene;
  readonly clients: Client[] = [];
  private holder: Client | undefined;

  constructor(changes: ConstructorParameters<typeof Scene>[0] = {}) {
    this.scene = new Scene({ defaultPoolSize: 1, queuePatienceMs: 1_000, ...changes });
  }

  async begin(): Promise<void> {
    this.holder = this.scene.wait('holder');
    await this.scene.logIn();
    for (let i = 0; i < 5; i++) this.come(`early ${i}`);
  }

  come(name: string, waiter: Parameters<Scene['wait']>[1] = {}): Client {
    const client = this.scene.wait(name, waiter);
    this.clients.push(client);
    return client;
  }

  /** The holder gives its server back, and the next one holds it. */
  serve(): string {
    const before = this.scene.served.length;
    if (this.holder !== undefined) this.scene.giveBack(this.holder);
    const name = this.scene.served[before];
    this.holder = this.clients.find((client) => client.name === name);
    return name ?? '';
  }

  async pass(ms: number, isServing: boolean): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      this.come(`at ${this.scene.clock.nowMs()}`);
      await this.scene.advance(100);
      if (isServing && passed % 200 === 100) this.serve();
    }
  }
}

describe('an overload', () => {
  test('begins when even the shortest wait of an interval was above queue_target: newest first, the oldest are refused', async () => {
    const busy = new Busy();
    await busy.begin();
    await busy.pass(900, true);
    expect(busy.scene.overloads).toEqual([]);
    expect(busy.scene.served).toEqual(['holder', 'early 0', 'early 1', 'early 2', 'early 3']);
    await busy.pass(400, false);
    expect(busy.scene.overloads).toEqual([true]);
    busy.come('newest');
    expect(busy.serve()).toBe('newest');
    await busy.scene.advance(100);
    const refused = busy.clients.filter(({ refusal }) => refusal !== undefined);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({
      name: 'early 4',
      refusal: { isElsewhere: false, error: { sqlstate: '53400', errorName: 'pool_overloaded' } },
    });
    expect(refused[0]?.refusal?.error.message).toMatch(
      /^waited 1\d\d\d ms for a server connection of shop\.app on db1, which has more work than it can do: all 1 connections are busy and \d+ clients wait$/,
    );
    expect(refused[0]?.refusal?.error.hint).toMatch(/^Try again in [1-9]\d{3,4} ms\. /);
    expect(busy.scene.pool.stats()).toMatchObject({
      isOverloaded: true,
      earlyRefusals: refused.length,
      waitTimeouts: 0,
    });
  });

  test('is none while everybody is served within queue_interval in the order of arrival, however long the queue', async () => {
    const busy = new Busy();
    await busy.begin();
    for (let i = 0; i < 60; i++) busy.come(`patient ${i}`);
    // Eight of sixty in each tenth of a second, and as many come anew: each waits for 800 ms.
    for (let round = 0; round < 100; round++) {
      for (let j = 0; j < 8; j++) busy.come(`again ${busy.serve()}`);
      await busy.scene.advance(100);
    }
    expect(busy.scene.overloads).toEqual([]);
    expect(busy.scene.pool.stats().earlyRefusals).toBe(0);
    expect(busy.scene.pool.stats().maxWaitMs).toBeGreaterThan(700);
  });

  test('begins when clients give up, even if none waits for as long as queue_interval', async () => {
    const busy = new Busy({ queuePatienceMs: 0 });
    await busy.begin();
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 4; i++) busy.come(`impatient ${round} ${i}`);
      busy.serve();
      await busy.scene.advance(100);
      // They leave after half a second.
      for (const { name, ticket } of busy.clients) if (name.startsWith(`impatient ${round - 5} `)) ticket?.cancel();
    }
    expect(busy.scene.pool.stats().maxWaitMs).toBeLessThan(1_000);
    expect(busy.scene.overloads).toEqual([true]);
    busy.come('newest');
    expect(busy.serve()).toBe('newest');
  });

  test.each([
    ['a client of high priority', { priority: 'high' as const }],
    ['a client of another user', { user: 'other' }],
  ])('begins although %s is served at once', async (_, favoured) => {
    const busy = new Busy({ queuePatienceMs: 0 });
    await busy.begin();
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 4; i++) busy.come(`impatient ${round} ${i}`);
      busy.come(`favoured ${round}`, favoured);
      busy.serve();
      await busy.scene.advance(50);
      busy.serve();
      await busy.scene.advance(50);
      for (const { name, ticket } of busy.clients) if (name.startsWith(`impatient ${round - 12} `)) ticket?.cancel();
    }
    expect(busy.scene.served.filter((name) => name.startsWith('favoured')).length).toBeGreaterThan(10);
    expect(busy.scene.overloads).toEqual([true]);
  });

  test('begins when the oldest waits longer than queue_patience, although others are served at once', async () => {
    const busy = new Busy({ queuePatienceMs: 500 });
    await busy.begin();
    for (let round = 0; round < 30; round++) {
      busy.come(`patient ${round}`);
      busy.come(`favoured ${round}`, { priority: 'high' });
      busy.serve();
      await busy.scene.advance(100);
    }
    expect(busy.scene.overloads).toEqual([true]);
    expect(busy.scene.pool.stats().earlyRefusals).toBeGreaterThan(10);
  });

  test('ends when the queue is empty, and the next ones are served in the order in which they come', async () => {
    const busy = new Busy();
    await busy.begin();
    await busy.pass(1_200, false);
    expect(busy.scene.overloads).toEqual([true]);
    while (busy.scene.pool.stats().waiting > 0) busy.serve();
    await busy.scene.advance(100);
    expect(busy.scene.overloads).toEqual([true, false]);
    busy.come('one');
    busy.come('two');
    expect([busy.serve(), busy.serve()]).toEqual(['one', 'two']);
  });

  test('goes on while the newest are served at once and others wait', async () => {
    const busy = new Busy();
    await busy.begin();
    await busy.pass(1_200, false);
    for (let i = 0; i < 50; i++) {
      busy.come(`newer ${i}`);
      busy.come(`newest ${i}`);
      expect(busy.serve()).toBe(`newest ${i}`);
      await busy.scene.advance(100);
    }
    expect(busy.scene.overloads).toEqual([true]);
  });

  test('ends when the oldest has waited little', async () => {
    const busy = new Busy();
    await busy.begin();
    await busy.pass(1_200, false);
    for (let i = 0; i < 12; i++) {
      while (busy.scene.pool.stats().waiting > 0) busy.serve();
      busy.come(`young ${i}`);
      await busy.scene.advance(40);
    }
    // Never empty when it was looked at, and the interval is not over yet.
    expect(busy.scene.overloads).toEqual([true]);
    for (let i = 0; i < 14; i++) {
      while (busy.scene.pool.stats().waiting > 0) busy.serve();
      busy.come(`younger ${i}`);
      await busy.scene.advance(40);
    }
    expect(busy.scene.overloads).toEqual([true, false]);
    expect(busy.clients.filter(({ name, refusal }) => name.startsWith('young') && refusal !== undefined)).toEqual([]);
  });

  test('a burst that is over within an interval is none', async () => {
    const busy = new Busy();
    await busy.begin();
    for (let i = 0; i < 30; i++) busy.come(`burst ${i}`);
    for (let i = 0; i < 9; i++) {
      for (let j = 0; j < 4; j++) busy.serve();
      await busy.scene.advance(100);
    }
    await busy.scene.advance(2_000);
    expect(busy.scene.overloads).toEqual([]);
    expect(busy.clients.filter(({ refusal }) => refusal !== undefined)).toEqual([]);
  });

  test('a burst of any size is none while the queue gets shorter by itself', async () => {
    const busy = new Busy();
    await busy.begin();
    for (let i = 0; i < 1_000; i++) busy.come(`burst ${i}`);
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < 15; j++) busy.serve();
      await busy.scene.advance(100);
    }
    expect(busy.scene.overloads).toEqual([]);
    expect(busy.clients.filter(({ refusal }) => refusal !== undefined)).toEqual([]);
  });

  test.each([
    ['with queue_target = 0', { queueTargetMs: 0 }],
    ['while nobody gives up, and it is not known how long clients wait', { queuePatienceMs: 0 }],
    ['with pool_mode = session', { poolMode: 'session' as const }],
  ])('never begins %s', async (_, changes) => {
    const busy = new Busy(changes);
    await busy.begin();
    await busy.pass(5_000, false);
    expect(busy.scene.overloads).toEqual([]);
    expect(busy.scene.pool.stats().earlyRefusals).toBe(0);
  });

  test('is not a pause, and ends with one', async () => {
    const busy = new Busy();
    await busy.begin();
    busy.scene.pool.pause();
    await busy.pass(3_000, false);
    expect(busy.scene.overloads).toEqual([]);
    busy.scene.pool.resume();
    await busy.pass(1_200, false);
    expect(busy.scene.overloads).toEqual([true]);
    busy.scene.pool.pause();
    await busy.scene.advance(100);
    expect(busy.scene.overloads).toEqual([true, false]);
  });

  test('is not a pool that still grows: a larger one is seen for a whole interval first', async () => {
    const busy = new Busy();
    await busy.begin();
    await busy.pass(900, false);
    busy.scene.pool.setLimit(2, 'pressure', 'clients waited');
    await busy.pass(900, false);
    expect(busy.scene.overloads).toEqual([]);
    await busy.scene.logIn();
    await busy.pass(1_200, false);
    expect(busy.scene.overloads).toEqual([true]);
  });

  test.each([
    ['some servers are always being replaced', 2],
    ['the pool never gets as large as it may be', 6],
  ])('begins although clients leave in mid-statement, so that %s', async (_, limit) => {
    const scene = new Scene({ defaultPoolSize: 2 });
    await scene.fill(2);
    scene.pool.setLimit(limit, 'pressure', 'clients waited');
    const holders: Client[] = [];
    let left = 0;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 8; i++) holders.push(scene.wait(`impatient ${round} ${i}`));
      await scene.advance(100);
      for (const client of holders) {
        if (client.server?.isAlive !== true || scene.overloads.length > 0) continue;
        client.server.destroy('its client left in mid-statement or in a transaction');
        left++;
      }
      // Nobody stays for longer than half a second.
      for (const { name, ticket } of holders) if (name.startsWith(`impatient ${round - 5} `)) ticket?.cancel();
      await settled();
      // The new ones have not logged in yet.
      if (scene.overloads.length === 0) expect(scene.pool.stats().active).toBe(0);
      await scene.advance(100);
      // At most two at a time.
      for (const login of [...scene.logins]) login.succeed();
      await settled();
    }
    expect(left).toBeGreaterThan(5);
    expect(scene.overloads).toEqual([true]);
  });

  test('is not a server that closes its connections', async () => {
    const scene = new Scene({ defaultPoolSize: 2 });
    await scene.fill(2);
    const clients: Client[] = [];
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 8; i++) clients.push(scene.wait(`impatient ${round} ${i}`));
      for (const { server } of clients) if (server?.isAlive === true) scene.socketOf(server).push(null);
      await settled();
      await scene.advance(100);
      for (const { name, ticket } of clients) if (name.startsWith(`impatient ${round - 5} `)) ticket?.cancel();
      await scene.logIn();
    }
    expect(scene.overloads).toEqual([]);
  });

  test('is not a node that cannot be reached', async () => {
    const busy = new Busy();
    await busy.begin();
    busy.scene.pool.setLimit(2, 'operator', 'RESIZE');
    await busy.scene.advance(0);
    busy.scene.logins[0]?.fail();
    await busy.pass(3_000, false);
    expect(busy.scene.overloads).toEqual([]);
  });

  test('is one if the node has no place for more connections, although the pool might have more', async () => {
    const budget = new NodeBudget();
    budget.limit = 1;
    const scene = new Scene({ defaultPoolSize: 5, queuePatienceMs: 1_000 }, budget);
    scene.wait('holder');
    await scene.logIn();
    for (let i = 0; i < 30; i++) {
      scene.wait(`client ${i}`);
      await scene.advance(100);
    }
    expect(scene.overloads).toEqual([true]);
  });

  test('is none if Weir itself was held up', async () => {
    const busy = new Busy();
    await busy.begin();
    for (let i = 0; i < 20; i++) {
      busy.come(`client ${i}`);
      await busy.scene.advance(300);
    }
    expect(busy.scene.overloads).toEqual([]);
  });

  test('low priority is refused after twice queue_target', async () => {
    const busy = new Busy();
    await busy.begin();
    await busy.pass(1_200, false);
    const low = busy.come('low', { priority: 'low' });
    const normal = busy.come('normal');
    await busy.scene.advance(100);
    expect(low.refusal).toBeUndefined();
    await busy.scene.advance(100);
    expect(low.refusal?.error.message).toMatch(/^waited 200 ms/);
    expect(normal.refusal).toBeUndefined();
  });

  test('with few statements at once the error does not speak of busy connections', async () => {
    const busy = new Busy({ defaultPoolSize: 2, maxPoolSize: 2 });
    await busy.begin();
    busy.scene.pool.atOnce.limit = 1;
    await busy.pass(2_500, false);
    const refused = busy.clients.find(({ refusal }) => refusal !== undefined);
    expect(refused?.refusal?.error.message).toContain('as many statements run as do the most work together');
  });

  test('the hint goes by the time that has passed, not by a queue_interval shorter than the time between two looks', () => {
    const overload = new Overload();
    const short = { ...settings, queueIntervalMs: 10 };
    const line = { smallestMs: 500, served: 1, gaveUp: 1 };
    for (let nowMs = 100; nowMs < 2_000; nowMs += 100) {
      overload.served += 5;
      overload.look({ nowMs, waiting: 9, line, oldestMs: 1_500, isAtCapacity: true }, short);
    }
    expect(overload.state).toBe('overloaded');
    expect(overload.drainMs(100, short)).toBe(2_000);
  });

  test('the hint is the time in which those who wait would be served, a minute at most', () => {
    const overload = new Overload();
    const line = { smallestMs: 500, served: 10, gaveUp: 0 };
    let nowMs = 0;
    const look = (): boolean =>
      overload.look({ nowMs: (nowMs += 100), waiting: 9, line, oldestMs: 1_500, isAtCapacity: true }, settings);
    expect(overload.drainMs(10_000, settings)).toBe(1_000);
    look();
    while (nowMs < 3_000) {
      overload.served++;
      look();
    }
    expect(overload.state).toBe('overloaded');
    // Ten in each second.
    expect(overload.drainMs(100, settings)).toBeCloseTo(10_000, -3);
    expect(overload.drainMs(1, settings)).toBe(1_000);
    expect(overload.drainMs(1_000_000, settings)).toBe(60_000);
  });
});
