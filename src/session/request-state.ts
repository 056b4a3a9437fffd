/**
 * The states of a request and what moves it from one to the next: the one table. An event that has no cell is a bug of
 * Weir's: it is thrown, counted, and closes one connection. docs/states.md is printed from it (npm run docs).
 */

/**
 * gathering: its Sync has not come, and nothing of it was sent. pending: on its way through the steps (handle-request.ts).
 * cancelled: the same, and a CancelRequest has come. running: sent, and the client has seen nothing of the answer. shown: the
 * client has seen something of it, so that it can never run again. passed over: it runs again once the server has answered it.
 * taken back: its error was said by Weir, and what the server says of it is dropped. again: about to run again. over: the
 * client has the answer, or is gone.
 */
export type RequestState =
  'gathering' | 'pending' | 'cancelled' | 'running' | 'shown' | 'passed over' | 'taken back' | 'again' | 'over';

export type RequestEvent =
  /** All of it has come, or so much that it is begun without its Sync. */
  | 'submitted'
  /** A CancelRequest has come before it was sent. */
  | 'cancel'
  /** Weir has answered it: from the cache, by itself, or with an error. */
  | 'answered by Weir'
  /** Its first message goes to a server. */
  | 'sent'
  /** The first bytes of its answer go to the client. */
  | 'shown'
  /** A replica refuses it, or one before it, and it can run again. */
  | 'passed over'
  /** Weir says its error, and the server its answer. */
  | 'taken back'
  /** The server has answered all of it. */
  | 'settled'
  /** The client was told an error in place of the rest of its answer: its server was lost, or it was cancelled in a lane. */
  | 'given up'
  /** It is sent once more: its server was lost, has refused it, or is too slow. */
  | 'runs again'
  /** The same, and it is back among those that wait for their turn. */
  | 'taken up again'
  /** The client is gone. */
  | 'abandoned';

type Row = Readonly<Partial<Record<RequestEvent, RequestState>>>;

export const requestStates: Readonly<Record<RequestState, Row>> = {
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

/** @throws Error if that cannot happen in this state */
export function nextState(state: RequestState, event: RequestEvent): RequestState {
  const next = requestStates[state][event];
  if (next === undefined) throw new Error(`a request that is ${state} cannot be ${event}`);
  return next;
}

/** Is it on a server, which owes an answer to it? */
export function isOnServer(state: RequestState): boolean {
  return state === 'running' || state === 'shown' || state === 'passed over' || state === 'taken back';
}
