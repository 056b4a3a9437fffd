/**
 * Whatever the sizes, whoever stops reading for a while: some progress is always possible. Random conversations end with
 * the answers that PostgreSQL gives, and nothing is owed to anybody: no answer, no paused socket, no server, no place.
 * Either side may die at any byte. WEIR_FUZZ_SEQUENCES=10000 runs more, WEIR_FUZZ_SEED others.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backend } from '../../src/protocol/codes.ts';
import { FrameScanner } from '../../src/protocol/scanner.ts';
import { describe as describeMessage, query, sync } from '../../src/protocol/write.ts';
import { bind, execute, parseText } from './frames.ts';
import { classifier, conversationCount, expectWhole, runOptions, serveGoodClient } from './crowd.ts';
import { FakePostgres } from './fake-postgres.ts';
import { flowConversation, lastWords } from './flow-conversations.ts';
import type { FlowConversation } from './flow-conversations.ts';
import { socketPair } from './memory-socket.ts';
import { soon } from './soon.ts';
import { makeWorld } from './world.ts';
import type { World, WorldOptions } from './world.ts';

const wanted = conversationCount(600);
const worlds: readonly Omit<WorldOptions, 'classifier'>[] = [
  { poolMode: 'transaction', poolSize: 2 },
  { poolMode: 'transaction', poolSize: 1, withReplica: false, maxPreparedStatements: 1 },
  { poolMode: 'session', poolSize: 4 },
  { poolMode: 'transaction', poolSize: 3, withCache: true },
];

/** The types of the messages that come, without those that may come at any time. */
class Ear {
  types = '';
  bytes = 0;
  private hasHeardLast = false;
  private readonly scanner: FrameScanner;

  constructor(socket: Socket) {
    this.scanner = new FrameScanner({
      frame: (type, buffer, start, end) => {
        if (type === Backend.DataRow && buffer.subarray(start, end).includes(lastWords)) this.hasHeardLast = true;
        return this.hear(type);
      },
      mayStream: () => true,
      begin: (type) => this.hear(type),
      more: () => true,
    });
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      this.scanner.push(chunk);
    });
  }

  get isAtEnd(): boolean {
    return this.hasHeardLast && this.types.endsWith('Z');
  }

  private hear(type: number): boolean {
    const isAnytime = type === Backend.ParameterStatus || type === Backend.NoticeResponse;
    if (!isAnytime) this.types += String.fromCharCode(type);
    return true;
  }
}

/** What PostgreSQL itself says to that; undefined: it closes the connection. */
async function answersOf(bytes: Buffer): Promise<string | undefined> {
  const [near, far] = socketPair();
  const ear = new Ear(near);
  const server = new FakePostgres(far, 1, new Map());
  near.write(bytes);
  await soon('its answers', () => ear.isAtEnd || !server.isOpen);
  server.end();
  return ear.isAtEnd ? ear.types : undefined;
}

async function play(world: World, socket: Socket, { messages, steps }: FlowConversation): Promise<void> {
  const bytes = Buffer.concat(messages);
  let said = 0;
  const say = (count: number): void => {
    if (said < bytes.length) socket.write(bytes.subarray(said, said + count));
    said = Math.min(bytes.length, said + count);
  };
  for (const step of steps) {
    if (step.does === 'say') say(step.bytes);
    else if (step.does === 'wait') for (let turns = 0; turns < step.turns; turns++) await turn();
    else if (step.does === 'servers read') for (const server of world.servers) server.reads(step.isReading);
    else if (step.isReading) socket.resume();
    else socket.pause();
  }
  say(bytes.length);
}

/** Everybody reads from now on. */
function goOn(world: World, sockets: readonly Socket[]): void {
  for (const server of world.servers) server.reads(true);
  for (const socket of sockets) socket.resume();
}

function states(world: World): string {
  const sessions = [...world.sessions].map(({ wire, server, isReady, inFlight }) => {
    const { length } = inFlight;
    const ends = { isPaused: wire.isPaused, isFull: wire.isFull, isServerPaused: server?.wire.isPaused };
    return JSON.stringify({ ...ends, isServerFull: server?.wire.isFull, isReady, length });
  });
  return [...sessions, ...world.problems()].join('\n');
}

/** Nothing is going on any more, with the clients still there. */
function leftOver(world: World, isSession: boolean): string[] {
  const found: string[] = [];
  for (const session of world.sessions) {
    const { wire, server, identity } = session;
    if (session.stats().state !== 'idle') found.push(`client ${identity.id} is ${session.stats().state}`);
    if (wire.isPaused) found.push(`client ${identity.id} is paused`);
    if (server !== undefined && !isSession) found.push(`client ${identity.id} keeps server ${server.id}`);
    if (server?.wire.isPaused === true) found.push(`server ${server.id} is paused`);
  }
  return found;
}

