/**
 * A client that dies behind every message of every conversation, and in the middle of each: at once, or when it has heard
 * what there is to be heard. Its servers are whole afterwards, nothing is executed twice, the next client is served.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { copyData, copyFail } from './frames.ts';
import { conversations } from './conversations.ts';
import type { Conversation } from './conversations.ts';
import { classifier, expectWhole, serveGoodClient } from './crowd.ts';
import { soon } from './soon.ts';
import { makeWorld } from './world.ts';
import { query } from '../../src/protocol/write.ts';

/** Each message for itself. */
function messagesOf({ says }: Conversation): Buffer[] {
  const bytes = Buffer.concat(says);
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1))
    messages.push(bytes.subarray(at, at + 1 + bytes.readInt32BE(at + 1)));
  return messages;
}

const ways: Readonly<Record<string, { patience: number; isPolite: boolean }>> = {
  'at once': { patience: 0, isPolite: false },
  'in the middle of the work': { patience: 2, isPolite: false },
  'when it is answered': { patience: 20, isPolite: false },
  'closing its side only': { patience: 3, isPolite: true },
};

async function die(
  conversation: Conversation,
  said: Buffer,
  way: { patience: number; isPolite: boolean },
): Promise<void> {
  const world = makeWorld({ classifier, poolSize: 2, ...conversation.options });
  try {
    const socket = world.connect();
    socket.on('data', () => undefined);
    if (said.length > 0) socket.write(said);
    for (let turns = 0; turns < way.patience; turns++) await turn();
    if (way.isPolite) socket.end();
    else socket.destroy();
    await soon('it to be gone', () => world.sessions.size === 0);
    await expectWhole(world);
    await serveGoodClient(world);
    await expectWhole(world);
    for (const [sql, times] of world.executed) expect(times, sql).toBe(1);
  } finally {
    world.stop();
  }
}

const all: Readonly<Record<string, Conversation>> = {
  ...conversations,
  'a statement that takes its time': { says: [query('SELECT pg_sleep(1)')], readies: 1 },
  'COPY that is given up': {
    says: [query('BEGIN'), query('COPY lines FROM STDIN'), copyData(Buffer.from('a\n')), copyFail, query('ROLLBACK')],
    readies: 3,
  },
};

describe.each(Object.entries(all))('%s', (_name, conversation) => {
  it.each(Object.entries(ways))('the client dies %s', async (_way, way) => {
    const messages = messagesOf(conversation);
    for (let count = 0; count <= messages.length; count++) {
      const before = Buffer.concat(messages.slice(0, count));
      await die(conversation, before, way);
      const next = messages[count];
      if (next === undefined) continue;
      for (const length of [1, 3, 5, next.length - 1])
        if (length < next.length) await die(conversation, Buffer.concat([before, next.subarray(0, length)]), way);
    }
  });
});
