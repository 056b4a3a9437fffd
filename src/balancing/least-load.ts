/**
 * load_balance_hosts = least-load: draws two nodes by weight and picks the one that costs less.
 * Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
 */
import { relaxed } from '../util/ewma.ts';
import { drawByShare, shareOf } from './node-set.ts';
import type { Candidate, Policy } from './types.ts';

/** Time constant of NodeLoad.ewma: half of the effect of a slow period is gone after about 7 s. */
export const LOAD_MEMORY_MS = 10_000;

/** The second node gets the read only if it costs less than this share of the first: small differences are noise. */
const CLEARLY_CHEAPER = 0.9;

/**
 * The cost of one more read on a node: its slowness (1 = as usual) times 1 + outstanding reads per weight. An idle node
 * costs its slowness alone, so among idle nodes the weighted draw decides, and under load they fill up by weight.
 */
export function costOf(node: Candidate, nowMs: number): number {
  const { load } = node;
  const slowness = load.ewma === 1 ? 1 : relaxed(load.ewma, 1, nowMs - load.ewmaAtMs, LOAD_MEMORY_MS);
  return slowness * (1 + load.outstanding / shareOf(node));
}

export const leastLoad: Policy = (pick, nodes, set, random, _turn, nowMs) => {
  const first = drawByShare(nodes, set, random);
  const one = nodes[first]!;
  pick.node = one;
  pick.cost = costOf(one, nowMs);
  const rest = set & ~(1 << first);
  if (rest === 0) return;
  const two = nodes[drawByShare(nodes, rest, random)]!;
  const twoCost = costOf(two, nowMs);
  if (twoCost < pick.cost * CLEARLY_CHEAPER) {
    pick.other = one;
    pick.otherCost = pick.cost;
    pick.node = two;
    pick.cost = twoCost;
  } else {
    pick.other = two;
    pick.otherCost = twoCost;
  }
};
