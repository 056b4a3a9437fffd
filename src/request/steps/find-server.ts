/**
 * Chooses the node of a request, and gets a server connection to it from the pool or waits for one. Called by
 * handle-request.ts; again if that server is lost or refuses the request.
 */
import { WeirError } from '../../errors/errors.ts';
import { noticeResponse } from '../../protocol/write.ts';
import type { ServerConnection } from '../../backend/server.ts';
import type { Pool } from '../../pool/pool.ts';
import type { Priority } from '../../pool/waiter.ts';
import type { Decision } from '../../routing/decision.ts';
import { route } from '../../routing/route.ts';
import type { RoutingFacts } from '../../routing/types.ts';
import { anyReplica, isOnTrial } from '../../routing/eligible.ts';
import { circuitRefusal, worthWaitingUntil } from '../../routing/worth-waiting.ts';
import type { NodeState } from '../../topology/types.ts';
import { avoidNode, maxAttempts } from '../run-again.ts';
import { awaitsReplica } from '../await-replica.ts';
import { consistencyOf } from '../cacheable.ts';
import { isFit, isShortRead, serverAtOnce } from '../lane.ts';
import { fellBack, giveRoom, isTrial } from '../load.ts';
import { refuse } from '../refuse.ts';
import type { Outcome, Session } from '../../session/session.ts';
import type { Request } from '../../session/request.ts';

function routingFacts(session: Session, request: Request): RoutingFacts {
  const { database, services } = session;
  const { preferences, freshness } = session.concerns;
  const { tokens } = freshness;
  const { ticker } = database.topology;
  const hinted = request.hints?.route;
  const hasPrimary = database.topology.snapshot().primary?.isUp === true;
  // It has failed on two replicas: a third one is not tried.
  const isBoundHome = request.target.isRefused || (request.target.attempts > 1 && hasPrimary);
  const forced = isBoundHome
    ? 'primary'
    : (hinted ?? (session.poolMode === 'session' && preferences.route === 'auto' ? 'primary' : preferences.route));
  const forcedBy = isBoundHome
    ? request.target.retryWhy
    : hinted !== undefined
      ? 'hint'
      : preferences.route !== 'auto'
        ? preferences.routeBy
        : 'pool_mode = session';
  // Without a primary it is not known how far its WAL had come. So reads do not fill the cache, and are answered
  // although there may be writes that Weir does not know of. Known writes still count: a primary that seems down may
  // be working.
  if (!hasPrimary && request.cache.flight !== undefined) request.cache.drop();
  const flightLsn = request.cache.flight?.needLsn();
  const lastWrite = request.cache.flight === undefined ? session.lastWriteOf(request, !hasPrimary) : 0;
  const need = tokens.needLsn(ticker, lastWrite);
  return {
    isRead: request.planned.isRead,
    why: request.planned.why,
    forced,
    forcedBy,
    consistency: consistencyOf(session, request),
    needLsn:
      request.cache.flight === undefined
        ? need
        : need === undefined || flightLsn === undefined
          ? undefined
          : Math.max(need, flightLsn),
    avoid: request.target.avoid,
    lastNode: tokens.lastNode,
    moveLsn: tokens.moveLsn(ticker),
    key: request.hints?.key ?? preferences.key ?? session.identity.user,
    keyBy: request.hints?.key !== undefined ? 'hint' : preferences.key !== undefined ? 'weir.key' : 'user',
    nowMs: services.nowMs(),
  };
}

/** The routing decision alone. */
export function routeOf(session: Session, request: Request): Decision {
  const { database, services } = session;
  return route(
    routingFacts(session, request),
    database.topology.snapshot(),
    services.routing(),
    services.random,
    database.common.turn,
  );
}

export function findServer(session: Session, request: Request): Outcome {
  giveRoom(session, request);
  const decision = routeOf(session, request);
  request.target.route = decision;
  const { node } = decision;
  if (node === undefined) return park(session, request, decision);
  request.target.node = node;
  if (decision.isFallback) {
    const isInReach = (): boolean => !routeOf(session, request).isFallback;
    const waits = awaitsReplica(session, request, decision, isInReach);
    if (waits !== undefined) return waits;
    fellBack(session, request, node);
  } else if (node.role === 'replica') {
    if (isOnTrial(node)) isTrial(request, node);
    session.stranded.over();
  }
  // A read with `eventual` consistency may go to a replica that has not replayed enough: its answer must not fill the cache.
  if (
    request.cache.flight !== undefined &&
    node.role === 'replica' &&
    !(node.lsn >= (request.cache.flight.needLsn() ?? Infinity))
  )
    request.cache.drop();
  return takeServer(session, request, node);
}

