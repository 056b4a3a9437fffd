/**
 * Which reads may share a server with other clients' (pool/lanes.ts), and how one of them is cancelled without touching
 * its neighbours.
 */
import { TxStatus } from '../protocol/codes.ts';
import { errorResponse, readyForQuery } from '../protocol/write.ts';
import { WeirError } from '../errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { Pool } from '../pool/pool.ts';
import type { Session } from '../session/session.ts';
import { runAgain } from './run-again.ts';
import { countAnswer } from './count.ts';
import { leaveFlight } from './load.ts';
import { passesNames } from './prepared/names.ts';
import { settingsOf } from '../session/settings.ts';
import type { Statement } from '../session/statements.ts';
import type { Unit } from '../session/unit.ts';

/** A template that has not been seen to be faster than this waits for a server of its own. */
const shortBelowMs = 5;

/** A single plain SELECT outside of any transaction, which is known to be quick, of a session without state. */
export function isShortRead(session: Session, unit: Unit): boolean {
  const plan = unit.plans[0];
  // A Query in a batch without Sync is skipped with it if it fails, and then owes its neighbours a Sync.
  if (unit.form.isSimple && unit.form.shape !== 'Q') return false;
  if (plan === undefined || unit.plans.length !== 1 || !plan.isPlainRead || !unit.isComplete || !unit.planned.isRead)
    return false;
  if (
    session.poolMode === 'session' ||
    session.status !== TxStatus.Idle ||
    session.state.isPinned ||
    unit.target.attempts > 0
  )
    return false;
  // What it prepares is compared with what others have under that name.
  if (unit.names.parsesNamed) return false;
  const baseline = session.services.baselines.peek(plan.facts);
  return baseline !== undefined && baseline.latencyMs < shortBelowMs;
}

/** Does the server look like this session already? In a lane nothing can be replayed, and no batch may pause. */
export function isFit(session: Session, unit: Unit, server: ServerConnection): boolean {
  if (unit.names.uses !== undefined && !isThere(session, unit, unit.names.uses, server)) return false;
  if (!session.concerns.customSettings.isReady(server, unit)) return false;
  const settings = settingsOf(server);
  return settings === session.state.settings || settings.key === session.state.settings.key;
}

function isThere(session: Session, unit: Unit, { serverName }: Statement, server: ServerConnection): boolean {
  // A read's Bind of the unnamed statement does not wait for what a server makes of that.
  if (serverName === '') return !unit.form.shape.includes('S');
  return server.prepared.has(serverName) || passesNames(session);
}

/** A server that the unit can be sent to without waiting, if there is one. */
export function serverAtOnce(session: Session, unit: Unit, pool: Pool): ServerConnection | undefined {
  const own = session.concerns.sequences.takeServer(unit, pool);
  if (own !== undefined) return own;
  const fits = (server: ServerConnection): boolean => isFit(session, unit, server);
  if (!unit.target.isShort) return pool.tryCheckout(fits);
  return pool.tryJoin(fits) ?? pool.tryCheckout(fits) ?? pool.tryShare(fits);
}

/**
 * A CancelRequest would hit whatever the server runs when it arrives. So if it is the client's turn, the server is given
 * up: the statement is stopped with it, and its neighbours, of whose answers nothing has come, run again elsewhere.
 * Otherwise the client leaves, and its neighbours notice nothing.
 */
export function cancelInLane(session: Session, server: ServerConnection): void {
  const isItsTurn = server.head === session.receiver;
  if (!isItsTurn) session.leaveLane();
  for (let unit = session.inFlight.shift(); unit !== undefined; unit = session.inFlight.shift()) {
    unit.cache.flight?.abandon();
    unit.attempt.failed();
    // The client will never hear that its Parse went well.
    if (unit.state !== 'shown')
      for (const [name, statement] of unit.attempt.entered ?? []) session.prepared.forget(name, statement);
    leaveFlight(session, unit, 'given up');
    session.say(errorResponse(new WeirError('query_canceled')));
    session.say(readyForQuery('I'));
    countAnswer(session, unit);
  }
  if (isItsTurn) {
    session.forgetServer();
    void session.database.cancel(server);
    server.destroy('a statement in its lane was cancelled');
  }
  session.becameQuiet();
}

/** Whoever is ahead of the session takes too long: its read runs elsewhere. */
export function leaveSlowLane(session: Session, why: string): void {
  const unit = session.inFlight.peek();
  if (unit?.state !== 'running' || session.inFlight.length > 1 || unit.messages === undefined) return;
  session.leaveLane();
  session.inFlight.shift();
  leaveFlight(session, unit, 'runs again');
  unit.target.retryWhy = why;
  runAgain(session, [unit]);
}
