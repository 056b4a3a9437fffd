/**
 * Picks one of the eligible nodes for a read: by least load, round-robin, at random or by weight (load_balance_hosts).
 * The eligible nodes are a bit set over an array, so that nothing is allocated. Called by route.ts.
 * Source of least-load: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
 */
import type { BalanceHosts } from '../config/config.ts';
import type { NodeState } from '../topology/types.ts';
import { relaxed } from '../util/ewma.ts';
import { LOAD_MEMORY_MS } from './latency.ts';

/** At most so many nodes take part in balancing: the bits of a 32-bit integer without its sign. */
export const MAX_CANDIDATES = 31;

/** The weight of a node for new reads: as configured, reduced while the node is in slow start. */
export function shareOf(node: NodeState): number {
  return node.config.weight * node.slowStart;
}

/**
 * The cost of one more read on a node: its slowness (1 = as usual) times 1 + outstanding reads per weight. An idle node
 * costs its slowness alone, so among idle nodes the weighted draw decides, and under load they fill up by weight.
 */
export function costOf(node: NodeState, nowMs: number): number {
  const { load } = node;
  const slowness = load.ewma === 1 ? 1 : relaxed(load.ewma, 1, nowMs - load.ewmaAtMs, LOAD_MEMORY_MS);
  return slowness * (1 + load.outstanding / shareOf(node));
}

/** The second node gets the read only if it costs less than this share of the first: small differences are noise. */
const CLEARLY_CHEAPER = 0.9;

export function isClearlyCheaper(cost: number, than: number): boolean {
  return cost < than * CLEARLY_CHEAPER;
}

/**
 * Draws one of the nodes in `set` at random, in proportion to their weights.
 * @returns its index; -1 if `set` is empty
 */
export function drawByShare(nodes: readonly NodeState[], set: number, random: () => number): number {
  let total = 0;
  for (let index = 0; set >>> index !== 0; index++) {
    if ((set >>> index) & 1) total += shareOf(nodes[index]!);
  }
  let left = random() * total;
  let last = -1;
  for (let index = 0; set >>> index !== 0; index++) {
    if (((set >>> index) & 1) === 0) continue;
    last = index;
    left -= shareOf(nodes[index]!);
    if (left < 0) break;
  }
  return last;
}

function sizeOf(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** @returns the index of the n-th bit that is set, counted from 0; -1 if there are fewer */
function nthOf(set: number, n: number): number {
  let left = n;
  for (let index = 0; set >>> index !== 0; index++) {
    if ((set >>> index) & 1 && left-- === 0) return index;
  }
  return -1;
}

/**
 * Picks a node without regard to its load.
 * @param set not empty
 * @param turn number of reads routed so far, for round-robin
 * @returns the index of the node
 */
export function pickWithoutLoad(
  how: Exclude<BalanceHosts, 'least-load'>,
  nodes: readonly NodeState[],
  set: number,
  random: () => number,
  turn: number,
): number {
  switch (how) {
    case 'round-robin':
      return nthOf(set, turn % sizeOf(set));
    case 'random':
      return nthOf(set, Math.floor(random() * sizeOf(set)));
    case 'weighted':
      return drawByShare(nodes, set, random);
  }
}
