/**
 * load_balance_hosts = hash: reads with the same key get the same node, in every worker and every Weir whose nodes have the
 * same names. A node that leaves moves only the keys that it had; one that comes takes its part of each other's.
 * Source: D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (rendezvous hashing), 1998; weights
 * as in J. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables", 2005 (the logarithmic method).
 */
import { shareOf } from './node-set.ts';
import type { Policy } from './types.ts';

const TWO_TO_32 = 4_294_967_296;

/** FNV-1a over the UTF-16 code units, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash;
}

/** The finalizer of MurmurHash3: each bit of the input changes half of the bits of the result. */
function mixed(hash: number): number {
  let bits = hash ^ (hash >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** The node with the highest score gets the key. @param share its weight for new reads */
function scoreOf(node: string, keyHash: number, share: number): number {
  const chance = (mixed(keyHash ^ mixed(hashOf(node))) + 0.5) / TWO_TO_32;
  return share / -Math.log(chance);
}

export const byHash: Policy = (pick, nodes, set, _random, _turn, _nowMs, key) => {
  const keyHash = hashOf(key);
  let best = -1;
  for (let index = 0; set >>> index !== 0; index++) {
    if (((set >>> index) & 1) === 0) continue;
    const node = nodes[index]!;
    const score = scoreOf(node.name, keyHash, shareOf(node));
    if (score <= best) continue;
    best = score;
    pick.node = node;
  }
};
