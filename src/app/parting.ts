/**
 * The end of the clients that cannot be moved to another worker, when theirs is replaced, and of those that do not come to rest: one
 * after the other, spread over time with jitter, so that the pools of applications connect again smoothly; each at a boundary. Called
 * by cli/worker.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../errors/errors.ts';
import { systemClock } from '../util/clock.ts';
import { msForEach } from '../workers/departures.ts';

/** A client with a session, or of replication. */
export interface StayingClient {
  /** It can be ended without loss. */
  readonly isIdle: boolean;
  terminate(reason: WeirError): void;
}

export interface PartingParts {
  /** Those that cannot be moved, those included that have logged in meanwhile. */
  staying(): Iterable<StayingClient>;
  /** Those that could be moved if they did not keep a server. */
  keeping(): Iterable<StayingClient>;
  consoles(): Iterable<{ close(reason: WeirError): void }>;
  random(): number;
}

const pollMs = 20;

/** When each is due, in ms from now: evenly spread, each at random within its part. */
export function dueTimes(count: number, overMs: number, random: () => number): number[] {
  return Array.from({ length: count }, (_, index) => ((index + random()) / count) * overMs);
}

/** @returns when each is due, in ms from now, between `fromMs` and `overMs` after that */
function schedule(
  clients: Iterable<StayingClient>,
  fromMs: number,
  overMs: number,
  random: () => number,
): Map<StayingClient, number> {
  const all = [...clients];
  const times = dueTimes(all.length, overMs, random);
  return new Map(all.map((client, index) => [client, fromMs + (times[index] ?? 0)]));
}

/** The same for clients that may still give their server back: as late as possible, all due by `endMs`. */
function scheduleLast(
  clients: readonly StayingClient[],
  endMs: number,
  atMostMs: number,
  random: () => number,
): Map<StayingClient, number> {
  const spanMs = Math.min(atMostMs, clients.length * msForEach);
  return schedule(clients, endMs - spanMs, spanMs, random);
}

/**
 * Ends each at its first boundary after it is due, the consoles at the end. Those that stay are due within `overMs`, those that keep a
 * server at the end of `graceMs` after that. Resolves when none is left, or after both times.
 * @returns how many have to connect again; of those that keep a server, only who was ended here
 */
export async function part(parts: PartingParts, overMs: number, graceMs: number): Promise<number> {
  const due = schedule(parts.staying(), 0, overMs, parts.random);
  const ended = new Set<StayingClient>();
  const sinceMs = systemClock.nowMs();
  let dueOfKeeping: Map<StayingClient, number> | undefined;
  for (;;) {
    const passedMs = systemClock.nowMs() - sinceMs;
    if (passedMs >= overMs)
      dueOfKeeping ??= scheduleLast([...parts.keeping()], overMs + graceMs, graceMs, parts.random);
    let left = 0;
    const endWhenDue = (client: StayingClient, dueMs: number): void => {
      if (ended.has(client)) return;
      left++;
      if (passedMs < dueMs || !client.isIdle) return;
      client.terminate(new WeirError('replaced'));
      ended.add(client);
    };
    // Who has come since then is due at the end.
    for (const client of parts.staying()) endWhenDue(client, due.get(client) ?? overMs);
    for (const client of parts.keeping()) endWhenDue(client, dueOfKeeping?.get(client) ?? Infinity);
    if (left === 0 || passedMs >= overMs + graceMs) break;
    await sleep(pollMs);
  }
  for (const console of parts.consoles()) console.close(new WeirError('replaced'));
  // The others are cut off when the process ends.
  const cutOff = [...parts.staying()].filter((client) => !ended.has(client)).length;
  return ended.size + cutOff;
}
