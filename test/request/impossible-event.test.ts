/**
 * An event that the state of a request does not allow: it is counted, it costs this client its connection, and nobody else
 * anything. Let Session.move() set the state all the same to see it fail.
 */
import { afterEach, expect, test } from 'vitest';
import type { Socket } from 'node:net';
import { until } from '../../integration/harness/until.ts';
import { query } from '../../src/protocol/write.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import { framesOf } from '../fuzz/rude-client.ts';
import { makeWorld, type World } from '../fuzz/world.ts';

const classifier = await createClassifier();
let world: World;
afterEach(() => world.stop());

interface Client {
  readonly socket: Socket;
  /** Letters of the messages that it was sent, then forgotten. */
  take(): string;
  isClosed: boolean;
}

function connect(): Client {
  let heard: Buffer[] = [];
  const socket = world.connect();
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  const take = (): string => {
    const { frames } = framesOf(Buffer.concat(heard));
    heard = [];
    return frames.map(({ type }) => String.fromCharCode(type)).join('');
  };
  const client: Client = { socket, take, isClosed: false };
  socket.on('close', () => (client.isClosed = true));
  return client;
}

async function heard(client: Client): Promise<string> {
  let told = '';
  await until('the answer', () => client.isClosed || (told += client.take()).endsWith('Z'), { intervalMs: 1 });
  return told;
}

function ask(client: Client): Promise<string> {
  client.socket.write(query("SELECT 'something'"));
  return heard(client);
}

test('is counted, closes one connection, and leaves the others alone', async () => {
  world = makeWorld({ classifier, withReplica: false, poolSize: 2 });
  const [one, other] = [connect(), connect()];
  for (const client of [one, other]) {
    expect(await heard(client)).toMatch(/Z$/);
    expect(await ask(client)).toBe('TDCZ');
  }
  const [session] = world.sessions;
  const { inFlight } = session!;
  // As if something had settled each request already when its answer comes.
  const push = inFlight.push.bind(inFlight);
  inFlight.push = (request): void => {
    request.state = 'over';
    push(request);
  };
  await ask(one);
  await until('the connection to end', () => one.isClosed, { intervalMs: 1 });
  expect(world.unexpected[0]?.message).toBe('a request in the state "over" had the event "shown"');
  expect(await ask(other)).toBe('TDCZ');
  expect(other.isClosed).toBe(false);
  // What was found is what was made; nothing else is wrong.
  world.unexpected.length = 0;
  other.socket.end();
  await until('the other to leave', () => world.sessions.size === 0, { intervalMs: 1 });
  await until('all to be well', () => world.problems().length === 0, { intervalMs: 1 });
});
