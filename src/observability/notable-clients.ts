/**
 * The clients that an operator should see first, of thousands: those that wait, that a pin keeps on their server, that hold a
 * transaction open, whose statement runs for long. Used for the page and for the figures that a worker gives for it.
 */
import type { ClientStats } from '../session/types.ts';

export const mostClients = 50;

/** A statement that runs for so long is worth a look, and a wait for so long: shorter ones come and go. */
const longMs = 1_000;
const waitedMs = 100;

/** 0: nothing to see. */
function rankOf({ state, pins, requestAtMs }: ClientStats, epochMs: number): number {
  const sinceMs = epochMs - requestAtMs;
  if (state === 'waiting' && sinceMs >= waitedMs) return 4;
  if (pins.length > 0) return 3;
  if (state === 'idle_in_transaction') return 2;
  return state === 'active' && sinceMs > longMs ? 1 : 0;
}

/** Most worth a look first; of the same rank, the one whose request is oldest. At most `mostClients`. */
export function notableClients(clients: Iterable<ClientStats>, epochMs: number): ClientStats[] {
  const found = new Map<number, { readonly client: ClientStats; readonly rank: number }>();
  for (const client of clients) {
    const rank = rankOf(client, epochMs);
    if (rank > 0) found.set(client.id, { client, rank });
  }
  return [...found.values()]
    .sort((a, b) => b.rank - a.rank || a.client.requestAtMs - b.client.requestAtMs)
    .slice(0, mostClients)
    .map(({ client }) => client);
}
