/**
 * The way of a request, as a sentence: what is it -> may it run here at all -> has the cache seen it -> where may it go
 * -> a server for it -> make that server look like this session -> send. Answers come back through receive.ts.
 * Each step either goes on at once or takes up the thread again when what it waits for has come.
 */
import { TxStatus } from '../protocol/codes.ts';
import { errorResponse } from '../protocol/write.ts';
import { WeirError } from '../errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { Lookup } from '../cache/types.ts';
import { Capture } from '../cache/capture.ts';
import type { Pool } from '../pool/pool.ts';
import type { Decision } from '../routing/decision.ts';
import { route } from '../routing/route.ts';
import type { Route, RoutingFacts } from '../routing/types.ts';
import { anyReplica } from '../routing/eligible.ts';
import { avoidNode, mayBeKept } from './again.ts';
import { awaitsVisible, isAhead } from './ahead.ts';
import { awaitsPeers, mustBeAnnounced } from './announce.ts';
import { awaitsReplica } from './catch-up.ts';
import { cacheKey, cacheObstacle, cacheTags, cacheTtlMs, consistencyOf } from './cacheable.ts';
import type { ClientSession } from './client.ts';
import { leaveForHome, mayEnd, mayGoHome, mustGoHome } from './go-home.ts';
import { isFit, isShortRead, serverAtOnce } from './lane.ts';
import { fellBack, giveRoom } from './load.ts';
import { answerLocally } from './local.ts';
import { forwardAll } from './recheck.ts';
import { preparesAtOnce } from './prepare-at-once.ts';
import { isReadyFor, prepareServer } from './replay.ts';
import { awaitsReset } from './sequences.ts';
import type { Unit } from './unit.ts';

/** Requests of one client on their way at once; more are not read until some are answered. */
const maxInFlight = 1_000;
export const maxAttempts = 3;

/** Takes the unit as far as it goes without waiting. */
export function handleRequest(session: ClientSession, unit: Unit): void {
  if (unit.locals > 0) return session.whenQuiet(() => sayLocally(session, unit));
  if (session.poolMode === 'statement' && unit.begins) {
    return session.whenQuiet(() =>
      refuse(session, unit, new WeirError('not_in_pool_mode', { what: 'a transaction block', mode: 'statement' })),
    );
  }
  if (session.inFlight.length > 0) {
    const mayJoin = session.inFlight.length < maxInFlight && mayPipeline(session, unit);
    if (mayJoin) return send(session, unit);
    return session.whenQuiet(() => handleRequest(session, unit));
  }
  if (session.server !== undefined) {
    unit.cacheWhy = 'the session keeps its server';
    if (!mustGoHome(session, unit)) return prepareServer(session, unit);
    leaveForHome(session, unit, 'a replica may answer otherwise in a READ ONLY transaction');
    return findServer(session, unit);
  }
  if (preparesAtOnce(session, unit)) return;
  unit.cacheWhy = cacheObstacle(session, unit);
  if (unit.cacheWhy === '') lookUp(session, unit);
  else findServer(session, unit);
}

/** Behind requests that are still being answered on the session's server: may this one go there too? */
function mayPipeline(session: ClientSession, unit: Unit): boolean {
  if (session.inFlight.peek()?.isSwallowed === true) return false;
  if (mustGoHome(session, unit) || isAhead(session, unit)) return false;
  // In a lane nobody may send what could touch the others.
  if (session.server !== undefined && session.server.sharers > 1) return false;
  if (session.hasNamesInFlight && (unit.needsNames || !unit.isComplete)) return false;
  if (mustBeAnnounced(session, unit)) return false;
  if (session.server !== undefined && !isReadyFor(session, unit, session.server)) return false;
  session.openLane(false);
  if (session.mustStay) return !mayLeaveReplica(session) && mayFollowOpening(session, unit);
  const node = session.serverNode;
  if (node?.role === 'primary') return unit.hints?.route !== 'replica' && session.preferences.route !== 'replica';
  if (!unit.isRead || unit.begins || unit.hints !== undefined || node === undefined) return false;
  if ((session.preferences.consistency ?? session.services.routing().consistency) === 'eventual') return true;
  const need = session.tokens.needLsn(session.database.topology.ticker, session.lastWriteOf(unit));
  return need !== undefined && node.lsn >= need;
}

/** What ends the transaction is on its way to a replica: what comes behind it may belong elsewhere, so nothing has come yet. */
function mayLeaveReplica({ inFlight, serverNode, state, poolMode }: ClientSession): boolean {
  if (serverNode?.role !== 'replica' || state.isPinned || poolMode === 'session') return false;
  return inFlight.last()?.plans.some(mayEnd) === true;
}

