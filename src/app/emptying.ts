/**
 * A worker that is replaced gives its clients to the others: each as soon as it is at rest, those that log in meanwhile, too.
 * Called by cli/worker.ts when the supervisor asks for it.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../util/clock.ts';
import type { HandOvers, LeavingClient } from './hand-overs.ts';

export interface Way {
  /** False: nobody takes it. */
  give(socket: Socket, packed: unknown): boolean;
  unexpected(error: unknown): void;
}

const pollMs = 20;

/**
 * Resolves when no client is left that could be moved, and none is on its way in, or after `withinMs`. Then those that have not left stay.
 * @returns how many of them there are
 */
export async function giveAllAway(
  handOvers: Pick<HandOvers, 'clients' | 'arriving' | 'begin' | 'receive'>,
  way: Way,
  withinMs: number,
): Promise<number> {
  const leaving = new Set<LeavingClient>();
  const untilMs = systemClock.nowMs() + withinMs;
  const follow = async (client: LeavingClient): Promise<void> => {
    leaving.add(client);
    const given = await client.done;
    leaving.delete(client);
    if (given !== undefined && !way.give(given.socket, given.packed))
      await handOvers.receive(given.packed, given.socket);
  };
  do {
    for (const id of handOvers.clients()) {
      const client = handOvers.begin(id);
      if (typeof client !== 'string') follow(client).catch(way.unexpected);
    }
    await sleep(pollMs);
  } while (
    (leaving.size > 0 || handOvers.clients().length > 0 || handOvers.arriving > 0) &&
    systemClock.nowMs() < untilMs
  );
  const left = leaving.size + handOvers.arriving;
  for (const client of leaving) client.cancel();
  return left;
}
