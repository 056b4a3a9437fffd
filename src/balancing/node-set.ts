/**
 * Sets of nodes, as bits over an array of nodes, so that nothing is allocated; and a draw from such a set by weight.
 * Used by the policies.
 */
import type { Candidate } from './types.ts';

/** Maximum number of nodes in balancing: the bits of a 32-bit integer without its sign. */
export const MAX_CANDIDATES = 31;

export function sizeOf(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** @returns the index of the n-th bit that is set, counted from 0; -1 if there are fewer */
export function nthOf(set: number, n: number): number {
  let left = n;
  for (let index = 0; set >>> index !== 0; index++) {
    if ((set >>> index) & 1 && left-- === 0) return index;
  }
  return -1;
}

/** The weight of a node for new reads: as configured, reduced while the node is in slow start. */
export function shareOf(node: Candidate): number {
  return node.config.weight * node.slowStart;
}

/**
 * Draws one of the nodes in `set` at random, in proportion to their weights.
 * @returns its index; -1 if `set` is empty
 */
export function drawByShare(nodes: readonly Candidate[], set: number, random: () => number): number {
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