/** Behind the first statement of a transaction that may still begin elsewhere: what cannot run again there waits for its answer. */
function mayFollowOpening(session: ClientSession, unit: Unit): boolean {
  return !mayGoHome(session) || mayBeKept(session, unit);
}

function sayLocally(session: ClientSession, unit: Unit): void {
  if (session.status === TxStatus.Failed) {
    session.say(errorResponse({ severity: 'ERROR', sqlstate: '25P02', message: abortedText }));
    unit.hasError = true;
  } else {
    unit.hasError = answerLocally(session, unit);
  }
  session.answered(unit);
}

const abortedText = 'current transaction is aborted, commands ignored until end of transaction block';

/** The unit gets an error of ours instead of a server. */
export function refuse(session: ClientSession, unit: Unit, error: WeirError): void {
  unit.flight?.abandon();
  // The client is in a transaction that is nowhere.
  if (session.reopening !== undefined) return session.terminate(error);
  if (!unit.begins) return sayRefused(session, unit, error);
  // What the client has sent behind its BEGIN would run on its own. What came with it is seen when all of it has been read.
  session.waiting();
  setImmediate(() =>
    session.goOn(() => {
      if (session.scanner.isBetweenFrames) sayRefused(session, unit, error);
      else session.terminate(error);
    }),
  );
}

function sayRefused(session: ClientSession, unit: Unit, error: WeirError): void {
  unit.hasError = true;
  session.say(errorResponse(error));
  session.answered(unit);
}

/* ---- cache ---- */

function lookUp(session: ClientSession, unit: Unit): void {
  const { cache } = session.services;
  const { ticker } = session.database.topology;
  const tags = cacheTags(unit);
  if (session.seen.isUnproven && session.tokens.schema.isThere(session.database.topology.schema)) session.seen.proven();
  const isStrict = consistencyOf(session, unit) === 'strict';
  const found = cache.lookup(cacheKey(session, unit), tags, cacheTtlMs(session, unit), session.seen, ticker, isStrict);
  if (found.kind !== 'wait') return tookUp(session, unit, found);
  session.waiting();
  let isLeft = false;
  session.leavePark = (): void => void (isLeft = true);
  found.result.then(
    (later) => {
      if (!isLeft) return session.goOn(() => tookUp(session, unit, later));
      if (later.kind === 'miss') later.flight?.abandon();
    },
    (error: Error) => session.fail(error),
  );
}

function tookUp(session: ClientSession, unit: Unit, found: Lookup): void {
  if (found.kind === 'hit') {
    unit.cacheLabel = 'hit';
    return session.answeredFromCache(unit, found.parts);
  }
  if (found.kind === 'miss') {
    unit.cacheLabel = 'miss';
    unit.cacheWhy = found.why;
    unit.flight = found.flight;
    if (found.flight !== undefined) unit.capture = new Capture(session.services.maxEntrySizeBytes());
  }
  findServer(session, unit);
}

/* ---- where ---- */

function routingFacts(session: ClientSession, unit: Unit): RoutingFacts {
  const { database, services, preferences, tokens } = session;
  const { ticker } = database.topology;
  const hinted = unit.hints?.route;
  const hasPrimary = database.topology.snapshot().primary?.isUp === true;
  // Two replicas have failed it: a third is not tried.
  const isBoundHome = unit.isRefused || (unit.attempts > 1 && hasPrimary);
  const forced = isBoundHome
    ? 'primary'
    : (hinted ?? (session.poolMode === 'session' && preferences.route === 'auto' ? 'primary' : preferences.route));
  const forcedBy = isBoundHome
    ? unit.retryWhy
    : hinted !== undefined
      ? 'hint'
      : preferences.route !== 'auto'
        ? preferences.routeBy
        : 'pool_mode = session';
  // Without a primary nobody can say how far it was: reads fill no cache, and go on although there may be writes that nobody
  // knows of. Those that are known count all the same: who is taken for down may still be at work.
  if (!hasPrimary && unit.flight !== undefined) dropFlight(unit);
  const flightLsn = unit.flight?.needLsn();
  const lastWrite = unit.flight === undefined ? session.lastWriteOf(unit, !hasPrimary) : 0;
  const need = tokens.needLsn(ticker, lastWrite);
  return {
    isRead: unit.isRead,
    why: unit.why,
    forced,
    forcedBy,
    consistency: consistencyOf(session, unit),
    needLsn:
      unit.flight === undefined
        ? need
        : need === undefined || flightLsn === undefined
          ? undefined
          : Math.max(need, flightLsn),
    avoid: unit.avoid,
    lastNode: tokens.lastNode,
    moveLsn: tokens.moveLsn(ticker),
    nowMs: services.nowMs(),
  };
}

