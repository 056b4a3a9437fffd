/**
 * The table of a server connection's states: every cell is tried, whatever is not in it is refused, and nothing is a dead
 * end. Take a cell out of src/backend/server-state.ts, or add one, to see it fail.
 */
import { describe, expect, test } from 'vitest';
import {
  nextServerState,
  serverEventMeanings,
  serverStates,
  type ServerEvent,
  type ServerState,
} from '../../src/backend/server-state.ts';
import { Scene } from '../pool/scene.ts';

const states = Object.keys(serverStates) as ServerState[];
const events = Object.keys(serverEventMeanings) as ServerEvent[];

/** [state, event, next], sorted by event. */
const cells: readonly (readonly [ServerState, ServerEvent, ServerState])[] = [
  ['login', 'logged in', 'unassigned'],
  ['unassigned', 'handed out', 'active'],
  ['idle', 'handed out', 'active'],
  ['active', 'lane opened', 'shared'],
  ['shared', 'lane opened', 'shared'],
  ['shared', 'lane closed', 'active'],
  ['active', 'given back', 'unassigned'],
  ['shared', 'given back', 'unassigned'],
  ['unassigned', 'waits for cancel', 'being cancelled'],
  ['being cancelled', 'cancel arrived', 'unassigned'],
  ['unassigned', 'reset begun', 'resetting'],
  ['resetting', 'reset done', 'unassigned'],
  ['unassigned', 'kept idle', 'idle'],
  ['idle', 'check begun', 'being checked'],
  ['being checked', 'check passed', 'unassigned'],
  ...states.filter((state) => state !== 'closed').map((state) => [state, 'closed', 'closed'] as const),
];

describe.each(states)('a server connection that is %s', (state) => {
  test.each(events)('and then: %s', (event) => {
    const next = cells.find(([from, by]) => from === state && by === event)?.[2];
    expect(nextServerState(state, event)).toBe(next);
  });
});

const reachableFrom = (start: ServerState): Set<ServerState> => {
  const found = new Set<ServerState>([start]);
  for (const state of found) for (const next of Object.values(serverStates[state])) found.add(next);
  return found;
};

test('from everywhere there is an end, and every state is reached', () => {
  for (const state of states) expect([...reachableFrom(state)]).toContain('closed');
  expect([...reachableFrom('login')].sort()).toEqual([...states].sort());
  expect([...reachableFrom('closed')]).toEqual(['closed']);
});

test('a client gets a server only from the hand of its pool, and the pool only what was given back', () => {
  const into = (target: ServerState): ServerState[] =>
    states.filter((state) => state !== target && Object.values(serverStates[state]).includes(target));
  expect(into('active')).toEqual(['unassigned', 'idle', 'shared']);
  expect(into('idle')).toEqual(['unassigned']);
});

/** The way of a real connection into each state, and an event that has no cell there. */
const ways: readonly (readonly [ServerState, readonly ServerEvent[]])[] = [
  ['login', []],
  ['unassigned', ['logged in']],
  ['idle', ['logged in', 'kept idle']],
  ['active', ['logged in', 'handed out']],
  ['shared', ['logged in', 'handed out', 'lane opened']],
  ['being cancelled', ['logged in', 'waits for cancel']],
  ['resetting', ['logged in', 'reset begun']],
  ['closed', ['closed']],
];

describe.each(ways)('a connection in the state "%s"', (state, way) => {
  const impossible = events.filter((event) => nextServerState(state, event) === undefined);

  test.each(impossible)('that has the event "%s" is closed, and that is counted', (event) => {
    const scene = new Scene({ defaultPoolSize: 1 });
    scene.wait('client');
    const server = scene.logins[0]!.succeed();
    for (const step of way) expect(server.move(step)).toBe(true);
    expect(server.state).toBe(state);
    expect(server.move(event)).toBe(false);
    expect(scene.unexpected).toEqual([`a server connection in the state "${state}" had the event "${event}"`]);
    expect(server.state).toBe('closed');
  });
});
