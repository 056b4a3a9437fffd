/**
 * The table of a request's states: every cell is tried, whatever is not in it is refused, and nothing is a dead end. Take a
 * cell out of src/session/request-state.ts, or add one, to see it fail.
 */
import { describe, expect, test } from 'vitest';
import {
  isOnServer,
  nextState,
  requestStates,
  type RequestEvent,
  type RequestState,
} from '../../src/session/request-state.ts';

const states = Object.keys(requestStates) as RequestState[];
const events = [...new Set(states.flatMap((state) => Object.keys(requestStates[state])))] as RequestEvent[];

/** [state, event, next]: what the documentation of the events says, in another order than the table. */
const cells: readonly (readonly [RequestState, RequestEvent, RequestState])[] = [
  ['gathering', 'submitted', 'pending'],
  ['gathering', 'abandoned', 'over'],
  ['pending', 'cancel', 'cancelled'],
  ['pending', 'answered by Weir', 'over'],
  ['pending', 'sent', 'running'],
  ['pending', 'abandoned', 'over'],
  ['cancelled', 'cancel', 'cancelled'],
  ['cancelled', 'answered by Weir', 'over'],
  ['cancelled', 'abandoned', 'over'],
  ['running', 'shown', 'shown'],
  ['running', 'passed over', 'passed over'],
  ['running', 'taken back', 'taken back'],
  ['running', 'settled', 'over'],
  ['running', 'given up', 'over'],
  ['running', 'runs again', 'again'],
  ['running', 'abandoned', 'over'],
  ['shown', 'taken back', 'taken back'],
  ['shown', 'settled', 'over'],
  ['shown', 'given up', 'over'],
  ['shown', 'abandoned', 'over'],
  ['passed over', 'settled', 'again'],
  ['passed over', 'given up', 'over'],
  ['passed over', 'runs again', 'again'],
  ['passed over', 'abandoned', 'over'],
  ['taken back', 'settled', 'over'],
  ['taken back', 'given up', 'over'],
  ['taken back', 'abandoned', 'over'],
  ['again', 'taken up again', 'pending'],
  ['again', 'abandoned', 'over'],
];

describe.each(states)('a request that is %s', (state) => {
  test.each(events)('and then: %s', (event) => {
    const next = cells.find(([from, by]) => from === state && by === event)?.[2];
    expect(nextState(state, event)).toBe(next);
  });
});

test('what the client has seen something of never runs again, and what was cancelled is never sent', () => {
  const reachableFrom = (start: RequestState): Set<RequestState> => {
    const found = new Set<RequestState>([start]);
    for (const state of found) for (const next of Object.values(requestStates[state])) found.add(next);
    return found;
  };
  for (const start of ['shown', 'taken back'] as const) expect([...reachableFrom(start)]).not.toContain('again');
  expect([...reachableFrom('cancelled')].filter(isOnServer)).toEqual([]);
  // From everywhere there is an end, and every state is reached.
  for (const state of states) expect([...reachableFrom(state)]).toContain('over');
  expect([...reachableFrom('gathering')].sort()).toEqual([...states].sort());
});
