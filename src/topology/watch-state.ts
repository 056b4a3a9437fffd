/**
 * The states of the watch over the catalog of one database, and what moves it from one to the next: the one table. What is
 * known of the catalog is not part of it (schema-watch.ts), nor is when it looks again (look-pace.ts).
 */

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
  /** Somebody begins to use the database. */
  | 'wake'
  | 'look'
  /** The look is over, and somebody uses the database. */
  | 'rest'
  /** The look is over, or there is none to begin with, and nobody uses the database. */
  | 'sleep';

type Row = Readonly<Partial<Record<WatchEvent, WatchState>>>;

const table: Readonly<Record<WatchState, Row>> = {
  stopped: { start: 'resting' },
  stopping: { start: 'looking', rest: 'stopped', sleep: 'stopped' },
  asleep: { wake: 'resting', stop: 'stopped' },
  resting: { look: 'looking', sleep: 'asleep', stop: 'stopped' },
  looking: { rest: 'resting', sleep: 'asleep', stop: 'stopping' },
};

/** An event without a cell changes nothing: it came too late, or the state is that already. */
export function nextWatchState(state: WatchState, event: WatchEvent): WatchState {
  return table[state][event] ?? state;
}
