/**
 * The states of a node's circuit and what moves it from one to the next: the one table. An event without a cell changes
 * nothing. circuit.ts says when the events happen; docs/states.md is printed from the table (npm run docs).
 */
import type { StateTable } from '../util/state-table.ts';
import type { CircuitState } from './types.ts';

/** What each state means. */
export const circuitStateMeanings: Readonly<Record<CircuitState, string>> = {
  closed: 'The node gets work as usual.',
  open: 'It gets none: reads go to other nodes, and what no other node can take gets 57P03.',
  'half-open': 'It gets at most three statements or waiting clients at a time (of each worker), as a trial.',
};

/** What each event means. */
export const circuitEventMeanings = {
  'too many failures':
    'Five transport failures in a row, or as many of them as of anything else among at least 20 outcomes of the last 10 s.',
  'node down': 'The probes of the monitor fail or are not answered.',
  'node up': 'The monitor has found it up again, and it was away for a moment only, or is the primary.',
  'node back': 'The monitor has found a replica up again that was away for longer.',
  'time is up': 'The time that too many failures keep it open is over.',
  'trial failed': 'A statement or a log-in has met a transport failure.',
  'trials answered': 'Three statements or log-ins were answered.',
  'nothing failed': 'It has been half-open for a minute, with less to do than that, and nothing has failed.',
} as const;

export type CircuitEvent = keyof typeof circuitEventMeanings;

export const circuitStates: StateTable<CircuitState, CircuitEvent> = {
  closed: { 'too many failures': 'open', 'node down': 'open' },
  open: { 'node up': 'closed', 'node back': 'half-open', 'time is up': 'half-open' },
  'half-open': {
    'trial failed': 'open',
    'node down': 'open',
    'node up': 'closed',
    'trials answered': 'closed',
    'nothing failed': 'closed',
  },
};

export function nextCircuitState(state: CircuitState, event: CircuitEvent): CircuitState {
  return circuitStates[state][event] ?? state;
}
