/**
 * load_balance_hosts = round-robin: the nodes take turns.
 */
import { nthOf, sizeOf } from './node-set.ts';
import type { Policy } from './types.ts';

export const roundRobin: Policy = (pick, nodes, set, _random, turn) => {
  pick.node = nodes[nthOf(set, turn.value % sizeOf(set))];
  turn.value = (turn.value + 1) >>> 0;
};
