/** What becomes of a pool's connections: resized, too old, idle for too long, cleaned, held back, paused. */
import { describe, expect, test } from 'vitest';
import type { ServerConnection } from '../../src/backend/server.ts';
import { KeptBounds } from '../../src/pool/bounds.ts';
import { Scene, settled } from './scene.ts';

describe('resizing', () => {
  test('down: idle connections close at once, busy ones when they come back', async () => {
    const scene = new Scene({ defaultPoolSize: 4 });
    const clients = ['a', 'b', 'c', 'd'].map((name) => scene.wait(name));
    await scene.logIn();
    const [a, b, c, d] = clients as [
      (typeof clients)[0],
      (typeof clients)[0],
      (typeof clients)[0],
      (typeof clients)[0],
    ];
    scene.giveBack(a);
    scene.pool.setLimit(2, 'operator', 'a test');
    expect(scene.pool.stats()).toMatchObject({ limit: 2, active: 3, idle: 0 });
    scene.giveBack(b);
    expect(scene.pool.stats()).toMatchObject({ active: 2, idle: 0 });
    scene.giveBack(c);
    scene.giveBack(d);
    expect(scene.pool.stats()).toMatchObject({ active: 0, idle: 2 });
    expect(scene.closed).toEqual(['the pool was made smaller', 'no longer needed']);
  });

  test('down while log-ins are under way: what comes too late is closed', async () => {
    const scene = new Scene({ defaultPoolSize: 4 });
    for (const name of ['a', 'b', 'c', 'd']) scene.wait(name);
    scene.pool.setLimit(1, 'operator', 'a test');
    await scene.logIn();
    expect(scene.served).toEqual(['a']);
    expect(scene.pool.stats()).toMatchObject({ active: 1, idle: 0, waiting: 3 });
  });

  test('up: those who wait are served', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    for (const name of ['a', 'b', 'c']) scene.wait(name);
    await scene.logIn();
    scene.pool.setLimit(3, 'pressure', 'clients waited 38 ms (target 10 ms)');
    await scene.logIn();
    expect(scene.served).toEqual(['a', 'b', 'c']);
    expect(scene.pool.stats()).toMatchObject({
      limit: 3,
      resizes: { 'up:pressure': 1 },
      lastResize: { from: 1, to: 3, reason: 'pressure', why: 'clients waited 38 ms (target 10 ms)' },
    });
  });

  test('bounds move the limit into them, and the other bound out of the way', () => {
    const { pool } = new Scene({ defaultPoolSize: 4, minPoolSize: 2, maxPoolSize: 8 });
    pool.setBounds({ max: 3 }, 'RESIZE');
    expect(pool.stats()).toMatchObject({ min: 2, max: 3, limit: 3 });
    pool.setBounds({ max: 1 }, 'RESIZE');
    expect(pool.stats()).toMatchObject({ min: 1, max: 1, limit: 1 });
    pool.setBounds({ min: 5 }, 'RESIZE');
    expect(pool.stats()).toMatchObject({ min: 5, max: 5, limit: 5 });
  });
});

