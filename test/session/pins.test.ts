/** When a pin ends: the server is asked, and what has happened before its answer is heard counts. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { TxStatus } from '../../src/protocol/codes.ts';
import type { ClientSession } from '../../src/request/client.ts';
import { Pins } from '../../src/session/concerns/pins.ts';
import { Settings } from '../../src/session/settings.ts';
import { SessionState } from '../../src/session/state.ts';
import type { Request } from '../../src/session/request.ts';

/** A session whose client has just dropped its temporary table, on a server that says that none is left. */
function dropped(): { session: ClientSession; released: () => number } {
  let released = 0;
  const state = new SessionState(Settings.none, new Map());
  state.pin('temporary table');
  const session = {
    state,
    server: { isQuiet: true, run: () => Promise.resolve('t') },
    inFlight: [],
    poolMode: 'transaction',
    release: () => void released++,
  } as unknown as ClientSession;
  const request = { plans: [{ effects: { mayEnd: ['temporary table'] } }] } as unknown as Request;
  new Pins(session).readyForQuery(request, TxStatus.Idle);
  return { session, released: () => released };
}

test('a pin of which nothing is left ends', async () => {
  const { session, released } = dropped();
  await turn();
  expect(session.state.isPinned).toBe(false);
  expect(released()).toBe(1);
});

test('one that began again, answered in the same chunk as the question, stays', async () => {
  const { session, released } = dropped();
  session.state.pin('temporary table');
  await turn();
  expect([...session.state.pins]).toEqual(['temporary table']);
  expect(released()).toBe(0);
});
