/** When a pool opens connections, how many at once, and what a log-in that fails means for those who wait. */
import { describe, expect, test } from 'vitest';
import type { ServerConnection } from '../../src/backend/server.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { Scene, settled } from './scene.ts';

const refusal = new WeirError('server_refused', { why: 'password authentication failed' }, undefined, {
  sqlstate: '28P01',
  hint: undefined,
});

describe('log-ins', () => {
  test('four at once into an empty pool, two once it has a server', async () => {
    const scene = new Scene({ defaultPoolSize: 20, maxPoolSize: 20 });
    for (let i = 0; i < 12; i++) scene.wait(`client ${i}`);
    expect(scene.logins).toHaveLength(4);
    scene.logins[0]?.succeed();
    await settled();
    expect(scene.logins).toHaveLength(3);
    scene.logins[0]?.succeed();
    scene.logins[0]?.succeed();
    await settled();
    expect(scene.logins).toHaveLength(2);
    expect(await scene.logIn()).toHaveLength(9);
    expect(scene.served).toHaveLength(12);
  });

  test('no more than somebody waits for, and never more than the limit', async () => {
    const scene = new Scene({ defaultPoolSize: 3 });
    scene.wait('only one');
    expect(scene.logins).toHaveLength(1);
    for (let i = 0; i < 10; i++) scene.wait(`client ${i}`);
    await scene.logIn();
    expect(scene.pool.stats()).toMatchObject({ active: 3, waiting: 8, login: 0, connects: 3 });
  });

  test('one who waits is served by whatever comes first, a log-in or a server that is given back', async () => {
    const scene = new Scene({ defaultPoolSize: 2 });
    const first = scene.wait('first');
    await scene.logIn();
    const second = scene.wait('second');
    expect(scene.logins).toHaveLength(1);
    scene.giveBack(first);
    expect(second.server).toBeDefined();
    await scene.logIn();
    expect(scene.pool.stats()).toMatchObject({ active: 1, idle: 1 });
  });

  test('min_pool_size is opened without anybody waiting, and kept', async () => {
    const scene = new Scene({ minPoolSize: 2, defaultPoolSize: 5 });
    await scene.advance(100);
    const servers = await scene.logIn();
    expect(servers).toHaveLength(2);
    servers[0]?.destroy('killed by the test');
    await settled();
    expect(scene.logins).toHaveLength(1);
    await scene.logIn();
    await scene.advance(700_000);
    expect(scene.pool.stats().idle).toBe(2);
  });

  test('a server that died while it logged in is not handed out and gives its place back', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const client = scene.wait('client');
    scene.logins[0]?.succeed().destroy('gone at once');
    await settled();
    expect(client.server).toBeUndefined();
    await scene.logIn();
    expect(client.server?.isAlive).toBe(true);
  });
});

