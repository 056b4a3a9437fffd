/**
 * The table of stores that several Weirs can share. Each implements Transport (transport.ts), and is used if its
 * setting is given. Called by cache.ts.
 */
import type { CacheOptions } from './parts.ts';
import { redisTransport } from './redis.ts';
import type { Transport } from './transport.ts';

/** @returns undefined if the configuration does not ask for this store */
type MakeTransport = (options: CacheOptions, instanceId: string) => Transport | undefined;

/** The workers of one Weir also share through Redis if there is one: other Weirs may share it too. */
const transports: readonly MakeTransport[] = [
  redisTransport,
  ({ shareWithWorkers }, instanceId) => shareWithWorkers?.(instanceId),
];

/** @returns undefined: no store is shared */
export function makeTransport(options: CacheOptions, instanceId: string): Transport | undefined {
  for (const make of transports) {
    const transport = make(options, instanceId);
    if (transport !== undefined) return transport;
  }
  return undefined;
}
