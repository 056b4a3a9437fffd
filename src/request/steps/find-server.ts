/**
 * Chooses the node of a request and gets a server connection to it from the pool, or waits for one. Called by
 * handle-request.ts; once more if that server is lost, or refuses the request.
 */
import { WeirError } from '../../errors.ts';
import type { ServerConnection } from '../../backend/server.ts';
import type { Pool } from '../../pool/pool.ts';
import type { Decision } from '../../routing/decision.ts';
import { route } from '../../routing/route.ts';
import type { Route, RoutingFacts } from '../../routing/types.ts';
import { anyReplica } from '../../routing/eligible.ts';
import type { NodeState } from '../../topology/types.ts';
import { avoidNode, maxAttempts } from '../run-again.ts';
import { awaitsReplica } from '../await-replica.ts';
import { consistencyOf } from '../cacheable.ts';
import { isFit, isShortRead, serverAtOnce } from '../lane.ts';
import { fellBack, giveRoom } from '../load.ts';
import { refuse } from '../refuse.ts';
import type { Outcome, Session } from '../../session/session.ts';
import type { Unit } from '../../session/unit.ts';

function routingFacts(session: Session, unit: Unit): RoutingFacts {
  const { database, services } = session;
  const { preferences, freshness } = session.concerns;
  const { tokens } = freshness;
  const { ticker } = database.topology;
  const hinted = unit.hints?.route;
  const hasPrimary = database.topology.snapshot().primary?.isUp === true;
  // Two replicas have failed it: a third is not tried.
  const isBoundHome = unit.target.isRefused || (unit.target.attempts > 1 && hasPrimary);
  const forced = isBoundHome
    ? 'primary'
    : (hinted ?? (session.poolMode === 'session' && preferences.route === 'auto' ? 'primary' : preferences.route));
  const forcedBy = isBoundHome
    ? unit.target.retryWhy
    : hinted !== undefined
      ? 'hint'
      : preferences.route !== 'auto'
        ? preferences.routeBy
        : 'pool_mode = session';
  // Without a primary nobody can say how far it was: reads fill no cache, and go on although there may be writes that nobody
  // knows of. Those that are known count all the same: who is taken for down may still be at work.
  if (!hasPrimary && unit.cache.flight !== undefined) unit.cache.drop();
  const flightLsn = unit.cache.flight?.needLsn();
  const lastWrite = unit.cache.flight === undefined ? session.lastWriteOf(unit, !hasPrimary) : 0;
  const need = tokens.needLsn(ticker, lastWrite);
  return {
    isRead: unit.planned.isRead,
    why: unit.planned.why,
    forced,
    forcedBy,
    consistency: consistencyOf(session, unit),
    needLsn:
      unit.cache.flight === undefined
        ? need
        : need === undefined || flightLsn === undefined
          ? undefined
          : Math.max(need, flightLsn),
    avoid: unit.target.avoid,
    lastNode: tokens.lastNode,
    moveLsn: tokens.moveLsn(ticker),
    nowMs: services.nowMs(),
  };
}

/** The decision alone: also what EXPLAIN ROUTE asks for. */
export function routeOf(session: Session, unit: Unit): Decision {
  const { database, services } = session;
  return route(
    routingFacts(session, unit),
    database.topology.snapshot(),
    services.routing(),
    services.random,
    database.turn,
  );
}

export function findServer(session: Session, unit: Unit): Outcome {
  giveRoom(session, unit);
  const decision = routeOf(session, unit);
  unit.target.route = decision;
  const { node } = decision;
  if (node === undefined) return park(session, unit, decision);
  unit.target.node = node;
  if (decision.isFallback) {
    const isInReach = (): boolean => !routeOf(session, unit).isFallback;
    const waits = awaitsReplica(session, unit, decision, isInReach);
    if (waits !== undefined) return waits;
    fellBack(session, unit, node);
  } else if (node.role === 'replica') {
    session.stranded.over();
  }
  // An eventual read may fill the cache from where it must not: only those that have replayed enough may.
  if (
    unit.cache.flight !== undefined &&
    node.role === 'replica' &&
    !(node.lsn >= (unit.cache.flight.needLsn() ?? Infinity))
  )
    unit.cache.drop();
  return takeServer(session, unit, node);
}

function takeServer(session: Session, unit: Unit, node: NodeState): Outcome {
  const pool = session.database.pool(node, session.user);
  unit.target.isShort = isShortRead(session, unit);
  const reset = session.concerns.sequences.resetOf(unit);
  if (reset !== undefined)
    return session.waitShortly('server reset', unit, (goOn) => void reset.then(() => goOn('find server')));
  const server = serverAtOnce(session, unit, pool);
  if (server !== undefined) return attach(session, unit, pool, server);
  return session.waitFor('server', unit, (goOn) => {
    const ticket = pool.wait(
      {
        mayGoElsewhere: unit.planned.isRead && node.role === 'replica',
        mayShare: (lane) => unit.target.isShort && isFit(session, unit, lane),
        granted: (granted) => {
          // The request waits for something else by now, so the server connection goes back to the pool.
          if (!goOn(() => attach(session, unit, pool, granted))) pool.checkin(granted, false);
        },
        refused: (error, isElsewhere) => void goOn(() => refusedByPool(session, unit, error, isElsewhere)),
      },
      unit.receivedAtMs,
    );
    return () => ticket?.cancel();
  });
}

function attach(session: Session, unit: Unit, pool: Pool, server: ServerConnection): Outcome {
  session.attached(pool, server, unit.target.node);
  return 'prepare new server';
}

function refusedByPool(session: Session, unit: Unit, error: WeirError, isElsewhere: boolean): Outcome {
  if (!isElsewhere) return refuse(session, unit, error);
  if (unit.target.node?.role === 'replica') {
    unit.target.attempts++;
    const isRefused = error.errorName === 'server_refused';
    const isNotTheFirst = unit.target.avoid !== '' && unit.target.avoid !== unit.target.node.name;
    avoidNode(unit, `${unit.target.node.name} ${isRefused ? 'refuses the log-in' : 'cannot be reached'}`);
    // Two that do not know the user: no third one is tried.
    if (isRefused && isNotTheFirst) unit.target.avoid = anyReplica;
    if (isRefused && routeOf(session, unit).node === undefined) return refuse(session, unit, error);
  }
  if (unit.target.attempts > maxAttempts) return refuse(session, unit, error);
  return 'find server';
}

/** No node can take it: wait until the topology changes, at most query_wait_timeout. */
function park(session: Session, unit: Unit, decision: Route): Outcome {
  const timeoutMs = session.database.settings().queryWaitTimeoutMs;
  return session.waitFor('node', unit, (goOn) =>
    session.database.park({
      deadlineMs: unit.receivedAtMs + timeoutMs,
      retry: () =>
        goOn(() => {
          unit.target.avoid = '';
          return 'find server';
        }),
      expired: () =>
        goOn(() =>
          refuse(session, unit, new WeirError('no_node', { database: session.database.name, why: decision.why() })),
        ),
    }),
  );
}
