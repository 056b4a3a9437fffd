/**
 * Divides the connections of a node among pools that together want more than `cap`: max-min fair, in integers,
 * deterministic. First every pool gets its floor, then its need, then up to its present limit, then what it wants.
 * Called by sizing/controller.ts.
 */
export interface Claim {
  /** It gets at least this, even if the floors together exceed `cap`. */
  readonly floor: number;
  /** The least it needs for its present load; at most `want`. */
  readonly need: number;
  /** What it asks for. */
  readonly want: number;
  /** Its present limit. */
  readonly limit: number;
  /** Connections that a smaller limit does not close at once. */
  readonly busy: number;
}

/**
 * Keeps the sum of the new limits within `cap`, unless the floors alone exceed it. A connection that one pool has to
 * give up but still uses is not given to another until it is closed.
 * @param cap connections for all claims together
 * @returns the new limit of each claim, in their order
 */
export function shareOut(claims: readonly Claim[], cap: number): number[] {
  const wanted = claims.reduce((sum, claim) => sum + Math.max(claim.want, claim.floor), 0);
  const targets = wanted <= cap ? claims.map((claim) => Math.max(claim.want, claim.floor)) : divide(claims, cap);
  reduceGrowth(claims, targets, cap);
  return targets;
}

function divide(claims: readonly Claim[], cap: number): number[] {
  const targets = claims.map((claim) => claim.floor);
  const raise = (to: (claim: Claim) => number): void => {
    const left = cap - targets.reduce((sum, target) => sum + target, 0);
    if (left <= 0) return;
    const room = claims.map((claim, index) => Math.max(0, to(claim) - (targets[index] ?? 0)));
    raiseLowest(targets, room, left);
  };
  raise((claim) => Math.min(claim.need, claim.want));
  raise((claim) => Math.min(claim.limit, claim.want));
  raise((claim) => claim.want);
  return targets;
}

/** Raises `targets` by `amount` in all, the lowest first, each by at most its `room`. */
function raiseLowest(targets: number[], room: readonly number[], amount: number): void {
  const ceilings = targets.map((target, index) => target + (room[index] ?? 0));
  let low = 0;
  let high = Math.max(0, ...ceilings);
  const raised = (to: number, index: number): number =>
    Math.max(targets[index] ?? 0, Math.min(to, ceilings[index] ?? 0));
  const cost = (to: number): number => targets.reduce((sum, target, index) => sum + raised(to, index) - target, 0);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (cost(middle) <= amount) low = middle;
    else high = middle - 1;
  }
  let left = amount - cost(low);
  const reached = targets.map((_target, index) => raised(low, index));
  reached.forEach((target, index) => {
    // What remains after raising to a common level goes to the first claims, one each.
    const isLowest = target === low && target < (ceilings[index] ?? 0);
    targets[index] = isLowest && left > 0 ? target + 1 : target;
    if (isLowest && left > 0) left--;
  });
}

/** Reduces growth, the largest first, until the new limits and the connections that are still in use fit into `cap`. */
function reduceGrowth(claims: readonly Claim[], targets: number[], cap: number): void {
  let over = -cap;
  claims.forEach((claim, index) => (over += Math.max(targets[index] ?? 0, claim.busy)));
  const growth = (index: number): number => {
    const claim = claims[index] as Claim;
    return (targets[index] ?? 0) - Math.max(claim.limit, claim.busy, claim.floor);
  };
  const growing = targets.map((_target, index) => index).filter((index) => growth(index) > 0);
  while (over > 0 && growing.length > 0) {
    growing.sort((a, b) => growth(b) - growth(a));
    const first = growing[0] as number;
    const second = growing.length > 1 ? growth(growing[1] as number) : 0;
    const back = Math.min(over, Math.max(1, growth(first) - second));
    targets[first] = (targets[first] ?? 0) - back;
    over -= back;
    if (growth(first) <= 0) growing.shift();
  }
}