describe('age', () => {
  test('server_lifetime with a jitter, counted while idle and when a busy one comes back', async () => {
    const scene = new Scene({ defaultPoolSize: 2, serverLifetimeMs: 100_000 });
    scene.draw = 0;
    const first = scene.wait('first');
    const [young] = await scene.logIn();
    scene.draw = 1;
    const second = scene.wait('second');
    await scene.logIn();
    scene.giveBack(second);
    await scene.advance(89_999);
    scene.giveBack(first);
    expect(scene.pool.stats().idle).toBe(2);
    await scene.advance(1);
    expect(young?.isAlive).toBe(false);
    expect(scene.pool.stats().idle).toBe(1);
    const third = scene.wait('third');
    scene.giveBack(third);
    await scene.advance(10_000);
    expect(scene.closed).toEqual(['server_lifetime', 'server_lifetime']);
  });

  test('a busy one that has passed its time is closed when it comes back, not before', async () => {
    const scene = new Scene({ serverLifetimeMs: 1_000 });
    const client = scene.wait('client');
    await scene.logIn();
    await scene.advance(5_000);
    expect(client.server?.isAlive).toBe(true);
    scene.giveBack(client);
    expect(scene.pool.stats()).toMatchObject({ active: 0, idle: 0 });
  });

  test('server_lifetime = 0: used once, however long it has waited for that', async () => {
    const scene = new Scene({ defaultPoolSize: 2, minPoolSize: 1, serverLifetimeMs: 0 });
    await scene.advance(0);
    await scene.logIn();
    await scene.advance(86_400_000);
    expect(scene.closed).toEqual([]);
    const client = scene.wait('client');
    scene.giveBack(client);
    expect(scene.closed).toEqual(['no longer needed']);
    const [next] = await scene.logIn();
    expect(next?.isAlive).toBe(true);
    expect(scene.pool.stats()).toMatchObject({ active: 0, idle: 1 });
  });

  test('server_lifetime = 0: what Weir itself had still serves one client', async () => {
    const scene = new Scene({ defaultPoolSize: 2, minPoolSize: 1, serverLifetimeMs: 0 });
    await scene.advance(0);
    await scene.logIn();
    const server = scene.pool.tryCheckout();
    if (server === undefined) throw new Error('no idle server');
    scene.pool.checkin(server, false, false);
    expect([scene.closed, scene.pool.stats().idle]).toEqual([[], 1]);
    scene.giveBack(scene.wait('client'));
    expect(scene.closed).toEqual(['no longer needed']);
  });

  test('server_idle_timeout closes the surplus that is used least, down to the minimum', async () => {
    const scene = new Scene({ defaultPoolSize: 3, minPoolSize: 1, serverIdleTimeoutMs: 10_000 });
    await scene.fill(3);
    await scene.advance(6_000);
    const busy = scene.wait('busy');
    scene.giveBack(busy);
    await scene.advance(4_001);
    expect(scene.pool.stats().idle).toBe(1);
    await scene.advance(60_000);
    expect(scene.pool.stats().idle).toBe(1);
  });
});

describe('which of the idle servers', () => {
  const useTwice = async (serverRoundRobin: boolean): Promise<unknown[]> => {
    const scene = new Scene({ defaultPoolSize: 3, minPoolSize: 3, serverRoundRobin });
    await scene.fill(3);
    const used: unknown[] = [];
    for (const name of ['one', 'two', 'three', 'four']) {
      const client = scene.wait(name);
      used.push(client.server);
      scene.giveBack(client);
    }
    return used;
  };

  test('the one used last', async () => {
    expect(new Set(await useTwice(false)).size).toBe(1);
  });

  test('with server_round_robin each in its turn', async () => {
    const used = await useTwice(true);
    expect(new Set(used).size).toBe(3);
    expect(used[3]).toBe(used[0]);
  });
});

describe('cleaning', () => {
  test('a dirty server is reset before the next client gets it, and forgets what it had', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const first = scene.wait('first');
    const [server] = await scene.logIn();
    if (server === undefined) throw new Error('no server');
    server.sessionState.isSuspect = true;
    server.sessionState.settings = { some: 'settings' };
    server.prepared.use('s1');
    const second = scene.wait('second');
    scene.giveBack(first, true);
    expect(scene.pool.stats()).toMatchObject({ resetting: 1, active: 0 });
    expect(second.server).toBeUndefined();
    await settled();
    expect(scene.socketOf(server).said).toContain('DISCARD ALL');
    expect(second.server).toBe(server);
    expect([server.sessionState.isSuspect, server.sessionState.settings, server.prepared.size]).toEqual([
      false,
      undefined,
      0,
    ]);
  });

  test.each([
    ['an error', 'error' as const],
    ['nothing for five seconds', 'silence' as const],
  ])('a server that answers it with %s is closed, and another one is opened', async (_what, mode) => {
    const scene = new Scene({ defaultPoolSize: 1 });
    scene.onReset.mode = mode;
    const first = scene.wait('first');
    const [server] = await scene.logIn();
    const second = scene.wait('second');
    scene.giveBack(first, true);
    await settled();
    await scene.advance(5_000);
    expect(server?.isAlive).toBe(false);
    expect(scene.closed[0]).toMatch(/^the reset (failed: DISCARD ALL cannot run|took too long)$/);
    await scene.logIn();
    expect(second.server?.isAlive).toBe(true);
    expect(scene.pool.stats()).toMatchObject({ active: 1, resetting: 0 });
  });

  test('one that died meanwhile is just gone', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    scene.onReset.mode = 'silence';
    const first = scene.wait('first');
    const [server] = await scene.logIn();
    scene.giveBack(first, true);
    server?.destroy('killed by the test');
    await settled();
    expect(scene.pool.stats()).toMatchObject({ active: 0, idle: 0, resetting: 0 });
  });
});

