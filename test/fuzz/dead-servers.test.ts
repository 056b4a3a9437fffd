/**
 * Whoever has a server hears of its death, also one that is owed nothing yet; and whoever asks a server that is dead
 * already is told so. Nobody waits for an answer that cannot come.
 */
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { ServerConnection, type AnswerReceiver } from '../../src/backend/server.ts';
import { TurnWriter } from '../../src/net/turn.ts';
import { Answer, Owed } from '../../src/protocol/answers.ts';
import { query } from '../../src/protocol/write.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import { Scene } from '../pool/scene.ts';
import type { FakePostgres, Mind } from './fake-postgres.ts';
import { node } from '../routing/route-fixture.ts';
import { socketPair } from './memory-socket.ts';
import { framesOf } from './rude-client.ts';
import { makeWorld } from './world.ts';

const classifier = await createClassifier();
const nothing = (): void => undefined;

function listener(name: string, heard: string[]): AnswerReceiver {
  return {
    ...{ relay: nothing, completed: nothing, errored: nothing, noticed: nothing, parameterChanged: nothing },
    ...{ ready: nothing, heldUp: nothing, drained: nothing },
    lost: () => void heard.push(name),
  };
}

async function serverOf(): Promise<ServerConnection> {
  const scene = new Scene({ defaultPoolSize: 1 });
  scene.wait('somebody');
  return (await scene.logIn())[0] as ServerConnection;
}

it('everybody who has it hears of it once, owed something or not', async () => {
  const server = await serverOf();
  const heard: string[] = [];
  const [first, second, third, gone] = ['first', 'second', 'third', 'gone'].map((name) => listener(name, heard));
  for (const each of [first, second, third, gone]) server.holders.add(each as AnswerReceiver);
  server.owe(new Answer(Owed.Query, second as AnswerReceiver));
  server.owe(new Answer(Owed.Query, second as AnswerReceiver));
  server.holders.remove(gone as AnswerReceiver);
  server.destroy('the test ends it');
  expect(heard).toEqual(['second', 'first', 'third']);
});

it('what is asked of a dead server is lost, and what was to come of it is undone', async () => {
  const server = await serverOf();
  server.destroy('the test ends it');
  const heard: string[] = [];
  const late = listener('late', heard);
  for (const kind of [Owed.Bind, Owed.Execute, Owed.Sync]) {
    server.owe(new Answer(kind, late, false, undefined, () => void heard.push('undone')));
  }
  // Whoever sends is told when it has sent.
  expect(heard).toEqual(['undone', 'undone', 'undone']);
  await expect(server.run('SELECT 1')).rejects.toThrow('the test ends it');
  expect(heard).toEqual(['undone', 'undone', 'undone', 'late']);
});

it.each(['destroy', 'end'] as const)('a server whose connection ended behind its log-in is dead: %s', async (how) => {
  const [ours, theirs] = socketPair();
  ours.resume();
  theirs[how]();
  await until('the end to be noticed', () => ours.destroyed, { intervalMs: 1 });
  const closed: string[] = [];
  const server = new ServerConnection({
    ...{ id: 1, node: node('primary').config, turn: new TurnWriter(), maxPreparedStatements: 1, nowMs: 0 },
    owner: { closed: (_server, why) => void closed.push(why), unexpected: nothing },
    link: {
      ...{ socket: ours, leftover: Buffer.alloc(0), notices: [], parameters: new Map<string, string>() },
      ...{ processId: 1, secretKey: Buffer.alloc(4), hasTls: false },
    },
  });
  expect(server.isAlive).toBe(false);
  expect(closed).toHaveLength(1);
});

type FourClients = [Client, Client, Client, Client];
interface Client {
  readonly socket: Socket;
  readies(): number;
}

function client(socket: Socket): Client {
  const heard: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  const isReady = ({ type }: { type: number }): boolean => type === 0x5a;
  return { socket, readies: () => framesOf(Buffer.concat(heard)).frames.filter(isReady).length };
}

async function ask({ socket, readies }: Client, sql: string): Promise<void> {
  const before = readies();
  socket.write(query(sql));
  await until(sql, () => readies() > before, { intervalMs: 1 });
}

/** Answers of servers that are kept back, until they die: those of whoever says a word of it. */
function silence(word: string): { mind: Mind; silent: Set<FakePostgres>; isOver: boolean } {
  const held = { silent: new Set<FakePostgres>(), isOver: false };
  const mind: Mind = (message, server) => {
    if (held.isOver) return message;
    if (message.includes(word)) held.silent.add(server);
    return held.silent.has(server) ? Buffer.alloc(0) : message;
  };
  return Object.assign(held, { mind });
}

it('a read that waits, in a lane, for a commit elsewhere survives the death of its server', async () => {
  const held = silence('UPDATE');
  const lane = silence("'neighbour'");
  const mind: Mind = (message, server) => {
    const said = held.mind(message, server);
    return said === undefined ? undefined : lane.mind(said, server);
  };
  // A read that takes long on a busy machine is not short, and may not share a server: here none takes any time.
  const standing = { sinceMs: performance.now(), isOver: false };
  const nowMs = (): number => (standing.isOver ? performance.now() : standing.sinceMs);
  const world = makeWorld({ classifier, poolSize: 2, mind, nowMs });
  const [writer, neighbour, reader, last] = Array.from({ length: 4 }, () => client(world.connect())) as FourClients;
  const onPrimary = (name: string): string => `SELECT id FROM users WHERE name = '${name}' /* weir: route=primary */`;
  // It is known to be short.
  for (let i = 0; i < 20; i++) await ask(reader, onPrimary('reader'));
  for (let i = 0; i < 20; i++) await ask(neighbour, onPrimary('before'));
  for (let i = 0; i < 20; i++) await ask(last, onPrimary('last'));
  writer.socket.write(query('UPDATE users SET name = name'));
  await until('the write to be under way', () => held.silent.size === 1, { intervalMs: 1 });
  await ask(reader, 'SELECT id FROM users');
  const before = reader.readies();
  // At once: a lane that stands still takes nobody.
  neighbour.socket.write(query(onPrimary('neighbour')));
  reader.socket.write(query(onPrimary('reader')));
  last.socket.write(query(onPrimary('last')));
  const isInLane = (): boolean => [...world.sessions].some(({ server }) => (server?.sharers ?? 0) > 2);
  await until('all to be in one lane', isInLane, { intervalMs: 1 });
  await until('the neighbour to be in it', () => lane.silent.size === 1, { intervalMs: 1 });
  lane.isOver = standing.isOver = true;
  for (const server of lane.silent) server.end();
  await until('its answer', () => reader.readies() > before, { intervalMs: 1 });
  held.isOver = true;
  for (const server of held.silent) server.end();
  for (const { socket } of [writer, neighbour, reader, last]) socket.end();
  await until('the pool to be whole', () => world.problems().length === 0, { intervalMs: 1 });
  world.stop();
});
