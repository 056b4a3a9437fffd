/**
 * A server that dies, says garbage, lies about lengths or repeats itself at every message of every conversation, and in
 * the middle of each. The client gets its answer or a proper error, no write runs twice, a read that showed nothing
 * runs again, the pool stays whole and the next client is served.
 */
import { describe, expect, it } from 'vitest';
import { Backend } from '../../src/protocol/codes.ts';
import { readErrorFields } from '../../src/protocol/read.ts';
import { errorResponse, frame, query } from '../../src/protocol/write.ts';
import { noticeResponse, parameterStatus, readyForQuery } from '../../src/protocol/write.ts';
import type { FakePostgres, Mind } from './fake-postgres.ts';
import { batch, conversations } from './conversations.ts';
import type { Conversation } from './conversations.ts';
import { classifier, expectWhole, outlastSilentServers } from './crowd.ts';
import { framesOf } from './rude-client.ts';
import { soon } from './soon.ts';
import { makeWorld } from './world.ts';
import type { World, WorldOptions } from './world.ts';

type Damage = (message: Buffer, server: FakePostgres) => Buffer | undefined;
const thenDie = (bytes: Buffer, server: FakePostgres): Buffer => {
  server.isDying = true;
  return bytes;
};
const withLength = (message: Buffer, length: number): Buffer => {
  const changed = Buffer.from(message);
  changed.writeInt32BE(length, 1);
  return changed;
};
const notices = Buffer.concat(
  Array.from({ length: 200 }, () => noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'again' })),
);

const garbage = Buffer.from('\x00\x01HTTP/1.1 400 Bad Request\r\n\r\n', 'latin1');

/** What cuts the connection short, so that what was not shown can run again. */
const deaths: Readonly<Record<string, Damage>> = {
  'dies before it': () => undefined,
  'dies in the middle of it': (message, server) => thenDie(message.subarray(0, message.length >> 1), server),
  'dies in its header': (message, server) => thenDie(message.subarray(0, 3), server),
  'says good-bye': (_message, server) =>
    thenDie(errorResponse({ severity: 'FATAL', sqlstate: '57P01', message: 'terminating connection' }), server),
  'warns of a crash and dies': (_message, server) =>
    thenDie(noticeResponse({ severity: 'WARNING', sqlstate: '57P02', message: 'terminating connection' }), server),
};
/** What clients are told then; a death that says nothing is 08006. */
const told: Readonly<Record<string, RegExp>> = {
  'says good-bye': /^(57P01|25P02)$/,
  'warns of a crash and dies': /^(57P02|25P02)$/,
};
/** What is not the protocol, or a strange use of it. */
const oddities: Readonly<Record<string, Damage>> = {
  'says garbage instead': () => garbage,
  'says it and dies': (message, server) => thenDie(message, server),
  'says garbage behind it': (message) => Buffer.concat([message, garbage]),
  'announces a negative length': (message) => withLength(message, -5),
  'announces 1.9 GB': (message) => withLength(message, 0x71000000),
  'announces a longer message and dies': (message, server) => thenDie(withLength(message, message.length + 50), server),
  'says it twice': (message) => Buffer.concat([message, message]),
  'says ReadyForQuery first': (message) => Buffer.concat([readyForQuery('I'), message]),
  'says ReadyForQuery with a status nobody knows': (message) =>
    Buffer.concat([frame(Backend.ReadyForQuery, Buffer.from('?')), message]),
  'says ReadyForQuery without a status': (message) => Buffer.concat([frame(Backend.ReadyForQuery), message]),
  'says an error without its end': (message) =>
    Buffer.concat([frame(Backend.ErrorResponse, Buffer.from('C')), message]),
  'says an unknown message': (message) => Buffer.concat([frame(0x7a, Buffer.from('zz')), message]),
  'begins a COPY that nobody asked for': (message) =>
    Buffer.concat([frame(Backend.CopyInResponse, Buffer.from([0, 0, 0])), message]),
  'leaves it out': () => Buffer.alloc(0),
};
const harmless: Readonly<Record<string, Damage>> = {
  'floods with notices': (message) => Buffer.concat([notices, message]),
  'changes a parameter': (message) => Buffer.concat([parameterStatus('TimeZone', 'UTC'), message]),
};

interface Outcome {
  /** Types of the messages behind the greeting; asynchronous ones left out. */
  readonly types: string;
  readonly sqlstates: readonly string[];
  readonly isClosed: boolean;
  readonly problem: string | undefined;
}

function read(bytes: Buffer, isClosed: boolean): Outcome {
  const { frames, problem } = framesOf(bytes);
  const greeting = frames.findIndex(({ type }) => type === Backend.ReadyForQuery);
  const said = frames.slice(greeting + 1).filter(({ type }) => type !== Backend.NoticeResponse && type !== 0x53);
  return {
    types: said.map(({ type }) => String.fromCharCode(type)).join(''),
    sqlstates: said
      .filter(({ type }) => type === Backend.ErrorResponse)
      .map(({ body }) => readErrorFields(body, 0, body.length).get('C') ?? ''),
    isClosed,
    problem,
  };
}

