/** How a client's last statement was answered, as text: the value of SHOW weir.last_route. */
import type { Request } from './request.ts';

export function lastRoute(request: Request | undefined): string {
  if (request === undefined) return 'no statement yet';
  if (request.cache.label === 'hit') return 'cache; hit';
  const cache =
    request.cache.label === 'miss' ? `cache miss (${request.cache.why})` : `not cached: ${request.cache.why}`;
  const node = request.target.node?.name ?? 'no node';
  const why = request.target.route?.why() ?? `${request.planned.why}; the session keeps its server`;
  return `${node}; ${why}; ${cache}`;
}