describe('a cancel that is still on its way', () => {
  test('holds the server back until it has arrived', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const first = scene.wait('first');
    const [server] = await scene.logIn();
    if (server === undefined) throw new Error('no server');
    let arrive: () => void = () => undefined;
    server.cancelSent(new Promise((resolve) => (arrive = resolve)));
    const second = scene.wait('second');
    scene.giveBack(first);
    await settled();
    expect(second.server).toBeUndefined();
    expect(scene.pool.stats()).toMatchObject({ resetting: 1, active: 0 });
    arrive();
    await settled();
    expect(second.server).toBe(server);
    expect(server.cancelling).toBeUndefined();
    expect(scene.pool.stats()).toMatchObject({ resetting: 0, active: 1 });
  });

  test('and it may die of something else meanwhile', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const first = scene.wait('first');
    const [server] = await scene.logIn();
    if (server === undefined) throw new Error('no server');
    let arrive: () => void = () => undefined;
    server.cancelSent(new Promise((resolve) => (arrive = resolve)));
    scene.giveBack(first);
    server.destroy('killed by the test');
    arrive();
    await settled();
    expect(scene.pool.stats()).toMatchObject({ active: 0, idle: 0, resetting: 0 });
  });
});

describe('operators', () => {
  test('PAUSE closes idle servers at once and busy or dirty ones when they come back; RESUME serves the line', async () => {
    const scene = new Scene({ defaultPoolSize: 3, minPoolSize: 1 });
    await scene.fill(3);
    const busy = scene.wait('busy');
    const dirty = scene.wait('dirty');
    scene.pool.pause();
    expect(scene.pool.servers().size).toBe(2);
    const waiting = scene.wait('waiting');
    scene.giveBack(busy);
    scene.giveBack(dirty, true);
    await scene.advance(100);
    expect(scene.pool.servers().size).toBe(0);
    expect(scene.logins).toHaveLength(0);
    scene.pool.resume();
    await scene.logIn();
    expect(waiting.server).toBeDefined();
  });

  test('a log-in that ends during PAUSE is closed', async () => {
    const scene = new Scene();
    const client = scene.wait('client');
    scene.pool.pause();
    await scene.logIn();
    expect(scene.pool.servers().size).toBe(0);
    scene.pool.resume();
    await scene.logIn();
    expect(client.server).toBeDefined();
  });

  test('RECONNECT replaces idle servers at once and busy ones when they come back', async () => {
    const scene = new Scene({ defaultPoolSize: 2 });
    await scene.fill(2);
    const client = scene.wait('client');
    const old = client.server;
    scene.pool.reconnect();
    expect(scene.pool.servers().size).toBe(1);
    expect(old?.isAlive).toBe(true);
    scene.giveBack(client);
    expect(old?.isAlive).toBe(false);
  });

  test('RECONNECT reaches a server whose log-in is under way: the client gets one that has logged in since', async () => {
    const scene = new Scene({ defaultPoolSize: 2 });
    const client = scene.wait('client');
    const [login] = scene.logins;
    scene.pool.reconnect();
    const old = login!.succeed();
    await settled();
    expect(old.isAlive).toBe(false);
    expect(client.server).toBeUndefined();
    const [fresh] = await scene.logIn();
    expect(client.server).toBe(fresh);
    expect(scene.pool.servers().size).toBe(1);
  });

  test('RECONNECT reaches a server that is being cleaned', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const client = scene.wait('client');
    const [server] = await scene.logIn();
    scene.giveBack(client, true);
    scene.pool.reconnect();
    await settled();
    expect(server?.isAlive).toBe(false);
  });

  test('a closed pool sends everybody elsewhere and keeps nothing', async () => {
    const scene = new Scene({ defaultPoolSize: 2 });
    const has = scene.wait('has');
    await scene.logIn();
    const alsoHas = scene.wait('also has');
    const waits = scene.wait('waits');
    scene.pool.close();
    expect(waits.refusal?.isElsewhere).toBe(true);
    expect(alsoHas.refusal?.isElsewhere).toBe(true);
    await scene.logIn();
    scene.giveBack(has);
    expect(scene.pool.isUnused).toBe(true);
    await scene.advance(10_000);
    expect(scene.logins).toHaveLength(0);
  });

  test('a reload brings new settings; new sizes undo what was done by hand, others do not', async () => {
    const scene = new Scene({ defaultPoolSize: 2, maxPoolSize: 10 });
    scene.pool.setBounds({ min: 6, max: 6 }, 'RESIZE');
    await scene.advance(100);
    await scene.logIn();
    scene.pool.reconfigure({ ...scene.settings, queryWaitTimeoutMs: 500 });
    expect(scene.pool.stats()).toMatchObject({ min: 6, max: 6, limit: 6, idle: 6 });
    for (let i = 0; i < 6; i++) scene.wait(`client ${i}`);
    const waits = scene.wait('waits');
    await scene.advance(500);
    expect(waits.refusal?.error.sqlstate).toBe('53400');

    scene.pool.reconfigure({ ...scene.settings, minPoolSize: 0, maxPoolSize: 4 });
    expect(scene.pool.stats()).toMatchObject({ min: 0, max: 4, limit: 4 });
    scene.pool.reconfigure({ ...scene.settings, defaultPoolSize: 3, minPoolSize: 0, maxPoolSize: 4 });
    expect(scene.pool.stats()).toMatchObject({ limit: 3, lastResize: { from: 4, to: 3, reason: 'reload' } });
  });
});

