/** Pools that share what one PostgreSQL server can spare. */
import { describe, expect, test, vi } from 'vitest';
import { NodeBudget } from '../../src/pool/budget.ts';
import { createManualClock } from '../../src/util/clock.ts';
import { Scene, settled } from './scene.ts';

function twoPools(limit: number, settings = {}): { budget: NodeBudget; one: Scene; two: Scene } {
  const budget = new NodeBudget();
  budget.limit = limit;
  const clock = createManualClock(1_000);
  return { budget, one: new Scene(settings, budget, clock), two: new Scene(settings, budget, clock) };
}

describe('the budget of a node', () => {
  test('is never exceeded, whoever asks', async () => {
    const { budget, one, two } = twoPools(3, { defaultPoolSize: 5 });
    for (const scene of [one, two]) for (let i = 0; i < 5; i++) scene.wait(`client ${i}`);
    await one.logIn();
    await two.logIn();
    expect(one.pool.servers().size + two.pool.servers().size).toBe(3);
    expect(budget.used).toBe(3);
  });

  test('an idle connection of one pool makes room for a client that waits in the other', async () => {
    const { budget, one, two } = twoPools(2, { defaultPoolSize: 2 });
    await one.fill(2);
    const client = two.wait('client');
    expect(one.pool.servers().size).toBe(1);
    await two.logIn();
    expect(client.server).toBeDefined();
    expect(budget.used).toBe(2);
  });

  test('but not one of its minimum, and not one that its own clients wait for', async () => {
    const { one, two } = twoPools(2, { defaultPoolSize: 2, minPoolSize: 2 });
    await one.fill(2);
    two.wait('client');
    expect(one.pool.servers().size).toBe(2);
    expect(two.logins).toHaveLength(0);
  });

  test('pools that always have clients take turns if there are fewer places than pools', async () => {
    const { budget, one, two } = twoPools(1, { defaultPoolSize: 1 });
    const first = one.wait('first');
    await one.logIn();
    const second = one.wait('second');
    const other = two.wait('other');
    await two.advance(400);
    one.giveBack(first);
    expect(second.server).toBeDefined();
    const third = one.wait('third');
    await two.advance(200);
    one.giveBack(second);
    expect([third.server, budget.used]).toEqual([undefined, 1]);
    await two.logIn();
    expect(other.server).toBeDefined();
    two.wait('next');
    await one.advance(600);
    two.giveBack(other);
    await one.logIn();
    expect([third.server === undefined, budget.used]).toEqual([false, 1]);
  });

  test('a pool that has more gives up one of them, once', async () => {
    const { budget, one, two } = twoPools(2, { defaultPoolSize: 2 });
    const clients = ['a', 'b'].map((name) => one.wait(name));
    await one.logIn();
    for (const name of ['c', 'd', 'e']) one.wait(name);
    const other = two.wait('other');
    await two.advance(600);
    for (const client of clients) one.giveBack(client);
    expect(one.pool.servers().size).toBe(1);
    await two.logIn();
    expect([other.server === undefined, budget.used]).toEqual([false, 2]);
  });

  test('a place that is given back is taken by whoever waits, at the next look', async () => {
    const { one, two } = twoPools(1, { defaultPoolSize: 1 });
    const first = one.wait('first');
    await one.logIn();
    const second = two.wait('second');
    expect(two.logins).toHaveLength(0);
    one.giveBack(first);
    await two.advance(100);
    await two.logIn();
    expect(second.server).toBeDefined();
    expect(one.pool.servers().size).toBe(0);
  });

  test('every end of a connection gives its place back, once', async () => {
    const { budget, one } = twoPools(10, { defaultPoolSize: 5 });
    const clients = ['a', 'b', 'c', 'd'].map((name) => one.wait(name));
    one.logins[0]?.fail();
    one.logins[0]?.succeed().destroy('gone at once');
    await one.logIn();
    await one.advance(5_000);
    await one.logIn();
    expect(budget.used).toBe(4);
    clients[0]?.server?.destroy('killed by the test');
    one.pool.setLimit(2, 'operator', 'a test');
    for (const client of clients.slice(1)) if (client.server !== undefined) one.giveBack(client);
    expect(budget.used).toBe(one.pool.servers().size);
    one.pool.close();
    expect(budget.used).toBe(0);
  });
});

describe('a database that may have only so many on the node (max_db_connections)', () => {
  function databases(): { node: NodeBudget; small: Scene; large: Scene } {
    const node = new NodeBudget();
    node.limit = 6;
    const inSmall = new NodeBudget(node);
    inSmall.limit = 2;
    const inLarge = new NodeBudget(node);
    const clock = createManualClock(1_000);
    const settings = { defaultPoolSize: 10 };
    return { node, small: new Scene(settings, inSmall, clock), large: new Scene(settings, inLarge, clock) };
  }

  test('leaves the others what the node can spare, and they it', async () => {
    const { node, small, large } = databases();
    for (let i = 0; i < 10; i++) small.wait(`small ${i}`);
    for (let i = 0; i < 10; i++) large.wait(`large ${i}`);
    await small.logIn();
    await large.logIn();
    expect(small.pool.servers().size).toBe(2);
    expect(large.pool.servers().size).toBe(4);
    expect(node.used).toBe(6);
  });

  test('takes an idle place of another database when the node is full, none when it is full itself', async () => {
    const { node, small, large } = databases();
    await large.fill(6);
    for (let i = 0; i < 3; i++) small.wait(`small ${i}`);
    await small.logIn();
    expect(small.pool.servers().size).toBe(2);
    expect(large.pool.servers().size).toBe(4);
    expect(node.used).toBe(6);
  });

  test('gives back at both', async () => {
    const { node, small } = databases();
    await small.fill(2);
    small.pool.close();
    expect(node.used).toBe(0);
  });
});

