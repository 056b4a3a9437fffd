/**
 * An event that the state of a server connection does not allow: it is counted, it costs this one connection, and the pool
 * goes on. Let ServerConnection.move() set the state all the same to see it fail.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { Socket } from 'node:net';
import { until } from '../../integration/harness/until.ts';
import type { ServerConnection } from '../../src/backend/server.ts';
import { query } from '../../src/protocol/write.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import { framesOf } from '../fuzz/rude-client.ts';
import { makeWorld, type World } from '../fuzz/world.ts';
import { Scene, settled } from './scene.ts';

describe('a pool', () => {
  test('closes a server that is given back twice, and serves the others', async () => {
    const scene = new Scene({ defaultPoolSize: 3 });
    await scene.fill(3);
    const [one, other] = [scene.wait('one'), scene.wait('other')];
    const twice = one.server as ServerConnection;
    scene.giveBack(one);
    scene.pool.checkin(twice, false);
    expect(scene.unexpected).toEqual(['a server connection in the state "idle" had the event "given back"']);
    expect(twice.isAlive).toBe(false);
    expect(other.server?.isAlive).toBe(true);
    expect(scene.pool.stats()).toMatchObject({ active: 1, idle: 1, resetting: 0 });
    expect(scene.wait('next').server?.isAlive).toBe(true);
    scene.wait('one more');
    await scene.logIn();
    expect(scene.pool.stats()).toMatchObject({ active: 3, idle: 0, waiting: 0 });
  });

  test.each([
    ['any server', false],
    ['that very server', true],
  ])('that is asked for %s does not hand out one that somebody has taken past it', async (_what, isNamed) => {
    const scene = new Scene({ defaultPoolSize: 2 });
    const [first, last] = (await scene.fill(2)) as [ServerConnection, ServerConnection];
    last.move('handed out');
    if (isNamed) expect(scene.pool.tryTake(last)).toBeUndefined();
    expect(scene.wait('client').server).toBe(first);
    expect(scene.unexpected).toHaveLength(1);
    expect(last.isAlive).toBe(false);
    expect(scene.pool.stats()).toMatchObject({ active: 1, idle: 0 });
  });

  test('keeps the place of those who wait', async () => {
    const scene = new Scene({ defaultPoolSize: 1 });
    const holder = scene.wait('holder');
    const [server] = (await scene.logIn()) as [ServerConnection];
    const waits = scene.wait('waits');
    // It comes back, but not from a client.
    server.move('given back');
    server.move('reset begun');
    scene.giveBack(holder);
    await settled();
    expect(scene.unexpected).toEqual(['a server connection in the state "resetting" had the event "given back"']);
    expect(waits.server).toBeUndefined();
    await scene.logIn();
    expect(waits.server?.isAlive).toBe(true);
  });
});

const classifier = await createClassifier();
let world: World | undefined;
afterEach(() => world?.stop());

interface Client {
  readonly socket: Socket;
  ask(): Promise<string>;
}

/** A client with its greeting behind it. */
async function connect({ connect: toWeir }: World): Promise<Client> {
  let heard: Buffer[] = [];
  const socket = toWeir();
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  const types = async (): Promise<string> => {
    let told = '';
    const isOver = (): boolean => {
      told = framesOf(Buffer.concat(heard))
        .frames.map(({ type }) => String.fromCharCode(type))
        .join('');
      return told.endsWith('Z');
    };
    await until('the answer', isOver, { intervalMs: 1 });
    heard = [];
    return told;
  };
  await types();
  const ask = (): Promise<string> => {
    socket.write(query("SELECT 'something'"));
    return types();
  };
  return { socket, ask };
}

test('no client notices, not even the one whose server it was', async () => {
  world = makeWorld({ classifier, withReplica: false, poolSize: 2 });
  const [one, other] = [await connect(world), await connect(world)];
  expect(await Promise.all([one.ask(), other.ask()])).toEqual(['TDCZ', 'TDCZ']);
  const [pool] = [...world.pools()];
  const [server, spared] = [...pool!.servers()];
  expect(server?.move('cancel arrived')).toBe(false);
  expect(world.unexpected.map(({ message }) => message)).toEqual([
    'a server connection in the state "idle" had the event "cancel arrived"',
  ]);
  expect([server?.isAlive, spared?.isAlive]).toEqual([false, true]);
  expect(await Promise.all([one.ask(), other.ask()])).toEqual(['TDCZ', 'TDCZ']);
  // What was found is what was made; nothing else is wrong.
  world.unexpected.length = 0;
  for (const { socket } of [one, other]) socket.end();
  await until('all to be well', () => world?.problems().length === 0, { intervalMs: 1 });
});
