/**
 * The table of balancing policies, by the words of the setting routing.load_balance_hosts. The setting allows exactly
 * these words; routing/route.ts calls the policy.
 */
import { byHash } from './hash.ts';
import { leastLoad } from './least-load.ts';
import { randomly } from './random.ts';
import { roundRobin } from './round-robin.ts';
import type { Policy } from './types.ts';
import { weighted } from './weighted.ts';

export const policies = {
  'least-load': leastLoad,
  'round-robin': roundRobin,
  random: randomly,
  weighted,
  hash: byHash,
} as const satisfies Readonly<Record<string, Policy>>;

export type BalanceHosts = keyof typeof policies;

export const policyNames = Object.keys(policies) as readonly BalanceHosts[];