describe('a node that several Weirs have together', () => {
  function shared(limit: number): {
    budget: NodeBudget;
    one: Scene;
    two: Scene;
    share: { most: number; short: number };
  } {
    const { budget, one, two } = twoPools(Infinity, { defaultPoolSize: 5 });
    const share = { most: limit, short: 0 };
    budget.share = {
      limit: () => share.most,
      short: () => share.short++,
      whenGone: () => Promise.resolve(),
    };
    return { budget, one, two, share };
  }

  test('has as many connections as the share allows at that moment', async () => {
    const { budget, one, share } = shared(2);
    for (let i = 0; i < 5; i++) one.wait(`client ${i}`);
    await one.logIn();
    expect(budget.used).toBe(2);
    expect(share.short).toBeGreaterThan(0);
    expect(budget.demand()).toEqual({ need: 5, most: 10 });
    share.most = 4;
    budget.retry();
    await one.logIn();
    await one.logIn();
    expect(budget.used).toBe(4);
    expect(budget.pids()).toHaveLength(4);
  });

  test('a place is free when the backend has ended, and goes to whoever waits then', async () => {
    const { budget, one, two } = shared(2);
    await one.fill(2);
    const client = two.wait('client');
    expect(one.pool.servers().size).toBe(1);
    expect(two.logins).toHaveLength(0);
    expect(budget.used).toBe(2);
    await vi.waitFor(() => expect(two.logins).toHaveLength(1));
    expect(budget.used).toBe(2);
    await two.logIn();
    expect(client.server).toBeDefined();
  });

  test('one that is to have less closes idle connections, then those that come back, and none in use', async () => {
    const { budget, one, share } = shared(4);
    await one.fill(4);
    const clients = ['a', 'b'].map((name) => one.wait(name));
    share.most = 1;
    budget.closeAbove(1);
    expect(one.pool.servers().size).toBe(2);
    await vi.waitFor(() => expect(budget.used).toBe(2));
    budget.closeAbove(1);
    for (const client of clients) one.giveBack(client);
    await vi.waitFor(() => expect(budget.used).toBe(1));
    budget.closeAbove(1);
    expect(one.pool.servers().size).toBe(1);
  });

  test('a log-in that fails is tried again after server_login_retry, not at once because its place is free', async () => {
    const { one } = shared(4);
    for (let i = 0; i < 3; i++) one.wait(`client ${i}`);
    const begun = one.logins.length;
    one.logins[0]?.fail();
    await settled();
    expect(one.logins.length).toBe(begun - 1);
  });
});

describe('max_user_connections', () => {
  function twoDatabases(): { node: NodeBudget; one: Scene; two: Scene } {
    const node = new NodeBudget();
    const clock = createManualClock(1_000);
    const scene = (): Scene => new Scene({ defaultPoolSize: 5 }, new NodeBudget(node), clock);
    return { node, one: scene(), two: scene() };
  }

  test('counts the pools of the user in all databases of a server, and an idle connection makes room', async () => {
    const { node, one, two } = twoDatabases();
    node.limitUser('app', 2);
    await one.fill(2);
    const clients = ['a', 'b', 'c'].map((name) => two.wait(name));
    await two.logIn();
    expect(one.pool.servers().size + two.pool.servers().size).toBe(2);
    expect(clients.filter(({ server }) => server !== undefined)).not.toHaveLength(0);
    expect(node.shortage({ database: 'shop', user: 'app', node: 'db1' })).toBe('user');
    expect(node.shortage({ database: 'shop', user: 'other', node: 'db1' })).toBeUndefined();
  });

  test('pools of the user that always have clients take turns', async () => {
    const { node, one, two } = twoDatabases();
    node.limitUser('app', 1);
    const first = one.wait('first');
    await one.logIn();
    const other = two.wait('other');
    await two.advance(100);
    const second = one.wait('second');
    await two.advance(500);
    one.giveBack(first);
    expect(second.server).toBeUndefined();
    await two.logIn();
    expect(other.server).toBeDefined();
    two.wait('next');
    await one.advance(600);
    two.giveBack(other);
    await one.logIn();
    expect(second.server).toBeDefined();
    expect(node.used).toBe(1);
  });

  test('counts replication connections of the user, also of one who has no pool', async () => {
    const { node, one } = twoDatabases();
    const database = new NodeBudget(node);
    expect(await database.reserve('db1', 'nobody', 0)).toBeUndefined();
    const reserved = await database.reserve('db1', 'app', 1);
    expect([node.used, await database.reserve('db1', 'app', 1)]).toEqual([1, undefined]);
    expect(await database.reserve('db1', 'other', 1)).toBeDefined();
    node.limitUser('app', 1);
    const client = one.wait('client');
    await one.logIn();
    expect(client.server).toBeUndefined();
    reserved?.release(true);
    await one.advance(100);
    await one.logIn();
    expect(client.server).toBeDefined();
  });

  test('that was lowered closes idle connections; that was lifted lets others wait no longer', async () => {
    const { node, one, two } = twoDatabases();
    await one.fill(4);
    expect(one.pool.servers().size).toBe(4);
    node.limitUser('app', 1);
    expect(one.pool.servers().size).toBe(1);
    node.limitUser('app', Infinity);
    const clients = ['a', 'b', 'c'].map((name) => two.wait(name));
    await two.logIn();
    expect(clients.every(({ server }) => server !== undefined)).toBe(true);
  });
});
