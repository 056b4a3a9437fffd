/**
 * The end of the clients that cannot be moved to another worker, when theirs is replaced: one after the other, spread over time with
 * jitter, so that the pools of applications connect again smoothly; each at a boundary. Called by cli/worker.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../errors/errors.ts';
import { systemClock } from '../util/clock.ts';

/** A client with a session, or of replication. */
export interface StayingClient {
  /** It can be ended without loss. */
  readonly isIdle: boolean;
  terminate(reason: WeirError): void;
}

export interface PartingParts {
  /** Those that cannot be moved, those included that have logged in meanwhile. */
  staying(): Iterable<StayingClient>;
  consoles(): Iterable<{ close(reason: WeirError): void }>;
  random(): number;
}

const pollMs = 20;

/** When each is due, in ms from now: evenly spread, each at random within its part. */
export function dueTimes(count: number, overMs: number, random: () => number): number[] {
  return Array.from({ length: count }, (_, index) => ((index + random()) / count) * overMs);
}

/**
 * Ends each at its first boundary after it is due, the consoles at the end. Resolves when none is left, or after `overMs` + `graceMs`.
 * @returns how many have to connect again
 */
export async function part(parts: PartingParts, overMs: number, graceMs: number): Promise<number> {
  const first = [...parts.staying()];
  const times = dueTimes(first.length, overMs, parts.random);
  const due = new Map(first.map((client, index) => [client, times[index] ?? 0]));
  const ended = new Set<StayingClient>();
  const sinceMs = systemClock.nowMs();
  for (;;) {
    const passedMs = systemClock.nowMs() - sinceMs;
    let left = 0;
    for (const client of parts.staying()) {
      if (ended.has(client)) continue;
      left++;
      // Who has come since then is due at the end.
      if (passedMs < (due.get(client) ?? overMs) || !client.isIdle) continue;
      client.terminate(new WeirError('replaced'));
      ended.add(client);
    }
    if (left === 0 || passedMs >= overMs + graceMs) break;
    await sleep(pollMs);
  }
  for (const console of parts.consoles()) console.close(new WeirError('replaced'));
  // The others are cut off when the process ends.
  const cutOff = [...parts.staying()].filter((client) => !ended.has(client)).length;
  return ended.size + cutOff;
}
