/**
 * Waits for something in a world that is in memory. Nearly all of it happens within some turns of the event loop, where a
 * timer would sleep for a millisecond; what takes longer waits for a timer itself, and is asked for by until().
 */
import { setImmediate as turn } from 'node:timers/promises';
import { until } from '../../integration/harness/until.ts';

const maxTurns = 100;

/** @throws Error if it does not become true within `timeoutMs` */
export async function soon(what: string, ask: () => boolean, timeoutMs = 60_000): Promise<void> {
  for (let turns = 0; turns < maxTurns; turns++) {
    if (ask()) return;
    await turn();
  }
  await until(what, ask, { intervalMs: 1, timeoutMs });
}
