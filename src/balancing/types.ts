/**
 * Input and output of a balancing policy. Types only. A policy sees only the name, weight and load of a node, so that both
 * the configuration and routing/ can import the policies.
 */

/** A node that may answer a read, as far as a policy needs to know it. */
export interface Candidate {
  readonly name: string;
  readonly config: { readonly weight: number };
  /** 0 to 1: less than 1 for a node that has just come up. */
  readonly slowStart: number;
  readonly load: { readonly outstanding: number; readonly ewma: number; readonly ewmaAtMs: number };
}

/** The position of round-robin. The caller keeps one per database. */
export interface Turn {
  value: number;
}

/**
 * What a policy fills in. `cost`, `other` and `otherCost` are only for the reason in words, and only if it compares
 * costs.
 */
export interface Pick<Node> {
  node: Node | undefined;
  cost: number;
  other: Node | undefined;
  otherCost: number;
}

/** `cost` of a policy that compares none. */
export const noCost = -1;

/**
 * Picks one of the nodes whose bits are set in `set` (never 0), without an allocation: called for every read.
 * @param random returns numbers in [0, 1)
 * @param key reads with the same key belong together
 */
export type Policy = <Node extends Candidate>(
  pick: Pick<Node>,
  nodes: readonly Node[],
  set: number,
  random: () => number,
  turn: Turn,
  nowMs: number,
  key: string,
) => void;
