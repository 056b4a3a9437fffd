/** server_check_query: a server that was idle for long answers before a client gets it. */
import { describe, expect, test } from 'vitest';
import { Scene, settled } from './scene.ts';

const settings = { serverCheckQuery: '<empty>', serverCheckDelayMs: 30_000, defaultPoolSize: 5 };
const checked = (scene: Scene): number =>
  [...scene.pool.servers()].filter((server) => scene.socketOf(server).said.includes('Q\0\0\0\x05\0')).length;

describe('server_check_query', () => {
  test('is not asked of a server that was used a moment ago', async () => {
    const scene = new Scene(settings);
    await scene.fill(1);
    await scene.advance(29_000);
    expect(scene.wait('client').server).toBeDefined();
    expect(checked(scene)).toBe(0);
  });

  test('is asked of one that was idle for longer, which the client gets when it has answered', async () => {
    const scene = new Scene(settings);
    const [server] = await scene.fill(1);
    await scene.advance(30_000);
    const client = scene.wait('client');
    expect([client.server, scene.pool.stats().resetting, scene.logins.length]).toEqual([undefined, 1, 0]);
    await settled();
    expect([client.server === server, checked(scene)]).toEqual([true, 1]);
    expect(scene.pool.stats()).toMatchObject({ active: 1, resetting: 0, waiting: 0 });
    scene.giveBack(client);
    expect(scene.wait('next').server).toBe(server);
  });

  test('is asked of as many as there are clients, and of no more', async () => {
    const scene = new Scene(settings);
    await scene.fill(4);
    await scene.advance(30_000);
    const clients = ['a', 'b'].map((name) => scene.wait(name));
    expect(scene.pool.stats()).toMatchObject({ resetting: 2, idle: 2 });
    await settled();
    expect(clients.every(({ server }) => server !== undefined)).toBe(true);
    expect(checked(scene)).toBe(2);
  });

  test('a server that is kept for a client that has left meanwhile is idle again', async () => {
    const scene = new Scene(settings);
    await scene.fill(1);
    await scene.advance(30_000);
    scene.wait('client').ticket?.cancel();
    await settled();
    expect(scene.pool.stats()).toMatchObject({ idle: 1, resetting: 0 });
    expect(scene.wait('next').server).toBeDefined();
  });

  test.each([
    ['error', 'it is broken'],
    ['transaction', 'it has left a transaction open'],
  ] as const)('%s: the server is closed, and the client gets another one', async (mode, why) => {
    const scene = new Scene(settings);
    const servers = await scene.fill(2);
    // The one used last is asked first.
    const last = servers.at(-1);
    if (last !== undefined) scene.socketOf(last).onCheck = mode;
    await scene.advance(30_000);
    const client = scene.wait('client');
    await settled();
    expect(last?.isAlive).toBe(false);
    await scene.advance(100);
    expect([client.server === servers[0], client.refusal]).toEqual([true, undefined]);
    expect(scene.failedChecks).toEqual([why]);
  });

  test('no answer within server_connect_timeout: those that were idle for as long are closed, and a new one is opened', async () => {
    const scene = new Scene(settings);
    for (const server of await scene.fill(3)) scene.socketOf(server).onCheck = 'silence';
    await scene.advance(30_000);
    const client = scene.wait('client');
    await scene.advance(4_900);
    expect([client.server, scene.pool.servers().size]).toEqual([undefined, 3]);
    await scene.advance(100);
    expect(scene.closed).toHaveLength(3);
    await scene.logIn();
    expect([client.server?.isAlive, scene.failedChecks.length]).toEqual([true, 1]);
  });

  test('a server that dies while it is asked is just gone', async () => {
    const scene = new Scene(settings);
    const [server] = await scene.fill(1);
    if (server !== undefined) scene.socketOf(server).onCheck = 'silence';
    await scene.advance(30_000);
    const client = scene.wait('client');
    server?.destroy('killed by the test');
    await scene.logIn();
    expect(client.server?.isAlive).toBe(true);
    expect([scene.pool.stats().resetting, scene.unexpected]).toEqual([0, []]);
  });

  test('a delay of 0 asks whenever the server was idle, but not between two clients', async () => {
    const scene = new Scene({ ...settings, serverCheckDelayMs: 0, defaultPoolSize: 1 });
    await scene.fill(1);
    const first = scene.wait('first');
    await settled();
    expect([first.server === undefined, checked(scene)]).toEqual([false, 1]);
    const second = scene.wait('second');
    scene.giveBack(first);
    expect(second.server).toBeDefined();
  });

  test('with server_round_robin, too', async () => {
    const scene = new Scene({ ...settings, serverRoundRobin: true });
    await scene.fill(2);
    await scene.advance(30_000);
    const client = scene.wait('client');
    await settled();
    expect([client.server === undefined, checked(scene)]).toEqual([false, 1]);
  });
});