function takeServer(session: Session, request: Request, node: NodeState): Outcome {
  const pool = session.database.pool(node, session.user);
  request.target.isShort = isShortRead(session, request);
  const reset = session.concerns.sequences.resetOf(request);
  if (reset !== undefined)
    return session.waitShortly('server reset', request, (goOn) => void reset.then(() => goOn('find server')));
  const server = serverAtOnce(session, request, pool);
  if (server !== undefined) return attach(session, request, pool, server);
  const refusal = circuitRefusal(node, () => pool.stats().waiting, session.services.nowMs());
  if (refusal !== undefined) return refuse(session, request, noNode(session, refusal));
  return session.waitFor('server', request, (goOn) => {
    const ticket = pool.wait(
      {
        user: session.user,
        priority: priorityOf(session, request),
        mayGoElsewhere: request.planned.isRead && node.role === 'replica',
        mayShare: (lane) => request.target.isShort && isFit(session, request, lane),
        queued: () => session.say(queuedNotice),
        granted: (granted) => {
          // The request waits for something else by now, so the server connection goes back to the pool.
          if (!goOn(() => attach(session, request, pool, granted))) pool.checkin(granted, false);
        },
        refused: (error, isElsewhere) => void goOn(() => refusedByPool(session, request, error, isElsewhere)),
      },
      request.receivedAtMs,
    );
    return () => ticket?.cancel();
  });
}

/** Of query_wait_notify, in PgBouncer's words. */
const queuedNotice = noticeResponse({
  severity: 'NOTICE',
  sqlstate: '00000',
  message: 'No server connection available in postgres backend, client being queued',
});

/** A transaction that is open already, and moves to another server, goes before those that have not begun. */
function priorityOf(session: Session, request: Request): Priority {
  return session.concerns.opening.isToBegin ? 'high' : (request.hints?.priority ?? session.priority);
}

function attach(session: Session, request: Request, pool: Pool, server: ServerConnection): Outcome {
  session.attached(pool, server, request.target.node);
  return 'prepare new server';
}

function refusedByPool(session: Session, request: Request, error: WeirError, isElsewhere: boolean): Outcome {
  // Weir's own choice, not what the node took for it: slow statements must not be the reason why statements are refused.
  if (error.errorName === 'low_priority_shed') request.target.node = undefined;
  if (!isElsewhere) return refuse(session, request, error);
  if (request.target.node?.role === 'replica') {
    request.target.attempts++;
    const isRefused = error.errorName === 'server_refused';
    const isNotTheFirst = request.target.avoid !== '' && request.target.avoid !== request.target.node.name;
    avoidNode(request, `${request.target.node.name} ${isRefused ? 'refuses the log-in' : 'cannot be reached'}`);
    // Two replicas have refused the log-in: a third one is not tried.
    if (isRefused && isNotTheFirst) request.target.avoid = anyReplica;
    if (isRefused && routeOf(session, request).node === undefined) return refuse(session, request, error);
  }
  if (request.target.attempts > maxAttempts) return refuse(session, request, error);
  return 'find server';
}

const noNode = (session: Session, why: string): WeirError =>
  new WeirError('no_node', { database: session.database.name, why });

/**
 * No node can take it: wait until the topology changes, at most query_wait_timeout, and not for a node whose circuit stays
 * open.
 */
function park(session: Session, request: Request, decision: Decision): Outcome {
  const { database, services } = session;
  const { failoverWaitMs } = services.routing();
  const worthUntilMs = worthWaitingUntil(decision, failoverWaitMs);
  const deadlineMs = request.receivedAtMs + database.settings(session.user).queryWaitTimeoutMs;
  const expired = (): Outcome => {
    const isCut = worthUntilMs < deadlineMs;
    const why = isCut ? `${decision.why()}; ${notWorth(worthUntilMs, failoverWaitMs)}` : decision.why();
    return refuse(session, request, noNode(session, why));
  };
  if (worthUntilMs <= services.nowMs()) return expired();
  return session.waitFor('node', request, (goOn) =>
    database.park({
      deadlineMs: Math.min(deadlineMs, worthUntilMs),
      retry: () =>
        goOn(() => {
          request.target.avoid = '';
          return 'find server';
        }),
      expired: () => goOn(expired),
    }),
  );
}

function notWorth(worthUntilMs: number, failoverWaitMs: number): string {
  if (worthUntilMs === -Infinity) return 'its circuit is open';
  return `its circuit has been open for longer than routing.failover_wait (${failoverWaitMs} ms)`;
}
