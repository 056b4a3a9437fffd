/**
 * What others may know of a client: its row of SHOW CLIENTS, and how its last statement went. Reads, changes nothing.
 */
import { TxStatus } from '../protocol/codes.ts';
import type { ClientSession } from './client.ts';
import type { Unit } from './unit.ts';
import type { ClientState, ClientStats } from './types.ts';

/** How the last statement went, in words: SHOW weir.last_route. */
export function lastRoute(session: { readonly lastUnit: Unit | undefined }): string {
  const unit = session.lastUnit;
  if (unit === undefined) return 'no statement yet';
  if (unit.cacheLabel === 'hit') return 'cache; hit';
  const cache = unit.cacheLabel === 'miss' ? `cache miss (${unit.cacheWhy})` : `not cached: ${unit.cacheWhy}`;
  const node = unit.node?.name ?? 'no node';
  const why = unit.route?.why() ?? `${unit.why}; the session keeps its server`;
  return `${node}; ${why}; ${cache}`;
}

function stateOf(session: ClientSession, isWaiting: boolean): ClientState {
  if (isWaiting && session.inFlight.length === 0) return 'waiting';
  if (session.inFlight.length > 0) return 'active';
  return session.status === TxStatus.Idle ? 'idle' : 'idle_in_transaction';
}

export function clientStats(session: ClientSession, isWaiting: boolean): ClientStats {
  const now = session.services.nowMs();
  const epoch = Date.now() - now;
  const { identity } = session;
  return {
    id: identity.id,
    database: session.database.name,
    user: session.user,
    state: stateOf(session, isWaiting),
    host: identity.remoteAddress,
    port: identity.remotePort,
    hasTls: identity.hasTls,
    applicationName: session.state.settings.get('application_name') ?? '',
    connectedAtMs: epoch + identity.connectedAtMs,
    requestAtMs: epoch + session.requestAtMs,
    waitMs: session.ticket === undefined ? 0 : now - session.ticket.sinceMs,
    serverId: session.server?.id ?? 0,
    node: session.server?.node.name ?? '',
    pins: [...session.state.pins],
    preparedStatements: session.statements?.size ?? 0,
    lastRoute: lastRoute(session),
  };
}
