/**
 * The states of a server connection and what moves it from one to the next: the one table. An event that has no cell is a
 * bug of Weir's (ServerConnection.move). docs/states.md is printed from it (npm run docs).
 */
import type { StateTable } from '../util/state-table.ts';
import type { ShownServerState } from '../pool/types.ts';

/** What each state means. */
export const serverStateMeanings = {
  login: 'Weir is logged in, and the pool has not taken the connection yet.',
  unassigned: 'It is in the pool, which decides at once what becomes of it.',
  idle: 'It is in the pool, and no client has it.',
  active: 'A client has it, or Weir itself for a statement of its own.',
  shared: 'The same, and other clients may send short reads to it, too (a lane).',
  'being cancelled': 'Its client has given it back, and a CancelRequest to it is still under way.',
  resetting: 'DISCARD ALL, or most of it, removes what its last client has left.',
  'being checked': 'It was idle for server_check_delay, and is asked server_check_query before a client gets it.',
  closed: 'Weir or the server has closed it, or it was lost.',
} as const;

export type ServerState = keyof typeof serverStateMeanings;

/** What each event means. */
export const serverEventMeanings = {
  'logged in': 'The pool takes a new connection.',
  'handed out': 'The pool gives it to a client that waits, or to one that asks while it is idle.',
  'lane opened': 'Its client sends a short read. Other clients may send theirs, too.',
  'lane closed': 'What its client does next must be alone on it, or a read in the lane takes too long.',
  'given back': 'The last client that had it does not need it any more.',
  'waits for cancel': 'It was given back before a CancelRequest to it has arrived.',
  'cancel arrived': 'All CancelRequests to it have arrived, or have failed.',
  'reset begun': 'It was given back with something of its client on it.',
  'reset done': 'The server has answered the reset.',
  'kept idle': 'Nobody waits for it.',
  'check begun': 'A client waits for a server, and it was idle for long.',
  'check passed': 'The server has answered server_check_query.',
  closed: 'Its socket is closed, whoever has closed it.',
} as const;

export type ServerEvent = keyof typeof serverEventMeanings;

export const serverStates: StateTable<ServerState, ServerEvent> = {
  login: { 'logged in': 'unassigned', closed: 'closed' },
  unassigned: {
    'handed out': 'active',
    'waits for cancel': 'being cancelled',
    'reset begun': 'resetting',
    'kept idle': 'idle',
    closed: 'closed',
  },
  idle: { 'handed out': 'active', 'check begun': 'being checked', closed: 'closed' },
  active: { 'lane opened': 'shared', 'given back': 'unassigned', closed: 'closed' },
  shared: { 'lane opened': 'shared', 'lane closed': 'active', 'given back': 'unassigned', closed: 'closed' },
  'being cancelled': { 'cancel arrived': 'unassigned', closed: 'closed' },
  resetting: { 'reset done': 'unassigned', closed: 'closed' },
  'being checked': { 'check passed': 'unassigned', closed: 'closed' },
  closed: {},
};

/** undefined: that cannot happen in this state. */
export function nextServerState(state: ServerState, event: ServerEvent): ServerState | undefined {
  return serverStates[state][event];
}

const shown: Readonly<Record<ServerState, ShownServerState>> = {
  login: 'login',
  unassigned: 'active',
  idle: 'idle',
  active: 'active',
  shared: 'active',
  'being cancelled': 'resetting',
  resetting: 'resetting',
  'being checked': 'resetting',
  closed: 'closing',
};

/** What SHOW SERVERS and the log show of it. */
export function shownState(state: ServerState): ShownServerState {
  return shown[state];
}
