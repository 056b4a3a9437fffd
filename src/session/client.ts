/**
 * One client's conversation: its socket, what it holds, and the thread of its requests. What to do with a request is
 * handle-request.ts; what comes back is receive.ts and settle.ts. Made by welcome.ts once the client is logged in.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ServerConnection } from '../backend/server.ts';
import type { SessionFreshness } from '../cache/types.ts';
import type { PoolMode } from '../config/config.ts';
import { WeirError } from '../errors.ts';
import { Wire, type WireHandler } from '../net/wire.ts';
import type { Pool } from '../pool/pool.ts';
import type { Ticket } from '../pool/waiters.ts';
import { TxStatus } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import { FrameScanner } from '../protocol/scanner.ts';
import { errorResponse, readyForQuery } from '../protocol/write.ts';
import type { Plan, Tag } from '../routing/plan.ts';
import type { NodeState } from '../topology/types.ts';
import { Ring } from '../util/ring.ts';
import type { Database, Services } from './context.ts';
import { SessionTokens } from './freshness.ts';
import { Intake } from './intake.ts';
import type { Preferences } from './preferences.ts';
import { Receiver } from './receive.ts';
import { beginUnit } from './settle.ts';
import { countAnswer } from './count.ts';
import type { SessionState } from './state.ts';
import type { Statement } from './statements.ts';
import type { ClientState, ClientStats } from './types.ts';
import type { Unit, WriteSet } from './unit.ts';

export interface ClientIdentity {
  readonly id: number;
  readonly user: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly hasTls: boolean;
  readonly connectedAtMs: number;
  /** For CancelRequest. */
  readonly secret: Buffer;
}

/** Input that is kept while the session waits for something; beyond it the socket is paused. */
const maxKeptBytes = 64 * 1024;

export class ClientSession implements WireHandler {
  readonly identity: ClientIdentity;
  readonly database: Database;
  readonly services: Services;
  readonly wire: Wire;
  readonly receiver: Receiver;
  readonly state: SessionState;
  readonly tokens = new SessionTokens();
  /** What the cache must not go behind. */
  readonly seen: SessionFreshness;
  readonly startPreferences: Preferences;
  preferences: Preferences;
  /** ready: reads requests; waiting: holds one that cannot go on yet; closed: the client is gone. */
  private phase: 'ready' | 'waiting' | 'closed' = 'ready';
  private readonly scanner: FrameScanner;
  private readonly intake: Intake;
  private readonly onClosed: (session: ClientSession) => void;
  private quietStep: (() => void) | undefined;

  server: ServerConnection | undefined;
  serverNode: NodeState | undefined;
  private pool: Pool | undefined;
  ticket: Ticket | undefined;
  leavePark: (() => void) | undefined;
  /** Transaction status as of the last ReadyForQuery. */
  status: number = TxStatus.Idle;
  readonly inFlight = new Ring<Unit>();
  /** What the open transaction has written so far. */
  writes: WriteSet | undefined;
  lastUnit: Unit | undefined;
  requestAtMs = 0;

  /** The client's prepared statements by its own names. */
  statements: Map<string, Statement> | undefined;
  unnamed: Statement | undefined;
  /** Plans of the portals of this batch or transaction. */
  portals: Map<string, Plan> | undefined;
  /** Names of statements to be closed on the server before the next Sync. */
  evicted: string[] | undefined;

  constructor(
    socket: Socket | TLSSocket,
    identity: ClientIdentity,
    database: Database,
    services: Services,
    state: SessionState,
    preferences: Preferences,
    onClosed: (session: ClientSession) => void,
  ) {
    this.identity = identity;
    this.database = database;
    this.services = services;
    this.state = state;
    this.startPreferences = preferences;
    this.preferences = preferences;
    this.onClosed = onClosed;
    this.seen = services.cache.newFreshness();
    this.requestAtMs = services.nowMs();
    this.receiver = new Receiver(this);
    this.intake = new Intake(this);
    this.scanner = new FrameScanner(this.intake);
    this.wire = new Wire(socket, this, services.turn);
  }

