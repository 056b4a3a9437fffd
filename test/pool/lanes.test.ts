/** Which server short reads of several clients share, how many, and what happens when one of them takes too long. */
import { describe, expect, test } from 'vitest';
import type { AnswerReceiver, ServerConnection } from '../../src/backend/server.ts';
import { Answer, Owed } from '../../src/protocol/answers.ts';
import { commandComplete, readyForQuery } from '../../src/protocol/write.ts';
import { Scene, hold, leave, settled } from './scene.ts';

const anyServer = (): boolean => true;

/** A pool whose servers are all in use by clients that others may share them with. */
async function lanesOf(count: number): Promise<{ scene: Scene; servers: ServerConnection[] }> {
  const scene = new Scene({ defaultPoolSize: count });
  for (let i = 0; i < count; i++) scene.wait(`holder ${i}`);
  const servers = await scene.logIn();
  for (const server of servers) scene.pool.setLane(server, true);
  return { scene, servers };
}

function share(scene: Scene, isFit: (server: ServerConnection) => boolean = anyServer): ServerConnection | undefined {
  const server = scene.pool.tryShare(isFit);
  if (server !== undefined) hold(server);
  return server;
}

describe('a place in a lane', () => {
  test('is where the fewest are, among the servers that look like the session', async () => {
    const { scene, servers } = await lanesOf(3);
    const [, second, third] = servers;
    const picks = [share(scene), share(scene), share(scene)];
    expect(new Set(picks).size).toBe(3);
    expect(share(scene, (server) => server === second)).toBe(second);
    expect(share(scene, (server) => server !== servers[0])).toBe(third);
    expect(share(scene, () => false)).toBeUndefined();
  });

  test('is one of sixteen', async () => {
    const { scene } = await lanesOf(1);
    const places = Array.from({ length: 20 }, () => share(scene)).filter((server) => server !== undefined);
    expect(places).toHaveLength(15);
  });

  test('is not there behind a head that has taken 20 ms, and there again when it has moved on', async () => {
    const { scene, servers } = await lanesOf(1);
    scene.clock.advance(20);
    expect(share(scene)).toBeDefined();
    scene.clock.advance(1);
    expect(share(scene)).toBeUndefined();
    (servers[0] as ServerConnection).lastReadyAtMs = scene.clock.nowMs();
    expect(share(scene)).toBeDefined();
  });

  test('is not there when a cancel is on its way to the server, when it is to be closed, or when the lane is over', async () => {
    const { scene, servers } = await lanesOf(3);
    const [cancelled, old, over] = servers as [ServerConnection, ServerConnection, ServerConnection];
    cancelled.cancelSent(Promise.resolve());
    old.isCloseNeeded = true;
    scene.pool.setLane(over, false);
    expect(share(scene)).toBeUndefined();
  });

  test('is for the time being: as long as the pool may grow, another server is on its way', async () => {
    const { scene } = await lanesOf(2);
    expect(share(scene)).toBeDefined();
    expect(scene.logins).toHaveLength(0);
    scene.pool.setLimit(4, 'operator', 'more');
    expect(share(scene)).toBeDefined();
    expect(share(scene)).toBeDefined();
    expect(scene.logins).toHaveLength(1);
    const [server] = await scene.logIn();
    expect(scene.pool.tryCheckout()).toBe(server);
  });

  test('is not there during PAUSE', async () => {
    const { scene } = await lanesOf(1);
    scene.pool.pause();
    expect(share(scene)).toBeUndefined();
  });

  test('does not overtake those in line', async () => {
    const { scene } = await lanesOf(1);
    scene.wait('wants a server of its own');
    expect(share(scene)).toBeUndefined();
  });
});

describe('reads that leave in one write', () => {
  const query = Buffer.from('Q\0\0\0\x0dselect 1\0', 'latin1');

  test('only while the pool has lately been short of idle servers', async () => {
    const { scene, servers } = await lanesOf(2);
    const newest = servers[1] as ServerConnection;
    newest.send(query);
    expect(scene.pool.tryJoin(anyServer)).toBeUndefined();
    share(scene);
    expect(scene.pool.tryJoin(anyServer)).toBe(newest);
    scene.clock.advance(100);
    expect(scene.pool.tryJoin(anyServer)).toBeUndefined();
  });

  test('only where something leaves in this turn', async () => {
    const { scene, servers } = await lanesOf(1);
    const server = servers[0] as ServerConnection;
    share(scene);
    expect(scene.pool.tryJoin(anyServer)).toBeUndefined();
    server.send(query);
    expect(scene.pool.tryJoin(() => false)).toBeUndefined();
    expect(scene.pool.tryJoin(anyServer)).toBe(server);
    await new Promise(setImmediate);
    expect(scene.pool.tryJoin(anyServer)).toBeUndefined();
  });

  test('four at most, and none where a client asks for a server of its own', async () => {
    const { scene, servers } = await lanesOf(1);
    const server = servers[0] as ServerConnection;
    server.send(query);
    share(scene);
    let places = 0;
    for (; scene.pool.tryJoin(anyServer) !== undefined; places++) hold(server);
    expect(server.sharers).toBe(4);
    expect(places).toBeGreaterThan(0);
    leave(server, server.sharers - 1);
    scene.wait('wants a server of its own');
    expect(scene.pool.tryJoin(anyServer)).toBeUndefined();
  });
});