/** The decision alone: also what EXPLAIN ROUTE asks for. */
export function routeOf(session: ClientSession, unit: Unit): Decision {
  const { database, services } = session;
  return route(
    routingFacts(session, unit),
    database.topology.snapshot(),
    services.routing(),
    services.random,
    database.turn,
  );
}

export function findServer(session: ClientSession, unit: Unit): void {
  giveRoom(session, unit);
  const decision = routeOf(session, unit);
  unit.route = decision;
  const { node } = decision;
  if (node === undefined) return park(session, unit, decision);
  unit.node = node;
  if (decision.isFallback) {
    const isInReach = (): boolean => !routeOf(session, unit).isFallback;
    if (awaitsReplica(session, unit, decision, isInReach, () => findServer(session, unit))) return;
    fellBack(session, unit, node);
  } else if (node.role === 'replica') {
    session.stranded.over();
  }
  // An eventual read may fill the cache from where it must not: only those that have replayed enough may.
  if (unit.flight !== undefined && node.role === 'replica' && !(node.lsn >= (unit.flight.needLsn() ?? Infinity)))
    dropFlight(unit);
  const pool = session.database.pool(node, session.user);
  unit.isShort = isShortRead(session, unit);
  if (unit.asksSequences && awaitsReset(session, unit, () => findServer(session, unit))) return;
  const server = serverAtOnce(session, unit, pool);
  if (server !== undefined) return attach(session, unit, pool, server);
  session.waiting();
  const ticket = pool.wait(
    {
      mayGoElsewhere: unit.isRead && node.role === 'replica',
      mayShare: (lane) => unit.isShort && isFit(session, unit, lane),
      granted: (granted) => session.goOn(() => attach(session, unit, pool, granted)),
      refused: (error, isElsewhere) => session.goOn(() => refusedByPool(session, unit, error, isElsewhere)),
    },
    unit.receivedAtMs,
  );
  // Refused at once, the session may be waiting for something else by now.
  if (ticket !== undefined) session.ticket = ticket;
}

export function dropFlight(unit: Unit): void {
  unit.flight?.abandon();
  unit.flight = undefined;
  unit.capture = undefined;
}

function refusedByPool(session: ClientSession, unit: Unit, error: WeirError, isElsewhere: boolean): void {
  if (!isElsewhere) return refuse(session, unit, error);
  if (unit.node?.role === 'replica') {
    unit.attempts++;
    const isRefused = error.errorName === 'server_refused';
    const isNotTheFirst = unit.avoid !== '' && unit.avoid !== unit.node.name;
    avoidNode(unit, `${unit.node.name} ${isRefused ? 'refuses the log-in' : 'cannot be reached'}`);
    // Two that do not know the user: no third one is tried.
    if (isRefused && isNotTheFirst) unit.avoid = anyReplica;
    if (isRefused && routeOf(session, unit).node === undefined) return refuse(session, unit, error);
  }
  if (unit.attempts > maxAttempts) return refuse(session, unit, error);
  findServer(session, unit);
}

/** No node can take it: wait until the topology changes, at most query_wait_timeout. */
function park(session: ClientSession, unit: Unit, decision: Route): void {
  const timeoutMs = session.database.settings().queryWaitTimeoutMs;
  session.waiting();
  session.leavePark = session.database.park({
    deadlineMs: unit.receivedAtMs + timeoutMs,
    retry: () =>
      session.goOn(() => {
        unit.avoid = '';
        findServer(session, unit);
      }),
    expired: () =>
      session.goOn(() =>
        refuse(session, unit, new WeirError('no_node', { database: session.database.name, why: decision.why() })),
      ),
  });
}

/* ---- the server ---- */

function attach(session: ClientSession, unit: Unit, pool: Pool, server: ServerConnection): void {
  session.attached(pool, server, unit.node);
  prepareServer(session, unit, pool);
}

export function send(session: ClientSession, unit: Unit): void {
  if (unit.isCancelled) return session.intake.cancelWaiting();
  const isFirst = session.inFlight.length === 0;
  if (isFirst && mustWait(session) && waits(session, unit)) return;
  if (isFirst) session.openLane(unit.isShort && isFit(session, unit, session.server as ServerConnection));
  session.begin(unit);
  if (unit.makesNames) session.hasNamesInFlight = true;
  forwardAll(session, unit, unit.messages ?? []);
}

/** Can there be anything that has to happen elsewhere first? The common case is no, and costs nothing. */
function mustWait(session: ClientSession): boolean {
  return session.ahead !== undefined || session.services.cache.hasPeers;
}

function waits(session: ClientSession, unit: Unit): boolean {
  const go = (): void => send(session, unit);
  const lost = (): void => findServer(session, unit);
  return awaitsVisible(session, unit, go, lost) || awaitsPeers(session, unit, go, lost);
}
