/**
 * Collects garbage on demand. Node has a function for that only if it was started with --expose-gc; V8 takes the flag later, too,
 * for a new context. Called by app/memory.ts.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** @returns collects all garbage of this process, which takes a tenth of a second for a large heap */
export function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  // Without it, V8 collects at its own time: Weir then waits for longer before memory counts as free.
  return typeof collect === 'function' ? (): void => void collect() : (): void => undefined;
}
