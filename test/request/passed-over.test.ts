/**
 * A read that a replica has refused runs again elsewhere, and the client hears nothing of it; but not if its server then says
 * that the session's transaction_timeout is over. Let giveUp() say the error only if the request has had none to see it fail.
 */
import { afterEach, expect, test } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { Backend } from '../../src/protocol/codes.ts';
import { readErrorFields } from '../../src/protocol/read.ts';
import { errorResponse, query } from '../../src/protocol/write.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import type { Mind } from '../fuzz/fake-postgres.ts';
import { framesOf } from '../fuzz/rude-client.ts';
import { makeWorld, type World } from '../fuzz/world.ts';

const classifier = await createClassifier();
let world: World;
afterEach(() => world.stop());

const refusal = errorResponse({ severity: 'ERROR', sqlstate: '25006', message: 'cannot execute it on a standby' });
const timeOut = errorResponse({
  severity: 'FATAL',
  sqlstate: '25P04',
  message: 'terminating connection due to transaction timeout',
});

/** The first answer of a read is a refusal; what the server says after that is `then`, and its connection ends. */
function refusing(then: Buffer | undefined): { mind: Mind; times: number } {
  const state = { mind: ((message) => message) as Mind, times: 0 };
  let said = 0;
  state.mind = (message): Buffer | undefined => {
    const isOfRead = message[0] === Backend.RowDescription || said > 0;
    if (!isOfRead || state.times > 0) return message;
    said++;
    if (said === 1) return refusal;
    if (said === 2 && then !== undefined) return then;
    state.times++;
    said = 0;
    return undefined;
  };
  return state;
}

async function readThrough(then: Buffer | undefined): Promise<{ types: string; errors: (string | undefined)[] }> {
  const refused = refusing(then);
  world = makeWorld({ classifier, mind: refused.mind });
  const heard: Buffer[] = [];
  const socket = world.connect();
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  const frames = (): ReturnType<typeof framesOf>['frames'] => framesOf(Buffer.concat(heard)).frames;
  const readies = (): number => frames().filter(({ type }) => type === Backend.ReadyForQuery).length;
  await until('the log-in to be over', () => readies() === 1, { intervalMs: 1 });
  heard.length = 0;
  socket.write(query("SELECT 'it'"));
  await until('the answer', () => readies() === 1, { intervalMs: 1 });
  expect(refused.times, 'the read was refused').toBe(1);
  const errors = frames()
    .filter(({ type }) => type === Backend.ErrorResponse)
    .map(({ body }) => readErrorFields(body, 0, body.length).get('C'));
  return {
    types: frames()
      .map(({ type }) => String.fromCharCode(type))
      .join(''),
    errors,
  };
}

test('it runs again when its server ends for another reason', async () => {
  expect(await readThrough(undefined)).toEqual({ types: 'TDCZ', errors: [] });
});

test('its client is told when transaction_timeout has ended its server', async () => {
  expect(await readThrough(timeOut)).toEqual({ types: 'EZ', errors: ['25P04'] });
});
