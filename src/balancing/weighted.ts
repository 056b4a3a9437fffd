/**
 * load_balance_hosts = weighted: at random, in proportion to the weights of the nodes.
 */
import { drawByShare } from './node-set.ts';
import type { Policy } from './types.ts';

export const weighted: Policy = (pick, nodes, set, random) => {
  pick.node = nodes[drawByShare(nodes, set, random)];
};
