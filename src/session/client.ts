/**
 * One client's conversation: its socket, what it holds, and the thread of its requests. What to do with a request is
 * handle-request.ts; what comes back is receive.ts and settle.ts. Made by welcome.ts once the client is logged in.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ServerConnection } from '../backend/server.ts';
import type { SessionFreshness } from '../cache/types.ts';
import { WeirError } from '../errors.ts';
import { mayReadClient } from '../net/flow.ts';
import { Wire, type WireHandler } from '../net/wire.ts';
import type { Ticket } from '../pool/waiters.ts';
import { statusLetter, TxStatus } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import { FrameScanner } from '../protocol/scanner.ts';
import { errorResponse, parameterStatus, readyForQuery } from '../protocol/write.ts';
import type { Database, Services } from './context.ts';
import { Stranded } from './catch-up.ts';
import { SessionTokens } from './freshness.ts';
import type { ClientIdentity } from './holdings.ts';
import { Intake } from './intake.ts';
import type { Preferences } from './preferences.ts';
import { cancelInLane } from './lane.ts';
import { clientStats } from './client-figures.ts';
import { leaveUndecided } from './commits.ts';
import { probeUnread } from './probe-unread.ts';
import { Receiver } from './receive.ts';
import { leaveFlight } from './load.ts';
import { leaveSequences } from './sequences.ts';
import { beginUnit } from './settle.ts';
import { Shift } from './shift.ts';
import { countAnswer } from './count.ts';
import type { SessionState } from './state.ts';
import { Tenancy } from './tenancy.ts';
import type { ClientStats } from './types.ts';
import type { Unit } from './unit.ts';

export class ClientSession extends Tenancy implements WireHandler {
  readonly wire: Wire;
  readonly receiver = new Receiver(this);
  readonly tokens = new SessionTokens();
  readonly stranded = new Stranded();
  /** What the cache must not go behind. */
  readonly seen: SessionFreshness;
  /** ready: reads requests; waiting: holds one that cannot go on yet; closed: the client is gone. */
  private phase: 'ready' | 'waiting' | 'closed' = 'ready';
  readonly scanner: FrameScanner;
  readonly intake: Intake;
  private readonly onClosed: (session: ClientSession) => void;
  readonly shift: Shift;
  /** What waits until everything before it is answered. */
  quietStep: (() => void) | undefined;
  /** For so long has its socket not been read. */
  unreadSeconds = 0;

  ticket: Ticket | undefined;
  leavePark: (() => void) | undefined;
  requestAtMs = 0;
  /** Of the requests in flight, those kept so that they can run again. */
  keptBytes = 0;
  /** Passed over by a server, to run again when it has answered everything. */
  readonly again: Unit[] = [];

  constructor(
    socket: Socket | TLSSocket,
    identity: ClientIdentity,
    database: Database,
    services: Services,
    state: SessionState,
    preferences: Preferences,
    onClosed: (session: ClientSession) => void,
  ) {
    super(identity, database, services, state, preferences);
    this.onClosed = onClosed;
    this.seen = services.cache.newFreshness();
    this.requestAtMs = services.nowMs();
    this.intake = new Intake(this);
    this.scanner = new FrameScanner(this.intake);
    this.shift = new Shift(services.nowMs, () => this.drained());
    this.wire = new Wire(socket, this, services.turn);
  }

  get isReady(): boolean {
    return this.phase === 'ready';
  }

  /** Does it take the next message? Not before the client takes the answers to the last ones. */
  get readsOn(): boolean {
    return this.phase === 'ready' && !this.wire.isFull && !this.shift.isOver;
  }

  get isClosed(): boolean {
    return this.phase === 'closed';
  }

  /* ---- WireHandler ---- */

  get mayRead(): boolean {
    return !this.shift.isOver && mayReadClient(this.wire, this.server?.wire, this.scanner.restBytes);
  }

  received(chunk: Buffer): void {
    this.shift.begin();
    try {
      this.scanner.push(chunk);
    } catch (error) {
      return this.fail(error);
    }
    this.shift.end();
    this.intake.rested();
  }

  /** The client takes bytes again. */
  drained(): void {
    this.server?.wire.regulate();
    try {
      this.readOn();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The next requests, unless the client must first take what it has been told already. */
  private readOn(): void {
    if (this.readsOn) {
      this.shift.begin();
      this.scanner.resume();
      this.intake.rested();
    }
    this.wire.regulate();
  }

  closed(error: Error | undefined): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    if (error !== undefined) this.services.log('debug', 'client_failed', error.message, { client: this.identity.id });
    this.stopWaiting();
    this.quietStep = undefined;
    leaveUndecided(this);
    this.letServerGo();
    for (let unit = this.inFlight.shift(); unit !== undefined; unit = this.inFlight.shift()) {
      unit.flight?.abandon();
      leaveFlight(this, unit);
    }
    this.intake.left();
    for (const unit of this.again.splice(0)) unit.flight?.abandon();
    for (const statement of this.statements?.values() ?? []) this.services.book.leave(statement);
    this.statements = undefined;
    this.onClosed(this);
  }

  /** The client left: a quiet server is cleaned and kept, a busy one is told to stop and closed. */
  private letServerGo(): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined) return;
    if (server.sharers > 1 && this.inFlight.length > 0) {
      // Its neighbours in the lane have nothing to do with it: its answer comes and is dropped.
      return this.leaveLane();
    }
    this.detach(server);
    server.isPinned = false;
    leaveSequences(this, server);
    if (server.isAlive && server.isQuiet && server.txStatus === TxStatus.Idle && this.inFlight.length === 0) {
      pool.checkin(server, server.isSuspect || this.state.isPinned || this.poolMode === 'session');
      return;
    }
    if (server.isAlive && !server.isQuiet) void this.database.cancel(server);
    server.destroy('its client left in mid-statement or in a transaction');
  }

  /* ---- the thread of requests ---- */

  /** Nothing more is read until `goOn`, of what is here already either. */
  waiting(): void {
    if (this.phase !== 'ready') return;
    this.phase = 'waiting';
    this.scanner.halt();
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
      if (this.quietStep !== undefined && this.isReady && this.inFlight.length === 0) return this.becameQuiet();
      if (this.quietStep !== undefined) this.waiting();
      this.readOn();
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

  /** The same for what comes before everybody who waits for quiet already. */
  firstWhenQuiet(step: () => void): void {
    const later = this.quietStep;
    this.quietStep = (): void => {
      this.quietStep = later;
      step();
    };
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
    if (server !== undefined && server.sharers > 1 && this.inFlight.length > 0) {
      cancelInLane(this, server);
      return done();
    }
    if (server !== undefined && this.inFlight.length > 0) {
      const unit = this.inFlight.peek();
      const isWanted = (): boolean => this.server === server && this.inFlight.peek() === unit;
      void this.database.cancel(server, isWanted).then(done, done);
      return;
    }
    if (this.ticket !== undefined || this.leavePark !== undefined) {
      this.stopWaiting();
      this.goOn(() => this.intake.cancelWaiting());
    } else {
      this.intake.noteCancel();
    }
    done();
  }

  begin(unit: Unit): void {
    if (!unit.isBegun) beginUnit(this, unit);
  }

  /** All that there is of the unit was handed to the server. */
  sent(unit: Unit): void {
    if (unit.held === undefined) unit.messages = undefined;
  }

  /* ---- words to the client ---- */

  say(bytes: Buffer): void {
    this.wire.send(bytes);
  }

  /** The server reports something else than the client knows, behind its back: a setting was replayed. */
  tellReported(server: ServerConnection): void {
    for (const [name, value] of this.state.untold(server.parameters)) this.say(parameterStatus(name, value));
  }

  /** A unit was answered by Weir itself; its ReadyForQuery follows, now or at its Sync. */
  answered(unit: Unit): void {
    leaveFlight(this, unit);
    this.intake.entered(unit);
    this.lastUnit = unit;
    countAnswer(this, unit);
    if (unit.isComplete) this.say(readyForQuery(statusLetter(this.status)));
    else if (unit.hasError) this.intake.skipToSync();
    else this.intake.beginAnew();
    this.release();
  }

  answeredFromCache(unit: Unit, parts: readonly Buffer[]): void {
    for (const part of parts) this.say(part);
    this.intake.entered(unit);
    this.lastUnit = unit;
    this.intake.countHit(unit, parts);
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

  /** Closes without a word, behind what was relayed. */
  cutOff(why: string): void {
    const message = 'a client was cut off: its server was lost in the middle of a message';
    this.services.log('warn', 'client_cut_off', message, { client: this.identity.id, why });
    this.wire.end();
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

  /* ---- operators ---- */

  stats(): ClientStats {
    return clientStats(this, this.phase === 'waiting');
  }

  /** Called about once a second: the client's own deadlines. */
  sweep(nowMs: number): void {
    probeUnread(this);
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
      this.intake.isBetweenRequests &&
      this.scanner.restBytes === 0
    );
  }
}
