/**
 * Among the nodes that may take a read, which one does: least load by two random choices, in turn, by chance, by weight.
 * Works on the eligible nodes as a bit set over an array, so that nothing is allocated. Called by route.ts only.
 */
import type { BalanceHosts } from '../config/config.ts';
import type { NodeState } from '../topology/types.ts';
import { relaxed } from '../util/ewma.ts';
import { LOAD_MEMORY_MS } from './latency.ts';

/** Nodes that take part in balancing: as many as a 32-bit set holds with the sign left alone. */
export const MAX_CANDIDATES = 31;

/** Share of new reads that a node should get, relative to the others. */
export function shareOf(node: NodeState): number {
  return node.config.weight * node.slowStart;
}

/**
 * What one more read costs there: how slow it is (1 = as ever) times how full, for its weight. An idle node costs its
 * slowness alone, so that among idle nodes the weighted draw decides, and under load they fill up by weight.
 */
export function costOf(node: NodeState, nowMs: number): number {
  const { load } = node;
  const slowness = load.ewma === 1 ? 1 : relaxed(load.ewma, 1, nowMs - load.ewmaAtMs, LOAD_MEMORY_MS);
  return slowness * (1 + load.outstanding / shareOf(node));
}

/** The second choice takes the read only if it is this much cheaper: noise must not empty a node. */
const CLEARLY = 0.9;

export function isClearlyCheaper(cost: number, than: number): boolean {
  return cost < than * CLEARLY;
}

/** Index drawn by share among the bits of `set`; -1 if it is empty. */
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

/** Index of the `n`-th (from 0) bit that is set; -1 if there are not so many. */
function nthOf(set: number, n: number): number {
  let left = n;
  for (let index = 0; set >>> index !== 0; index++) {
    if ((set >>> index) & 1 && left-- === 0) return index;
  }
  return -1;
}

/** For everything but least-load: index of the node; `set` is not empty, `turn` counts the reads routed so far. */
export function pickBlindly(
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