async function converse(world: World, isSession: boolean, all: readonly FlowConversation[]): Promise<void> {
  const answers = await Promise.all(all.map(({ messages }) => answersOf(Buffer.concat(messages))));
  const expected = answers.filter((types) => types !== undefined);
  const conversations = all.filter((_one, i) => answers[i] !== undefined);
  const sockets = conversations.map(() => world.connect());
  const ears = sockets.map((socket) => new Ear(socket));
  await soon('the greetings', () => ears.every(({ types }) => types.endsWith('Z')));
  for (const ear of ears) ear.types = '';
  await Promise.all(conversations.map((one, i) => play(world, sockets[i] as Socket, one)));
  const isAnswered = (): boolean => {
    goOn(world, sockets);
    return ears.every((ear) => ear.isAtEnd);
  };
  const impatientMs = 15_000;
  await soon('all answers', isAnswered, impatientMs).catch((error: Error) => {
    throw new Error(
      `${error.message}; heard ${ears.map(({ types }) => types).join(' ')} instead of ${expected.join(' ')}; ${states(world)}`,
    );
  });
  expect(ears.map(({ types }) => types)).toEqual(expected);
  await soon('nothing to be owed', () => leftOver(world, isSession).length === 0, impatientMs).catch(() => {
    throw new Error(`${leftOver(world, isSession).join('; ')}; ${states(world)}`);
  });
  for (const socket of sockets) socket.end();
  await soon('them to be gone', () => world.sessions.size === 0);
  await expectWhole(world);
}

/** Somebody dies when the client has heard, or PostgreSQL was told, so much. */
async function dieAt(world: World, one: FlowConversation, who: 'client' | 'server', at: number): Promise<void> {
  const socket = world.connect();
  const ear = new Ear(socket);
  const bytes = Buffer.concat(one.messages).length;
  let isOver = false;
  const playing = play(world, socket, one).finally(() => (isOver = true));
  const point = Math.floor((at * bytes) / 1000);
  await soon('that moment', () => isOver || ear.bytes >= point || socket.bytesWritten >= point);
  if (who === 'client') socket.destroy();
  else for (const server of [...world.servers]) server.end();
  await playing;
  for (let turns = 0; turns < 20; turns++) {
    goOn(world, [socket]);
    await turn();
  }
  socket.end();
  await soon('it to be gone', () => {
    goOn(world, [socket]);
    // As the app does once a second: a client that is not read is looked for.
    for (const session of world.sessions) session.sweep(performance.now());
    return world.sessions.size === 0;
  }).catch((error: Error) => {
    throw new Error(`${error.message}; ${states(world)}`);
  });
  await expectWhole(world);
  await serveGoodClient(world);
  await expectWhole(world);
}

describe('back-pressure', () => {
  it(`${wanted} conversations of several clients at once`, { timeout: 120_000 + 200 * wanted }, async () => {
    let round = 0;
    const input = fc.array(flowConversation, { minLength: 1, maxLength: 3 });
    const property = fc.asyncProperty(input, async (conversations) => {
      const kind = worlds[round++ % worlds.length] as (typeof worlds)[number];
      const world = makeWorld({ classifier, ...kind });
      try {
        await converse(world, kind.poolMode === 'session', conversations);
      } finally {
        world.stop();
      }
    });
    await fc.assert(property, runOptions(wanted));
  });

  it('a statement is prepared again behind one that was skipped with its batch', async () => {
    const world = makeWorld({ classifier, poolMode: 'transaction', poolSize: 1, maxPreparedStatements: 1 });
    const runs = [bind('', 's1'), execute(''), sync];
    const batches = [
      // The second one takes the place of the first.
      [parseText('s1', 'INSERT INTO lines VALUES (1)'), ...runs],
      [parseText('s2', 'INSERT INTO lines VALUES (2)'), bind('', 's2'), execute(''), sync],
      [describeMessage('P', 'nowhere'), ...runs, ...runs],
    ];
    try {
      await converse(world, false, [{ messages: [...batches.flat(), query(`SELECT '${lastWords}'`)], steps: [] }]);
    } finally {
      world.stop();
    }
  });

  it('a request instead of the data of a COPY does not wait for ever', { timeout: 60_000 }, async () => {
    const world = makeWorld({ classifier });
    try {
      for (const copies of [
        Buffer.concat([parseText('', 'COPY lines FROM STDIN'), bind('', ''), execute(''), sync]),
        query('COPY lines FROM STDIN'),
      ]) {
        const socket = world.connect();
        const ear = new Ear(socket);
        // Weir answers this itself, when what is before it was answered.
        socket.write(Buffer.concat([copies, query("SET weir.route = 'auto'")]));
        await soon('an error', () => ear.types.includes('E'));
        socket.end();
        await soon('it to be gone', () => world.sessions.size === 0);
      }
      await expectWhole(world);
      await serveGoodClient(world);
    } finally {
      world.stop();
    }
  });

  it(`${wanted} conversations in which somebody dies`, { timeout: 120_000 + 200 * wanted }, async () => {
    let round = 0;
    const who = fc.constantFrom('client' as const, 'server' as const);
    const property = fc.asyncProperty(flowConversation, who, fc.nat(1000), async (one, mortal, at) => {
      const world = makeWorld({ classifier, ...worlds[round++ % worlds.length] });
      try {
        await dieAt(world, one, mortal, at);
      } finally {
        world.stop();
      }
    });
    await fc.assert(property, runOptions(wanted));
  });
});
