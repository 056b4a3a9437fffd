/**
 * A worker that is replaced gives its clients to the others: each as soon as it is at rest, a few at a time, those that log in
 * meanwhile, too, and at once the connections whose client has sent nothing yet. Called by cli/worker.ts when the supervisor asks.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GiveConnection } from '../frontend/types.ts';
import { systemClock } from '../util/clock.ts';
import type { HandOvers, LeavingClient } from './hand-overs.ts';

export interface Way {
  /** False: nobody takes it. */
  give(socket: Socket, packed: unknown): boolean;
  readonly giveFresh: GiveConnection;
  /** Resolves, never at once, when all that was given has left this process. */
  written(): Promise<void>;
  unexpected(error: unknown): void;
}

export interface Patience {
  /** For clients that could be moved and are not at rest. */
  readonly withinMs: number;
  /** For log-ins that wait for their client: it may never send anything. */
  readonly loginsMs: number;
}

/** Clients and log-ins that are left, and could be moved later. */
export interface Left {
  /** Clients that did not come to rest, and log-ins that are not complete. */
  readonly late: number;
  /** Log-ins that wait for their client. */
  readonly silent: number;
}

const pollMs = 20;
/** So many begin to leave together: the others are served meanwhile, and what this process says does not wait long behind them. */
const atOnce = 16;

/** Resolves when no client is left that could be moved, and none is on its way in, or when patience is over. Those that are left stay. */
export async function giveAllAway(
  handOvers: Pick<HandOvers, 'clients' | 'arriving' | 'waitingForClient' | 'begin' | 'receive' | 'giveFreshAway'>,
  way: Way,
  { withinMs, loginsMs }: Patience,
): Promise<Left> {
  const leaving = new Set<LeavingClient>();
  const sinceMs = systemClock.nowMs();
  const follow = async (client: LeavingClient): Promise<void> => {
    leaving.add(client);
    const given = await client.done;
    leaving.delete(client);
    if (given !== undefined && !way.give(given.socket, given.packed))
      await handOvers.receive(given.packed, given.socket);
  };
  let left: Left;
  let isOver: boolean;
  do {
    handOvers.giveFreshAway(way.giveFresh);
    const staying = handOvers.clients();
    for (const id of staying.slice(0, atOnce)) {
      const client = handOvers.begin(id);
      if (typeof client !== 'string') follow(client).catch(way.unexpected);
    }
    await (staying.length > atOnce ? way.written() : sleep(pollMs));
    const { arriving, waitingForClient: silent } = handOvers;
    left = { late: leaving.size + handOvers.clients().length + arriving - silent, silent };
    const passedMs = systemClock.nowMs() - sinceMs;
    isOver = passedMs >= withinMs || (left.late === 0 && (silent === 0 || passedMs >= loginsMs));
  } while (!isOver);
  for (const client of leaving) client.cancel();
  return left;
}
