/**
 * The states of a request, and the one table of transitions between them. An event without a cell is a bug in Weir
 * (Session.move). docs/states.md is printed from it (npm run docs).
 */
import type { StateTable } from '../util/state-table.ts';

/** What each state means. */
export const requestStateMeanings = {
  gathering: 'Its Sync has not come, and nothing of it was sent.',
  pending: 'It is on its way through the steps: look-up, routing, a server connection, its set-up.',
  cancelled: 'It was pending when a CancelRequest came. It is answered with 57014 and never sent.',
  running: 'It was sent, at least in part. The client has seen nothing of the answer.',
  shown: 'The client has seen something of the answer, so it can never run again.',
  'passed over':
    'A replica refused it, or refused a request before it. The client hears nothing of that, and it runs again.',
  'taken back': 'Weir has sent the client an error of its own. What the server says of the request is dropped.',
  again: 'It is about to run again.',
  over: 'The client has the whole answer, or is gone.',
} as const;

export type RequestState = keyof typeof requestStateMeanings;

/** What each event means. */
export const requestEventMeanings = {
  submitted: 'All of it has come, or it is begun without its Sync.',
  cancel: 'A CancelRequest comes before it was sent.',
  'answered by Weir': 'Weir answers it: from the cache, by itself, or with an error.',
  sent: 'Its first message goes to a server.',
  shown: 'The first bytes of its answer go to the client.',
  'passed over': 'A replica refuses it, or a request before it, and it can run again.',
  'taken back': 'Weir sends the client an error of its own, in place of the answer of the server.',
  settled: 'The server has answered all of it.',
  'given up':
    'The client is told an error in place of the rest of its answer: its server was lost, or it was cancelled in a lane.',
  'runs again': 'Its server was lost, or is too slow, and it can run again.',
  'taken up again': 'It is back among those that wait for their turn.',
  abandoned: 'The client is gone.',
} as const;

export type RequestEvent = keyof typeof requestEventMeanings;

export const requestStates: StateTable<RequestState, RequestEvent> = {
  gathering: { submitted: 'pending', abandoned: 'over' },
  pending: { cancel: 'cancelled', 'answered by Weir': 'over', sent: 'running', abandoned: 'over' },
  cancelled: { cancel: 'cancelled', 'answered by Weir': 'over', abandoned: 'over' },
  running: {
    shown: 'shown',
    'passed over': 'passed over',
    'taken back': 'taken back',
    settled: 'over',
    'given up': 'over',
    'runs again': 'again',
    abandoned: 'over',
  },
  shown: { 'taken back': 'taken back', settled: 'over', 'given up': 'over', abandoned: 'over' },
  'passed over': { settled: 'again', 'given up': 'over', 'runs again': 'again', abandoned: 'over' },
  'taken back': { settled: 'over', 'given up': 'over', abandoned: 'over' },
  again: { 'taken up again': 'pending', abandoned: 'over' },
  over: {},
};

/** @returns undefined if the event cannot happen in this state */
export function nextState(state: RequestState, event: RequestEvent): RequestState | undefined {
  return requestStates[state][event];
}

/** @returns true if the request is on a server, which still owes an answer */
export function isOnServer(state: RequestState): boolean {
  return state === 'running' || state === 'shown' || state === 'passed over' || state === 'taken back';
}
