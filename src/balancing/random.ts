/**
 * load_balance_hosts = random: each node is as likely as the others.
 */
import { nthOf, sizeOf } from './node-set.ts';
import type { Policy } from './types.ts';

export const randomly: Policy = (pick, nodes, set, random) => {
  pick.node = nodes[nthOf(set, Math.floor(random() * sizeOf(set)))];
};