describe('a line of short reads', () => {
  test('moves up into lanes as places become free, in order', async () => {
    const { scene, servers } = await lanesOf(1);
    const [server] = servers as [ServerConnection];
    for (let i = 0; i < 15; i++) share(scene);
    for (const name of ['first', 'second', 'third']) scene.wait(name, { mayShare: anyServer });
    scene.served.length = 0;
    scene.pool.fillLane(server);
    expect(scene.served).toEqual([]);
    leave(server, 2);
    scene.pool.fillLane(server);
    expect(scene.served).toEqual(['first', 'second']);
    expect(server.sharers).toBe(16);
  });

  test('ends at one who wants a server of its own: it is not overtaken', async () => {
    const { scene, servers } = await lanesOf(1);
    const [server] = servers as [ServerConnection];
    for (let i = 0; i < 15; i++) share(scene);
    scene.wait('short', { mayShare: anyServer });
    scene.wait('own server');
    scene.wait('behind', { mayShare: anyServer });
    scene.served.length = 0;
    leave(server, 5);
    scene.pool.fillLane(server);
    expect(scene.served).toEqual(['short']);
    leave(server, server.sharers);
    scene.pool.checkin(server, false);
    expect(scene.served).toEqual(['short', 'own server']);
  });

  test('a server that is given back to a short read takes those behind it along', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const holder = scene.wait('holder');
    const [server] = await scene.logIn();
    if (server === undefined) throw new Error('no server');
    // As a session does when it sends its read.
    const opensLane = (): void => scene.pool.setLane(server, true);
    for (const name of ['first', 'second', 'third']) scene.wait(name, { mayShare: anyServer }, undefined, opensLane);
    scene.served.length = 0;
    scene.giveBack(holder);
    expect(scene.served).toEqual(['first', 'second', 'third']);
    expect(server.sharers).toBe(3);
  });
});

describe('a head that takes too long', () => {
  const receiver = (name: string, said: string[]): AnswerReceiver => ({
    relay: () => undefined,
    completed: () => undefined,
    errored: () => undefined,
    noticed: () => undefined,
    parameterChanged: () => undefined,
    drained: () => undefined,
    lost: () => said.push(`${name} lost`),
    ready: () => said.push(`${name} ready`),
    heldUp: () => said.push(`${name} held up`),
  });

  test('keeps its server; those behind it may leave, and nobody else comes', async () => {
    const { scene, servers } = await lanesOf(1);
    const [server] = servers as [ServerConnection];
    const said: string[] = [];
    for (const name of ['head', 'second', 'third']) server.owe(new Answer(Owed.Query, receiver(name, said)));
    share(scene);
    share(scene);
    await scene.advance(500);
    expect(said).toEqual([]);
    await scene.advance(1);
    expect(said).toEqual(['second held up', 'third held up']);
    expect(share(scene)).toBeUndefined();
    await scene.advance(1_000);
    expect(said).toHaveLength(2);
    expect(server.isAlive).toBe(true);
  });

  test('and alone it takes as long as it likes', async () => {
    const { scene, servers } = await lanesOf(1);
    const [server] = servers as [ServerConnection];
    const said: string[] = [];
    server.owe(new Answer(Owed.Query, receiver('head', said)));
    await scene.advance(60_000);
    expect(said).toEqual([]);
  });

  test('what somebody who left was owed comes to whom he handed it over, in its turn', async () => {
    const { scene, servers } = await lanesOf(1);
    const [server] = servers as [ServerConnection];
    const said: string[] = [];
    const [one, leaver, other] = ['one', 'leaver', 'other'].map((name) => receiver(name, said));
    if (one === undefined || leaver === undefined || other === undefined) throw new Error('three receivers');
    let undone = 0;
    server.owe(new Answer(Owed.Query, one));
    server.owe(new Answer(Owed.Query, leaver, false, undefined, () => undone++));
    server.owe(new Answer(Owed.Query, other));
    server.handOver(leaver, receiver('seat', said));
    const answer = Buffer.concat([commandComplete('SELECT 1'), readyForQuery('I')]);
    scene.socketOf(server).push(Buffer.concat([answer, answer, answer]));
    await settled();
    expect(said).toEqual(['one ready', 'seat ready', 'other ready']);
    expect(undone).toBe(1);
    // It may have prepared something that nobody knows of.
    expect(server.isCloseNeeded).toBe(true);
  });
});
