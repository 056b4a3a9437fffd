/**
 * Collects garbage on demand. Node has a function for that only if it was started with --expose-gc; V8 takes the flag later, too,
 * for a new context. Called by app/memory.ts.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** @returns collects all garbage of this process, and returns the CPU time that it took, in ms: a tenth of a second for a large heap */
export function garbageCollector(): () => number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  // Without it, V8 collects at its own time: Weir then waits for longer before memory counts as free.
  if (typeof collect !== 'function') return () => 0;
  return () => {
    // Not the time on the clock: on a busy machine Weir would react the later the busier it is.
    const before = process.cpuUsage();
    collect();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
}
