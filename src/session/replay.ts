/**
 * Makes a server look like the session that has it: its settings, in one exchange, and the transaction that moved there.
 * A server that cannot, because of what others did on it, is replaced by a new one.
 */
import type { ServerConnection } from '../backend/server.ts';
import { WeirError } from '../errors.ts';
import type { Pool } from '../pool/pool.ts';
import { TxStatus } from '../protocol/codes.ts';
import { avoidNode } from './again.ts';
import type { ClientSession } from './client.ts';
import { hasForeignCustom, hasOwnCustom, makeCustomSql, missingCustom, noteReplayed } from './custom-settings.ts';
import { findServer, maxAttempts, refuse, send } from './handle-request.ts';
import { hasForeignSequences } from './sequences.ts';
import { replaySql, settingsOf } from './settings.ts';
import type { Unit } from './unit.ts';

/** Is it already, for what the unit asks of sequences and custom settings? Requests ahead may still change it. */
export function isReadyFor(session: ClientSession, unit: Unit, server: ServerConnection): boolean {
  return !hasForeignSequences(session, unit, server) && hasOwnCustom(session, unit, server);
}

/**
 * Then sends.
 * @param from where the server was just taken from, with nothing of the session on it; undefined: it has been the session's
 */
export function prepareServer(session: ClientSession, unit: Unit, from?: Pool): void {
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
  if (isBegun && !isAsked && behind === undefined) return send(session, unit);
  const { settings } = session.state;
  const sql = isBegun ? behind : replaySql(settingsOf(server), settings);
  if (sql === undefined && !isAsked && session.reopening === undefined) return send(session, unit);
  const steps = [forgets ? 'DISCARD SEQUENCES' : undefined, sql, session.reopening, makes];
  const run = steps.filter((step) => step !== undefined).map((step) => server.run(step));
  setUp(session, unit, from, Promise.all(run), () => {
    if (!isBegun) server.settings = settings;
    if (sql !== undefined) noteReplayed(server, settings);
    if (forgets) server.sequencesOf = undefined;
  });
}

/** Sends when `steps` have made the session's server look like it. `done`: they have. */
function setUp(
  session: ClientSession,
  unit: Unit,
  from: Pool | undefined,
  steps: Promise<unknown>,
  done: () => void,
): void {
  const server = session.server as ServerConnection;
  const hasState = session.mustStay;
  session.waiting();
  const failed = (why: string): void => {
    if (!server.isAlive && !hasState && unit.attempts++ < maxAttempts) {
      avoidNode(unit, `${server.node.name} was lost (${why})`);
      return findServer(session, unit);
    }
    if (server.isAlive && from !== undefined && unit.attempts++ < maxAttempts)
      return renew(session, unit, from, server);
    session.dropServer(`its session could not be set up: ${why}`);
    // What a replica does not take (serializable transactions, say), the primary may.
    if (unit.node?.role === 'replica' && !hasState && !unit.isRefused) {
      unit.isRefused = true;
      unit.retryWhy = `${server.node.name} does not take the settings of the session (${why})`;
      return findServer(session, unit);
    }
    const detail = `Replaying the settings of this session failed: ${why}`;
    refuse(session, unit, new WeirError('server_login_failed', { node: server.node.name, why: detail }));
  };
  steps.then(
    () =>
      session.goOn(() => {
        // It may have said so with its last breath.
        if (session.server !== server) return failed('the server closed the connection');
        done();
        session.reopening = undefined;
        session.tellReported(server);
        send(session, unit);
      }),
    (error: Error) => session.goOn(() => failed(error.message)),
  );
}

/** A new server may take what this one does not (temp_buffers, say, once a temporary table was used), and has no more than it should. */
function renew(session: ClientSession, unit: Unit, pool: Pool, server: ServerConnection): void {
  session.forgetServer();
  session.waiting();
  let isLeft = false;
  session.leavePark = (): void => void (isLeft = true);
  pool.renew(server).then(
    (fresh) => {
      if (isLeft) return fresh === undefined ? undefined : pool.checkin(fresh, false);
      session.goOn(() => {
        if (fresh?.isAlive !== true) return findServer(session, unit);
        session.attached(pool, fresh, unit.node);
        prepareServer(session, unit);
      });
    },
    (error: unknown) => session.fail(error),
  );
}
