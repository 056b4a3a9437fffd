/**
 * Remembers the writes in progress at one moment, and reports when all of them are over; later writes do not count.
 * Called by cache.ts, for request/await-visible.ts.
 */
import type { Tag } from '../binding/plan.ts';
import type { TagState } from './tag-state.ts';
import type { UnderWay } from './types.ts';

interface Write {
  readonly state: TagState;
  readonly token: string;
}

/** @returns undefined if no write to any of `states` is in progress */
export function writesUnderWay(tags: readonly Tag[], states: readonly TagState[], nowMs: number): UnderWay | undefined {
  let writes: Write[] | undefined;
  for (const state of states) {
    if (state.writes.own === undefined && !state.isClosed(nowMs)) continue;
    for (const token of state.writes.tokens) (writes ??= []).push({ state, token });
  }
  return writes === undefined ? undefined : watch(tags, writes);
}

function watch(tags: readonly Tag[], writes: readonly Write[]): UnderWay {
  const isOver = (): boolean => writes.every(({ state, token }) => !state.writes.has(token));
  return {
    tags,
    isOver,
    whenOver(then) {
      const watcher = (): void => {
        if (!isOver()) return;
        stop();
        // The code that ends the write is still running and must finish first.
        queueMicrotask(then);
      };
      const stop = (): void => {
        for (const { state } of writes) state.writes.watchers?.delete(watcher);
      };
      for (const { state } of writes) (state.writes.watchers ??= new Set()).add(watcher);
      return stop;
    },
  };
}