describe('bounds for pools to come', () => {
  test('are those of their user and node, the last word winning', () => {
    const kept = new KeptBounds();
    const everybody = { user: undefined, node: undefined, min: undefined, max: 40 };
    kept.keep({ ...everybody, max: 5 });
    kept.keep({ ...everybody, user: 'app', node: 'db2', max: 7 });
    kept.keep(everybody);
    expect([...kept.of('other', 'db1')].map((bounds) => bounds.max)).toEqual([5, 40]);
    expect([...kept.of('app', 'db2')].map((bounds) => bounds.max)).toEqual([5, 7, 40]);
    kept.forget();
    expect([...kept.of('app', 'db2')]).toEqual([]);
  });
});

describe('renewed for a client that cannot use what it has', () => {
  test('its place is given to nobody else', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const a = scene.wait('a');
    const [old] = (await scene.logIn()) as [ServerConnection];
    const b = scene.wait('b');
    const renewed = scene.pool.renew(old);
    await settled();
    expect(scene.closed).toEqual(['its client cannot use it']);
    expect(scene.pool.stats()).toMatchObject({ login: 1, active: 0, waiting: 1 });
    const [fresh] = (await scene.logIn()) as [ServerConnection];
    expect(await renewed).toBe(fresh);
    expect(scene.pool.stats()).toMatchObject({ login: 0, active: 1, waiting: 1 });
    expect(b.server).toBeUndefined();
    a.server = fresh;
    scene.giveBack(a);
    expect(b.server).toBe(fresh);
  });

  test('a log-in that fails leaves the place free', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    scene.wait('a');
    const [old] = (await scene.logIn()) as [ServerConnection];
    const renewed = scene.pool.renew(old);
    await settled();
    scene.logins[0]?.fail();
    expect(await renewed).toBeUndefined();
    expect(scene.pool.stats()).toMatchObject({ login: 0, active: 0, connectFailures: 1 });
  });

  test('one that is gone by the time is not waited for', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    scene.wait('a');
    const [old] = (await scene.logIn()) as [ServerConnection];
    const renewed = scene.pool.renew(old);
    await settled();
    scene.logins[0]?.succeed().destroy('a test');
    expect(await renewed).toBeUndefined();
    expect(scene.pool.stats()).toMatchObject({ login: 0, active: 0 });
  });
});
