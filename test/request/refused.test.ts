/**
 * What is said of a statement that gets no server: what shed_low_priority refuses must not keep a budget burning, or the action
 * would be the reason for itself; and a transaction that has begun on a replica and moves is no newcomer of low priority.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { Backend } from '../../src/protocol/codes.ts';
import { readErrorFields } from '../../src/protocol/read.ts';
import { errorResponse, query } from '../../src/protocol/write.ts';
import type { Pool } from '../../src/pool/pool.ts';
import type { Waiter } from '../../src/pool/waiter.ts';
import { Settings } from '../../src/session/settings.ts';
import { durationPlaces } from '../../src/session/types.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import type { Mind } from '../fuzz/fake-postgres.ts';
import { framesOf } from '../fuzz/rude-client.ts';
import { makeWorld, type World } from '../fuzz/world.ts';

const classifier = await createClassifier();
let world: World;
beforeEach(() => void (world = makeWorld({ classifier, poolSize: 1, withReplica: true })));
afterEach(() => world.stop());

async function connect() {
  const heard: Buffer[] = [];
  const socket = world.connect();
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  const frames = (): ReturnType<typeof framesOf>['frames'] => framesOf(Buffer.concat(heard)).frames;
  const isReady = (): boolean => frames().some(({ type }) => type === Backend.ReadyForQuery);
  await until('the log-in to be over', isReady, { intervalMs: 1 });
  const ask = async (sql: string): Promise<string | undefined> => {
    heard.length = 0;
    socket.write(query(sql));
    await until(`the answer to ${sql}`, isReady, { intervalMs: 1 });
    const error = frames().find(({ type }) => type === Backend.ErrorResponse)?.body;
    return error && readErrorFields(error, 0, error.length).get('C');
  };
  return { ask, socket };
}

/** From now on nobody gets a server, and `refused` is told who waits. */
function refuseAll(refused: (waiter: Waiter) => void): void {
  for (const pool of world.pools())
    Object.assign(pool, {
      tryCheckout: () => undefined,
      tryJoin: () => undefined,
      tryShare: () => undefined,
      wait: (waiter: Waiter) => void refused(waiter),
    } satisfies Partial<Record<keyof Pool, unknown>>);
}

test('what shed_low_priority refuses burns no budget', async () => {
  const { ask } = await connect();
  expect(await ask('UPDATE t SET a = 1')).toBeUndefined();
  const [session] = world.sessions;
  const { durations, unserved } = session!.database.stats;
  const before = durations.map((list) => list.reduce((a, b) => a + b));
  refuseAll(({ refused }) => refused(new WeirError('low_priority_shed', { pool: 'shop', why: 'it burns' }), false));
  expect(await ask('UPDATE t SET a = 1')).toBe('53400');
  const counted = durationPlaces.filter((_, i) => durations[i]!.reduce((a, b) => a + b) > before[i]!);
  expect(counted).toEqual([{ route: 'none' }]);
  expect(session!.database.stats.unserved).toBe(unserved);
});

test('a transaction that moves to the primary goes before those that have not begun', async () => {
  const { ask, socket } = await connect();
  const waited: Waiter[] = [];
  for (const text of ["SET weir.priority = 'low'", 'UPDATE t SET a = 1', 'BEGIN READ ONLY'])
    expect(await ask(text)).toBeUndefined();
  refuseAll((waiter) => void waited.push(waiter));
  socket.write(query("SELECT nextval('s')"));
  await until('it to wait for a server of the primary', () => waited.length > 0, { intervalMs: 1 });
  expect(waited.map(({ priority }) => priority)).toEqual(['high']);
});

test('a session that loses what it has on its server loses its connection, too', async () => {
  world.stop();
  let isRefusing = false;
  const wrong = errorResponse({ severity: 'ERROR', sqlstate: '22023', message: 'it takes no such setting any more' });
  const mind: Mind = (message) => (isRefusing && message[0] === Backend.CommandComplete ? wrong : message);
  world = makeWorld({ classifier, poolSize: 1, mind });
  const { ask, socket } = await connect();
  for (const text of ["SET application_name = 'me'", 'SELECT pg_advisory_lock(1)'])
    expect(await ask(text)).toBeUndefined();
  const [session] = world.sessions;
  expect([...session!.state.pins]).not.toEqual([]);
  // As if the server had forgotten the setting: it is replayed, and refused.
  session!.server!.sessionState.settings = Settings.none;
  isRefusing = true;
  let isClosed = false;
  socket.on('close', () => (isClosed = true));
  socket.write(query('UPDATE t SET a = 1'));
  await until('the end of the connection', () => isClosed, { intervalMs: 1 });
});
