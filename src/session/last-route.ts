/** How a client's last statement was answered, in words: the value of SHOW weir.last_route. */
import type { Unit } from './unit.ts';

export function lastRoute(unit: Unit | undefined): string {
  if (unit === undefined) return 'no statement yet';
  if (unit.cacheLabel === 'hit') return 'cache; hit';
  const cache = unit.cacheLabel === 'miss' ? `cache miss (${unit.cacheWhy})` : `not cached: ${unit.cacheWhy}`;
  const node = unit.node?.name ?? 'no node';
  const why = unit.route?.why() ?? `${unit.why}; the session keeps its server`;
  return `${node}; ${why}; ${cache}`;
}