describe('a log-in that fails', () => {
  test('is tried again after server_login_retry, not before', async () => {
    const scene = new Scene({ serverLoginRetryMs: 2_000 });
    const client = scene.wait('client');
    scene.logins[0]?.fail();
    await settled();
    await scene.advance(1_999);
    scene.wait('another');
    expect(scene.logins).toHaveLength(0);
    await scene.advance(1);
    expect(scene.logins).toHaveLength(2);
    await scene.logIn();
    expect(client.server).toBeDefined();
    expect(scene.pool.stats()).toMatchObject({ connectFailures: 1, connectProblem: undefined });
  });

  test('sends reads to another node at once; who has no other waits', async () => {
    const scene = new Scene();
    const read = scene.wait('read', { mayGoElsewhere: true });
    const write = scene.wait('write');
    scene.logins[0]?.fail({ message: 'no route to host' });
    await settled();
    expect(read.refusal).toMatchObject({ isElsewhere: true, error: { errorName: 'server_login_failed' } });
    expect(write.refusal).toBeUndefined();
  });

  test.each([
    ['57P03', 'the database system is starting up'],
    ['53300', 'sorry, too many clients already'],
    [undefined, 'no route to host'],
  ])(
    'at the deadline, the reason is told with the SQLSTATE of the server, if it gave one: %s',
    async (sqlstate, message) => {
      const scene = new Scene({ queryWaitTimeoutMs: 1_000 });
      const client = scene.wait('client');
      scene.logins[0]?.fail({ message, sqlstate, isServerFull: sqlstate === '53300' });
      await settled();
      await scene.advance(1_001);
      expect(client.refusal?.error.sqlstate).toBe(sqlstate ?? '08006');
      expect(client.refusal?.error.message).toContain(message);
    },
  );

  test('at the deadline, the reason is the log-in and not a full pool', async () => {
    const scene = new Scene({ queryWaitTimeoutMs: 1_000 });
    const client = scene.wait('client');
    scene.logins[0]?.fail({ message: 'no route to host' });
    await settled();
    await scene.advance(1_000);
    expect(client.refusal?.error.message).toContain('no route to host');
  });

  test('for good (a wrong password) is told to everybody who waits and to those who come, and asked again later', async () => {
    const scene = new Scene({ defaultPoolSize: 5, serverLoginRetryMs: 2_000 });
    const waiting = ['a', 'b', 'c'].map((name) => scene.wait(name));
    for (const login of [...scene.logins]) login.fail({ refusal, message: 'password authentication failed' });
    await settled();
    const late = scene.wait('late');
    expect(late.ticket).toBeUndefined();
    for (const { refusal } of [...waiting, late]) {
      expect(refusal).toMatchObject({ isElsewhere: false, error: { sqlstate: '28P01' } });
      expect(refusal?.error.message).toContain('password authentication failed');
    }
    expect(scene.logins).toHaveLength(0);
    await scene.advance(2_000);
    const lucky = scene.wait('lucky');
    await scene.logIn();
    expect(lucky.server).toBeDefined();
  });

  test('for good does not touch those who can wait for a server that is open', async () => {
    const scene = new Scene({ defaultPoolSize: 2 });
    const first = scene.wait('first');
    await scene.logIn();
    const second = scene.wait('second');
    scene.logins[0]?.fail({ refusal });
    await settled();
    expect(second.refusal).toBeUndefined();
    scene.giveBack(first);
    expect(second.server).toBeDefined();
  });

  test('because the server is full (53300) is counted for the controller, and nobody is refused', async () => {
    const scene = new Scene();
    const client = scene.wait('client', { mayGoElsewhere: true });
    scene.logins[0]?.fail({ isServerFull: true, message: 'sorry, too many clients already' });
    await settled();
    expect(client.refusal).toBeUndefined();
    expect(scene.pool.takeServerFull()).toBe(1);
    expect(scene.pool.takeServerFull()).toBe(0);
  });
});

describe('a server that does not suit its client', () => {
  const begin = async (settings = {}): Promise<{ scene: Scene; server: ServerConnection }> => {
    const scene = new Scene({ defaultPoolSize: 1, ...settings });
    const client = scene.wait('client');
    await scene.logIn();
    return { scene, server: client.server as ServerConnection };
  };

  test('is replaced by a new one in its place, past those who wait', async () => {
    const { scene, server } = await begin();
    scene.wait('next');
    const renewed = scene.pool.renew(server);
    expect(scene.logins).toHaveLength(1);
    expect(scene.pool.stats()).toMatchObject({ active: 0, login: 1, waiting: 1 });
    const [fresh] = await scene.logIn();
    expect(await renewed).toBe(fresh);
    expect(server.isAlive).toBe(false);
    expect(scene.served).toEqual(['client']);
    expect(scene.pool.stats()).toMatchObject({ active: 1, login: 0, waiting: 1 });
    scene.pool.checkin(fresh as ServerConnection, false);
    expect(scene.served).toEqual(['client', 'next']);
  });

  test('is nobody’s when the log-in fails, and its place is free', async () => {
    const { scene, server } = await begin();
    const renewed = scene.pool.renew(server);
    scene.logins[0]?.fail({ isServerFull: true });
    expect(await renewed).toBeUndefined();
    expect(scene.pool.stats()).toMatchObject({ active: 0, login: 0, connectFailures: 1 });
    await scene.advance(2_000);
    const next = scene.wait('next');
    await scene.logIn();
    expect(next.server).toBeDefined();
  });

  test('is not replaced while the pool is paused', async () => {
    const { scene, server } = await begin();
    const renewed = scene.pool.renew(server);
    scene.pool.pause();
    await scene.logIn();
    expect(await renewed).toBeUndefined();
    await settled();
    expect(scene.pool.stats()).toMatchObject({ active: 0, idle: 0, login: 0 });
    const again = await begin();
    again.scene.pool.pause();
    expect(await again.scene.pool.renew(again.server)).toBeUndefined();
    await settled();
    expect(again.scene.pool.isUnused).toBe(true);
  });

  test('that is dead already is not replaced', async () => {
    const { scene, server } = await begin();
    server.destroy('killed by the test');
    await settled();
    expect(await scene.pool.renew(server)).toBeUndefined();
    expect(scene.pool.isUnused).toBe(true);
  });
});