const readiesIn = (types: string): number => types.split('Z').length - 1;

/** Plays it until all is answered or the connection is closed; with `mayHang` not for long. */
async function play(world: World, { says, readies }: Conversation, mayHang = false): Promise<Outcome> {
  const socket = world.connect();
  const heard: Buffer[] = [];
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  socket.on('close', () => (isClosed = true));
  for (const one of says) socket.write(one);
  const isDone = (): boolean => isClosed || readiesIn(read(Buffer.concat(heard), isClosed).types) >= readies;
  // A server that keeps silent keeps its client waiting: nobody can know that no answer will come.
  await soon('its answers', isDone, mayHang ? 50 : 20_000).catch(() => undefined);
  const outcome = read(Buffer.concat(heard), isClosed);
  socket.end();
  await soon('it to be gone', () => world.sessions.size === 0);
  return outcome;
}

/** Damages message number `at` of all servers together, once, unless it is too late for that. */
function damageAt(at: number, damage: Damage): { mind: Mind; disarm: () => void } {
  let count = 0;
  const mind: Mind = (message, server) => (count++ === at ? damage(message, server) : message);
  return { mind, disarm: () => void (count = Infinity) };
}

async function expectServed(world: World): Promise<void> {
  const next = await play(world, { says: [query("SELECT 'next'"), batch('next', "SELECT 'next'")], readies: 2 });
  expect(next.types).toBe('TDCZ12TDCZ');
}

async function inWorld<T>(options: Partial<WorldOptions>, use: (world: World) => Promise<T>): Promise<T> {
  const world = makeWorld({ classifier, poolSize: 2, ...options });
  try {
    return await use(world);
  } finally {
    world.stop();
  }
}

async function messagesOf(conversation: Conversation): Promise<{ count: number; healthy: Outcome }> {
  let count = 0;
  const mind: Mind = (message) => {
    count++;
    return message;
  };
  return inWorld({ ...conversation.options, mind }, async (world) => {
    const healthy = await play(world, conversation);
    const said = count;
    // What comes after the client has gone is part of it: DISCARD ALL.
    await soon('the reset', () => world.problems().length === 0);
    return { count: Math.max(said, count), healthy };
  });
}

async function hurt(conversation: Conversation, at: number, damage: Damage, mayHang = false): Promise<Outcome> {
  const { mind, disarm } = damageAt(at, damage);
  return inWorld({ ...conversation.options, mind }, async (world) => {
    const outcome = await play(world, conversation, mayHang);
    // What is cleaned up afterwards may be hurt, too; the next client may not.
    if (mayHang) await outlastSilentServers(world);
    await expectWhole(world);
    disarm();
    await expectServed(world);
    for (const [sql, times] of world.executed) expect(times, sql).toBe(1);
    return outcome;
  });
}

describe.each(Object.entries(conversations))('%s', (_name, conversation) => {
  it.each(Object.entries(deaths))('the server %s', async (how, damage) => {
    const { count, healthy } = await messagesOf(conversation);
    expect(readiesIn(healthy.types)).toBe(conversation.readies);
    const firstRow = healthy.types.indexOf('D');
    for (let at = 0; at < count; at++) {
      const outcome = await hurt(conversation, at, damage);
      const where = `message ${at}: ${JSON.stringify(outcome)}`;
      expect(outcome.problem, where).toBeUndefined();
      if (conversation.isRead === true && at <= firstRow && !(at === firstRow && outcome.isClosed)) {
        expect(outcome.types, where).toBe(healthy.types);
        continue;
      }
      const serverErrors = outcome.sqlstates.filter((sqlstate) => sqlstate !== conversation.ownError);
      for (const sqlstate of serverErrors) expect(sqlstate, where).toMatch(told[how] ?? /^(08006|25P02)$/);
      const isAnswered = readiesIn(outcome.types) === conversation.readies;
      expect(isAnswered || outcome.isClosed, where).toBe(true);
      if (outcome.types !== healthy.types && !outcome.isClosed) expect(outcome.sqlstates, where).not.toEqual([]);
    }
  });

  it.each(Object.entries(oddities))('the server %s', async (_how, damage) => {
    const { count } = await messagesOf(conversation);
    for (let at = 0; at < count; at++) {
      const outcome = await hurt(conversation, at, damage, true);
      for (const sqlstate of outcome.sqlstates) {
        expect(sqlstate).toMatch(/^[0-9A-Z]{5}$/);
        // What Weir says when it does not know itself any more.
        expect(sqlstate, `message ${at}`).not.toBe('XX000');
      }
    }
  });

  it.each(Object.entries(harmless))('the server %s', async (_how, damage) => {
    const { count, healthy } = await messagesOf(conversation);
    for (let at = 0; at < count; at++) {
      const outcome = await hurt(conversation, at, damage);
      expect(outcome).toEqual(healthy);
    }
  });
});
