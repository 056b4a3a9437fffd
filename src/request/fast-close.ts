/**
 * server_fast_close: a session that keeps its server to its end is ended together with it, once the server is to be closed and no
 * transaction is open. Called by client.ts when all requests are answered, and about once a second.
 */
import { WeirError } from '../errors/errors.ts';
import { TxStatus } from '../protocol/codes.ts';
import type { Session } from '../session/session.ts';

export function closeFast(session: Session): void {
  const { server, pool, identity, services } = session;
  if (server?.isCloseNeeded !== true || pool?.endsSession.has(server) !== true) return;
  if (!session.isReady || session.inFlight.length > 0 || session.status !== TxStatus.Idle || !server.isQuiet) return;
  const error = new WeirError('fast_closed');
  services.log('info', 'client_fast_closed', error.message, { client: identity.id, user: session.user });
  session.forgetServer();
  server.close('server_fast_close');
  session.terminate(error);
}
