/** What DatabaseStats.byLabel (session/types.ts) says by route. Used by the console and by what http shows. */

/** Number of statements that primary, replicas and cache have answered, and of those that ended in an error. */
export interface ByRoute {
  readonly primary: number;
  readonly replica: number;
  readonly cache: number;
  readonly errors: number;
}

/** Each route has six counts in a row, and every second one is of errors. Those of the last route are answered by Weir itself. */
export function byRoute(byLabel: Float64Array): ByRoute {
  const sums = [0, 0, 0, 0];
  let errors = 0;
  byLabel.forEach((count, index) => {
    const route = Math.floor(index / 6);
    sums[route] = (sums[route] as number) + count;
    if (index % 2 === 1) errors += count;
  });
  const [primary = 0, replica = 0, cache = 0] = sums;
  return { primary, replica, cache, errors };
}
