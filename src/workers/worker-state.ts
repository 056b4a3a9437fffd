/**
 * The states of a worker as its supervisor sees it, and what moves it from one to another. docs/states.md is printed from
 * this table.
 */
export type WorkerState = 'starting' | 'ready' | 'emptying' | 'ending' | 'gone';

export type WorkerEvent =
  /** It has read the catalogs and can serve. */
  | 'serves'
  /** Another worker has taken its place: it gives its clients away. */
  | 'replaced'
  /** The supervisor has told it to end. */
  | 'told to end'
  | 'exited';

const table: Readonly<Record<WorkerState, Partial<Record<WorkerEvent, WorkerState>>>> = {
  starting: { serves: 'ready', 'told to end': 'ending', exited: 'gone' },
  ready: { replaced: 'emptying', 'told to end': 'ending', exited: 'gone' },
  emptying: { 'told to end': 'ending', exited: 'gone' },
  // It was told to end while it was starting: that it serves is no news any more. Told again: at once.
  ending: { serves: 'ending', 'told to end': 'ending', exited: 'gone' },
  gone: {},
};

/** @returns undefined: the event is impossible in that state */
export function nextWorkerState(state: WorkerState, event: WorkerEvent): WorkerState | undefined {
  return table[state][event];
}
