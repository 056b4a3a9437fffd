/**
 * Has a server connection run, in one exchange, what the concerns of its session need there
 * (session/concerns/table.ts): mostly the settings of the session, or the BEGIN of a transaction that has moved there.
 * A connection on which that fails, because of what other sessions did there, is replaced.
 */
import type { ServerConnection } from '../../backend/server.ts';
import { WeirError } from '../../errors/errors.ts';
import type { Pool } from '../../pool/pool.ts';
import { avoidNode, maxAttempts } from '../run-again.ts';
import type { GoOn, Outcome, Session } from '../../session/session.ts';
import { refuse } from '../refuse.ts';
import type { Request } from '../../session/request.ts';

/**
 * The session already had this server. Inside a transaction, only settings that RESET took to the server's default are
 * corrected.
 */
export function prepareOwnServer(session: Session, request: Request): Outcome {
  return prepareServer(session, request, undefined);
}

/** The server was just taken from its pool, with the settings of the session that had it last. */
export function prepareNewServer(session: Session, request: Request): Outcome {
  return prepareServer(session, request, session.pool);
}

/** @param from its pool, if it was just taken from there */
function prepareServer(session: Session, request: Request, from: Pool | undefined): Outcome {
  const server = session.server as ServerConnection;
  if (from !== undefined && session.concerns.customSettings.isForeign(server, request))
    return renew(session, request, from, server);
  const texts = session.moments.prepareServer(server, request);
  if (texts === undefined) return 'send';
  return setUp(session, request, from, Promise.all(texts.map((text) => server.run(text))));
}

/** Waits until the server has `answers` for all of it, and sends the request. */
function setUp(session: Session, request: Request, from: Pool | undefined, answers: Promise<unknown>): Outcome {
  const server = session.server as ServerConnection;
  const hasState = session.mustStay;
  const succeeded = (): Outcome => {
    // The server may have closed the connection right after its answer.
    if (session.server !== server) return failed('the server closed the connection');
    session.moments.serverPrepared(server);
    session.tellReported(server);
    return 'send';
  };
  const failed = (why: string): Outcome => {
    if (!server.isAlive && !hasState && request.target.attempts++ < maxAttempts) {
      avoidNode(request, `${server.node.name} was lost (${why})`);
      return 'find server';
    }
    if (server.isAlive && from !== undefined && request.target.attempts++ < maxAttempts)
      return renew(session, request, from, server);
    session.dropServer(`its session could not be set up: ${why}`);
    // The primary may accept settings that a replica refuses (such as serializable transactions).
    if (request.target.node?.role === 'replica' && !hasState && !request.target.isRefused) {
      request.target.isRefused = true;
      request.target.retryWhy = `${server.node.name} does not take the settings of the session (${why})`;
      return 'find server';
    }
    const detail = `Replaying the settings of this session failed: ${why}`;
    return refuse(session, request, new WeirError('server_login_failed', { node: server.node.name, why: detail }));
  };
  return session.waitShortly('server set-up', request, (goOn) => {
    answers.then(
      () => goOn(succeeded),
      (error: Error) => goOn(() => failed(error.message)),
    );
  });
}

/**
 * Replaces the server connection by a new one, which may accept settings that this one refuses (such as temp_buffers,
 * once a temporary table was used), and has no custom settings of other sessions.
 */
function renew(session: Session, request: Request, pool: Pool, server: ServerConnection): Outcome {
  session.forgetServer();
  return session.waitFor('new server', request, (goOn) => {
    pool.renew(server).then(
      (fresh) => renewed(session, request, pool, fresh, goOn),
      (error: unknown) => session.fail(error),
    );
    return () => undefined;
  });
}

function renewed(
  session: Session,
  request: Request,
  pool: Pool,
  fresh: ServerConnection | undefined,
  goOn: GoOn,
): void {
  const isTakenUp = goOn(() => {
    if (fresh?.isAlive !== true) return 'find server';
    session.attached(pool, fresh, request.target.node);
    return 'prepare own server';
  });
  if (!isTakenUp && fresh !== undefined) pool.checkin(fresh, false);
}
