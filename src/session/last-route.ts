/** How a client's last statement was answered, in words: the value of SHOW weir.last_route. */
import type { Unit } from './unit.ts';

export function lastRoute(unit: Unit | undefined): string {
  if (unit === undefined) return 'no statement yet';
  if (unit.cache.label === 'hit') return 'cache; hit';
  const cache = unit.cache.label === 'miss' ? `cache miss (${unit.cache.why})` : `not cached: ${unit.cache.why}`;
  const node = unit.target.node?.name ?? 'no node';
  const why = unit.target.route?.why() ?? `${unit.planned.why}; the session keeps its server`;
  return `${node}; ${why}; ${cache}`;
}
