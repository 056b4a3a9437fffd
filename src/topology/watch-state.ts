/**
 * The states of the watch over the catalog of one database, and the one table of transitions between them. It does not
 * say what is known of the catalog (schema-watch.ts), nor when the next look is due (look-pace.ts).
 */
import type { StateTable } from '../util/state-table.ts';

/** What each state means. */
export const watchStateMeanings = {
  stopped: 'It asks nothing, and no question is under way.',
  stopping: 'It was stopped while a question was under way, which has not ended yet.',
  asleep: 'Nobody uses the database: nothing is asked until somebody does.',
  resting: 'A timer runs until the next look.',
  looking: 'It compares the catalog with the one it knows, or reads it.',
} as const;

export type WatchState = keyof typeof watchStateMeanings;

export type WatchEvent =
  | 'start'
  | 'stop'
  /** A client begins to use the database. */
  | 'wake'
  | 'look'
  /** The look is over, and clients use the database. */
  | 'rest'
  /** The look is over, or none is needed at the start, and no client uses the database. */
  | 'sleep';

const table: StateTable<WatchState, WatchEvent> = {
  stopped: { start: 'resting' },
  stopping: { start: 'looking', rest: 'stopped', sleep: 'stopped' },
  asleep: { wake: 'resting', stop: 'stopped' },
  resting: { look: 'looking', sleep: 'asleep', stop: 'stopped' },
  looking: { rest: 'resting', sleep: 'asleep', stop: 'stopping' },
};

/** An event without a cell changes nothing: it came too late, or the watch is in that state already. */
export function nextWatchState(state: WatchState, event: WatchEvent): WatchState {
  return table[state][event] ?? state;
}
