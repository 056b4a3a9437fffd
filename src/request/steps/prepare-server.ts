/**
 * Gives a server connection the settings of the session that holds it, in one exchange, and begins the session's transaction
 * again if it has moved there. A connection that cannot take them, because of what other sessions did on it, is replaced.
 */
import type { ServerConnection } from '../../backend/server.ts';
import { WeirError } from '../../errors.ts';
import type { Pool } from '../../pool/pool.ts';
import { TxStatus } from '../../protocol/codes.ts';
import { avoidNode, maxAttempts } from '../run-again.ts';
import type { GoOn, Outcome, Session } from '../../session/session.ts';
import {
  hasForeignCustom,
  hasOwnCustom,
  makeCustomSql,
  missingCustom,
  noteReplayed,
} from '../../session/concerns/custom-settings.ts';
import { refuse } from '../refuse.ts';
import { hasForeignSequences } from '../../session/concerns/sequences.ts';
import { replaySql, settingsOf } from '../../session/settings.ts';
import type { Unit } from '../../session/unit.ts';

/** Is it already, for what the unit asks of sequences and custom settings? Requests ahead may still change it. */
export function isReadyFor(session: Session, unit: Unit, server: ServerConnection): boolean {
  return !hasForeignSequences(session, unit, server) && hasOwnCustom(session, unit, server);
}

/** The session held this server before. Inside a transaction only settings that RESET took too far are put right. */
export function prepareOwnServer(session: Session, unit: Unit): Outcome {
  return prepareServer(session, unit, undefined);
}

/** The server comes from its pool just now, with the settings of whichever session had it last. */
export function prepareNewServer(session: Session, unit: Unit): Outcome {
  return prepareServer(session, unit, session.pool);
}

/** @param from its pool, if it was just taken from there */
function prepareServer(session: Session, unit: Unit, from: Pool | undefined): Outcome {
  const server = session.server as ServerConnection;
  if (unit.asksCustom && from !== undefined && hasForeignCustom(session, unit, server))
    return renew(session, unit, from, server);
  const isFailed = session.status === TxStatus.Failed;
  const forgets = hasForeignSequences(session, unit, server) && !isFailed;
  const makes = unit.asksCustom && !isFailed ? makeCustomSql(server, missingCustom(session, unit, server)) : undefined;
  const isAsked = forgets || makes !== undefined;
  // What a transaction sets, its server has set; but RESET goes there to the server's default, not to the client's.
  const isBegun = session.status !== TxStatus.Idle && session.reopening === undefined;
  const behind = session.status === TxStatus.InTransaction ? session.state.takeBehind() : undefined;
  if (isBegun && !isAsked && behind === undefined) return 'send';
  const { settings } = session.state;
  const sql = isBegun ? behind : replaySql(settingsOf(server), settings);
  if (sql === undefined && !isAsked && session.reopening === undefined) return 'send';
  const texts = [forgets ? 'DISCARD SEQUENCES' : undefined, sql, session.reopening, makes];
  const run = texts.filter((text) => text !== undefined).map((text) => server.run(text));
  return setUp(session, unit, from, Promise.all(run), () => {
    if (!isBegun) server.sessionState.settings = settings;
    if (sql !== undefined) noteReplayed(server, settings);
    if (forgets) server.sessionState.sequencesOf = undefined;
  });
}

/** Waits until the server has `answers` for all of it, and sends the request. `done` is called before that. */
function setUp(
  session: Session,
  unit: Unit,
  from: Pool | undefined,
  answers: Promise<unknown>,
  done: () => void,
): Outcome {
  const server = session.server as ServerConnection;
  const hasState = session.mustStay;
  const succeeded = (): Outcome => {
    // It may have said so with its last breath.
    if (session.server !== server) return failed('the server closed the connection');
    done();
    session.reopening = undefined;
    session.tellReported(server);
    return 'send';
  };
  const failed = (why: string): Outcome => {
    if (!server.isAlive && !hasState && unit.attempts++ < maxAttempts) {
      avoidNode(unit, `${server.node.name} was lost (${why})`);
      return 'find server';
    }
    if (server.isAlive && from !== undefined && unit.attempts++ < maxAttempts)
      return renew(session, unit, from, server);
    session.dropServer(`its session could not be set up: ${why}`);
    // What a replica does not take (serializable transactions, say), the primary may.
    if (unit.node?.role === 'replica' && !hasState && !unit.isRefused) {
      unit.isRefused = true;
      unit.retryWhy = `${server.node.name} does not take the settings of the session (${why})`;
      return 'find server';
    }
    const detail = `Replaying the settings of this session failed: ${why}`;
    return refuse(session, unit, new WeirError('server_login_failed', { node: server.node.name, why: detail }));
  };
  return session.waitShortly('server set-up', unit, (goOn) => {
    answers.then(
      () => goOn(succeeded),
      (error: Error) => goOn(() => failed(error.message)),
    );
  });
}

/** A new server may take what this one does not (temp_buffers, say, once a temporary table was used), and has no more than it should. */
function renew(session: Session, unit: Unit, pool: Pool, server: ServerConnection): Outcome {
  session.forgetServer();
  return session.waitFor('new server', unit, (goOn) => {
    pool.renew(server).then(
      (fresh) => renewed(session, unit, pool, fresh, goOn),
      (error: unknown) => session.fail(error),
    );
    return () => undefined;
  });
}

function renewed(session: Session, unit: Unit, pool: Pool, fresh: ServerConnection | undefined, goOn: GoOn): void {
  const isTakenUp = goOn(() => {
    if (fresh?.isAlive !== true) return 'find server';
    session.attached(pool, fresh, unit.node);
    return 'prepare own server';
  });
  if (!isTakenUp && fresh !== undefined) pool.checkin(fresh, false);
}
