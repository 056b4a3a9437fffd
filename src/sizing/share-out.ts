/**
 * Who gets how many of a node's connections when not all wishes fit: max-min fair, integers, deterministic. Pure.
 * First everybody's floor, then needs, then what each has already. Used by sizing/resize-loop.ts.
 */
export interface Claim {
  /** Never less than this, budget or not. */
  readonly floor: number;
  /** What it cannot do without now; at most `want`. */
  readonly need: number;
  /** What it would take if there were room. */
  readonly want: number;
  /** What it may have now. */
  readonly limit: number;
  /** Connections that a smaller limit would not close at once. */
  readonly busy: number;
}

/**
 * The new limit of each claim; `cap` = what there is for all of them. The sum of the limits is at most `cap` unless the
 * floors alone are more. A limit grows only into places that are free now: what another has to give up and still uses
 * is not given away yet.
 */
export function shareOut(claims: readonly Claim[], cap: number): number[] {
  const wanted = claims.reduce((sum, claim) => sum + Math.max(claim.want, claim.floor), 0);
  const targets = wanted <= cap ? claims.map((claim) => Math.max(claim.want, claim.floor)) : divide(claims, cap);
  holdBack(claims, targets, cap);
  return targets;
}

function divide(claims: readonly Claim[], cap: number): number[] {
  const targets = claims.map((claim) => claim.floor);
  const raise = (to: (claim: Claim) => number): void => {
    const left = cap - targets.reduce((sum, target) => sum + target, 0);
    if (left <= 0) return;
    const room = claims.map((claim, index) => Math.max(0, to(claim) - (targets[index] ?? 0)));
    level(targets, room, left);
  };
  raise((claim) => Math.min(claim.need, claim.want));
  raise((claim) => Math.min(claim.limit, claim.want));
  raise((claim) => claim.want);
  return targets;
}

/** Raises `targets` together, those that stand lowest first, each by at most its `room`, by `amount` in all. */
function level(targets: number[], room: readonly number[], amount: number): void {
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
    // One more for as many as there is left, in order: every place is used.
    const isLowest = target === low && target < (ceilings[index] ?? 0);
    targets[index] = isLowest && left > 0 ? target + 1 : target;
    if (isLowest && left > 0) left--;
  });
}

/** Takes growth back, the largest first, until what is open and what may be opened fit together. */
function holdBack(claims: readonly Claim[], targets: number[], cap: number): void {
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
