/** A client's row of SHOW CLIENTS. Reads the session and changes nothing. */
import { TxStatus } from '../protocol/codes.ts';
import type { Session } from './session.ts';
import type { ClientState, ClientStats } from './types.ts';

function stateOf(session: Session): ClientState {
  if (session.isWaiting && session.inFlight.length === 0) return 'waiting';
  if (session.inFlight.length > 0) return 'active';
  return session.status === TxStatus.Idle ? 'idle' : 'idle_in_transaction';
}

export function clientStats(session: Session): ClientStats {
  const now = session.services.nowMs();
  const epoch = Date.now() - now;
  const { identity } = session;
  return {
    id: identity.id,
    database: session.database.name,
    user: session.user,
    state: stateOf(session),
    host: identity.remoteAddress,
    port: identity.remotePort,
    hasTls: identity.hasTls,
    applicationName: session.state.settings.get('application_name') ?? '',
    connectedAtMs: epoch + identity.connectedAtMs,
    requestAtMs: epoch + session.requestAtMs,
    waitMs: session.wait?.kind === 'server' ? now - session.wait.sinceMs : 0,
    serverId: session.server?.id ?? 0,
    node: session.server?.node.name ?? '',
    pins: [...session.state.pins],
    preparedStatements: session.prepared.all.size,
    lastRoute: session.lastRoute,
  };
}