  get user(): string {
    return this.identity.user;
  }

  get poolMode(): PoolMode {
    return this.database.settings().poolMode;
  }

  get isReady(): boolean {
    return this.phase === 'ready';
  }

  get isClosed(): boolean {
    return this.phase === 'closed';
  }

  /** The server cannot be given back yet, whatever else happens. */
  get mustStay(): boolean {
    if (this.server === undefined) return false;
    if (this.status !== TxStatus.Idle || this.state.isPinned || this.poolMode === 'session') return true;
    for (let i = 0; i < this.inFlight.length; i++) if (this.inFlight.at(i)?.begins === true) return true;
    return false;
  }

  /* ---- WireHandler ---- */

  received(chunk: Buffer): void {
    try {
      this.scanner.push(chunk);
    } catch (error) {
      return this.fail(error);
    }
    if (this.phase === 'waiting' && this.scanner.restBytes > maxKeptBytes) this.wire.pause();
  }

  /** The client takes bytes again. */
  drained(): void {
    this.server?.wire.resume();
  }

  closed(error: Error | undefined): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    if (error !== undefined) this.services.log('debug', 'client_failed', error.message, { client: this.identity.id });
    this.stopWaiting();
    this.quietStep = undefined;
    this.letServerGo();
    for (let unit = this.inFlight.shift(); unit !== undefined; unit = this.inFlight.shift()) {
      unit.flight?.abandon();
      unit.guard?.unknown();
      if (unit.node !== undefined) unit.node.load.outstanding--;
    }
    for (const statement of this.statements?.values() ?? []) this.services.book.leave(statement);
    this.statements = undefined;
    this.onClosed(this);
  }

  /** The client left: a quiet server is cleaned and kept, a busy one is told to stop and closed. */
  private letServerGo(): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined) return;
    this.server = undefined;
    server.isPinned = false;
    server.holder = undefined;
    if (server.isAlive && server.isQuiet && server.txStatus === TxStatus.Idle && this.inFlight.length === 0) {
      pool.checkin(server, server.isSuspect || this.state.isPinned || this.poolMode === 'session');
      return;
    }
    if (server.isAlive && !server.isQuiet) void this.database.cancel(server);
    server.destroy('its client left in mid-statement or in a transaction');
  }

  /* ---- the thread of requests ---- */

  /** Nothing more is read until `goOn`. */
  waiting(): void {
    if (this.phase === 'ready') this.phase = 'waiting';
  }

  /** What was waited for has come. */
  goOn(step: () => void): void {
    if (this.phase === 'closed') return;
    this.ticket = undefined;
    this.leavePark = undefined;
    this.phase = 'ready';
    try {
      step();
      // Somebody further back still waits for quiet: nothing may overtake it.
      if (this.quietStep !== undefined) this.waiting();
      if (this.isReady) {
        this.wire.resume();
        this.scanner.resume();
      }
    } catch (error) {
      this.fail(error);
    }
  }

  /** Runs `step` when nothing is being answered any more: at once, or later. */
  whenQuiet(step: () => void): void {
    if (this.inFlight.length === 0) return step();
    this.waiting();
    this.quietStep = step;
  }

  /** Called by settle.ts when the last answer has come. */
  becameQuiet(): void {
    const step = this.quietStep;
    if (step === undefined) return;
    this.quietStep = undefined;
    this.goOn(step);
  }

  private stopWaiting(): void {
    this.ticket?.cancel();
    this.leavePark?.();
    this.ticket = undefined;
    this.leavePark = undefined;
  }

  /** CancelRequest. `done` is called when it has been dealt with. */
  cancel(done: () => void): void {
    const { server } = this;
    if (server !== undefined && this.inFlight.length > 0) {
      void this.database.cancel(server).then(done, done);
      return;
    }
    if (this.ticket !== undefined || this.leavePark !== undefined) {
      this.stopWaiting();
      this.goOn(() => this.intake.cancelWaiting());
    }
    done();
  }

  /* ---- servers ---- */

  attached(pool: Pool, server: ServerConnection, node: NodeState | undefined): void {
    this.pool = pool;
    this.server = server;
    this.serverNode = node;
    server.holder = this.receiver;
  }

  /** Gives the server back if nothing keeps it. */
  release(): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined || this.inFlight.length > 0 || !server.isQuiet) return;
    server.isPinned = this.state.isPinned;
    if (this.mustStay) return;
    this.server = undefined;
    this.serverNode = undefined;
    this.portals = undefined;
    pool.checkin(server, server.isSuspect);
  }

  /** The server is not fit for anybody any more. */
  dropServer(why: string): void {
    const { server } = this;
    this.forgetServer();
    server?.destroy(why);
  }

  /** It is gone, or about to be. */
  forgetServer(): void {
    if (this.server !== undefined) this.server.holder = undefined;
    this.server = undefined;
    this.serverNode = undefined;
    this.portals = undefined;
    this.evicted = undefined;
  }

  serverDrained(): void {
    if (this.isReady) this.wire.resume();
  }

  begin(unit: Unit): void {
    if (!unit.isBegun) beginUnit(this, unit);
  }

  unitEntered(unit: Unit): void {
    this.intake.entered(unit);
  }

  /** All that there is of the unit was handed to the server. */
  sent(unit: Unit): void {
    if (unit.held === undefined) unit.messages = undefined;
    if (this.server?.wire.isFull === true) this.wire.pause();
  }

  /* ---- words to the client ---- */

  say(bytes: Buffer): void {
    this.wire.send(bytes);
  }

  /** Bytes from the server. */
  relayed(bytes: Buffer): void {
    this.wire.send(bytes);
    if (this.wire.isFull) this.server?.wire.pause();
  }

  /** A unit was answered by Weir itself; its ReadyForQuery follows, now or at its Sync. */
  answered(unit: Unit): void {
    this.intake.entered(unit);
    this.lastUnit = unit;
    countAnswer(this, unit);
    if (unit.isComplete) this.say(readyForQuery(statusLetter(this.status)));
    else this.intake.skipToSync();
    this.release();
  }

  answeredFromCache(unit: Unit, parts: readonly Buffer[]): void {
    for (const part of parts) this.say(part);
    this.intake.entered(unit);
    this.lastUnit = unit;
    this.intake.countHit(unit);
  }

  /** The connection cannot go on: says why and closes. */
  terminate(error: WeirError): void {
    if (this.phase === 'closed') return;
    this.wire.end(
      errorResponse({
        severity: 'FATAL',
        sqlstate: error.sqlstate,
        message: error.message,
        detail: error.detail,
        hint: error.hint,
      }),
    );
  }

  /** An exception on this connection's behalf. */
  fail(error: unknown): void {
    if (error instanceof WeirError) return this.terminate(error);
    if (error instanceof ProtocolError)
      return this.terminate(new WeirError('protocol_violation', { what: error.message }));
    const bug = error instanceof Error ? error : new Error(String(error));
    this.services.unexpected(bug);
    this.terminate(new WeirError('internal_error', { what: bug.message }));
  }

  skipToSync(): void {
    this.intake.skipToSync();
  }

  /* ---- statements and settings ---- */

  parsed(sql: Buffer, types: Buffer): Statement {
    const own = Buffer.from(sql);
    return { serverName: '', sql: own, types: Buffer.from(types), classified: this.services.classifier.classify(own) };
  }

  enterStatement(name: string, sql: Buffer, types: Buffer): Statement {
    const statement = this.services.book.enter(sql, types, (text) => this.services.classifier.classify(text));
    (this.statements ??= new Map()).set(name, statement);
    return statement;
  }

  leaveStatement(name: string): void {
    const statement = this.statements?.get(name);
    if (statement === undefined) return;
    this.statements?.delete(name);
    this.services.book.leave(statement);
  }

  /** A text was executed: pins, DEALLOCATE, DISCARD. */
  effectsDone(plan: Plan): void {
    const { effects } = plan;
    this.state.applyEffects(effects);
    if (effects.deallocates === '' || effects.discards === 'all') {
      for (const name of [...(this.statements?.keys() ?? [])]) this.leaveStatement(name);
      this.unnamed = undefined;
      this.forgetServerPlans();
    }
    if (effects.discards === 'all') this.state.forgetPins();
    if (effects.discards === 'all' || effects.resetsAll) this.preferences = this.startPreferences;
  }

  /** The server's prepared statements are gone, or not what they were. */
  forgetServerPlans(): void {
    this.server?.prepared.clear();
    if (this.server !== undefined) this.server.unnamed = undefined;
  }

  showSetting(name: string): string {
    if (name === 'weir.last_route') return this.lastRoute();
    const { routing, cache } = this.services;
    return this.preferences.show(name, { consistency: routing().consistency, isCacheEnabled: cache.isEnabled });
  }

  /** How the last statement went, in words. */
  lastRoute(): string {
    const unit = this.lastUnit;
    if (unit === undefined) return 'no statement yet';
    if (unit.cacheLabel === 'hit') return 'cache; hit';
    const cache = unit.cacheLabel === 'miss' ? `cache miss (${unit.cacheWhy})` : `not cached: ${unit.cacheWhy}`;
    const node = unit.node?.name ?? 'no node';
    const why = unit.route?.why() ?? `${unit.why}; the session keeps its server`;
    return `${node}; ${why}; ${cache}`;
  }

  /** Newest write to what the unit reads, by anybody: read-your-writes at table grain, across sessions. */
  lastWriteOf(unit: Unit): number {
    let latest = 0;
    for (const plan of unit.plans) {
      const tags: readonly Tag[] = plan.reads;
      if (tags.length > 0) latest = Math.max(latest, this.services.cache.lastWrite(tags));
    }
    return latest;
  }

  /* ---- operators ---- */

  stats(): ClientStats {
    const now = this.services.nowMs();
    const epoch = Date.now() - now;
    return {
      id: this.identity.id,
      database: this.database.name,
      user: this.user,
      state: this.clientState(),
      host: this.identity.remoteAddress,
      port: this.identity.remotePort,
      hasTls: this.identity.hasTls,
      applicationName: this.state.settings.get('application_name') ?? '',
      connectedAtMs: epoch + this.identity.connectedAtMs,
      requestAtMs: epoch + this.requestAtMs,
      waitMs: this.ticket === undefined ? 0 : now - this.ticket.sinceMs,
      serverId: this.server?.id ?? 0,
      node: this.server?.node.name ?? '',
      pins: [...this.state.pins],
      preparedStatements: this.statements?.size ?? 0,
      lastRoute: this.lastRoute(),
    };
  }

  private clientState(): ClientState {
    if (this.phase === 'waiting' && this.inFlight.length === 0) return 'waiting';
    if (this.inFlight.length > 0) return 'active';
    return this.status === TxStatus.Idle ? 'idle' : 'idle_in_transaction';
  }

  /** Called about once a second: the client's own deadlines. */
  sweep(nowMs: number): void {
    if (this.phase !== 'ready' || this.inFlight.length > 0) return;
    const { clientIdleTimeoutMs, idleTransactionTimeoutMs } = this.database.settings();
    const idleMs = nowMs - this.requestAtMs;
    if (this.status !== TxStatus.Idle) {
      if (idleTransactionTimeoutMs > 0 && idleMs > idleTransactionTimeoutMs)
        this.terminate(new WeirError('idle_transaction_timeout'));
    } else if (clientIdleTimeoutMs > 0 && idleMs > clientIdleTimeoutMs) {
      this.terminate(new WeirError('client_idle_timeout'));
    }
  }

  /** No statement is going on and no transaction is open: may be closed without losing anything. */
  get isIdle(): boolean {
    return (
      this.phase === 'ready' &&
      this.inFlight.length === 0 &&
      this.status === TxStatus.Idle &&
      this.intake.isBetweenRequests
    );
  }
}

export function statusLetter(status: number): 'I' | 'T' | 'E' {
  return status === TxStatus.Idle ? 'I' : status === TxStatus.InTransaction ? 'T' : 'E';
}
