/**
 * Puts a session together: the client's socket, the reader of its messages (intake.ts), the steps of its requests
 * (handle-request.ts) and the receiver of their answers (receiver.ts). Made by the app once the client is logged in.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { AnswerReceiver } from '../backend/receiver.ts';
import { mayReadClient } from '../net/flow.ts';
import { Wire, type WireHandler } from '../net/wire.ts';
import { TxStatus } from '../protocol/codes.ts';
import { FrameScanner } from '../protocol/scanner.ts';
import type { Database, Services } from '../session/context.ts';
import { advance } from './handle-request.ts';
import type { ClientIdentity } from '../session/client-record.ts';
import { Intake } from './intake.ts';
import type { Preferences } from '../session/preferences.ts';
import { closeFast } from './fast-close.ts';
import { cancelInLane } from './lane.ts';
import { clientStats } from '../session/client-figures.ts';
import { probeUnread } from '../session/probe-unread.ts';
import { countBytes } from './limited.ts';
import { Receiver } from './receiver.ts';
import { noteTaken } from '../session/taken.ts';
import { leaveFlight } from './load.ts';
import { Session, type Outcome } from '../session/session.ts';
import { clientLeft } from './statement-ends.ts';
import { endLate } from './time-limits.ts';
import { TimeSlice } from './time-slice.ts';
import type { SessionState } from '../session/state.ts';
import type { ClientStats } from '../session/types.ts';
import type { Request } from '../session/request.ts';

export class ClientSession extends Session implements WireHandler {
  readonly side = 'client';
  readonly wire: Wire;
  readonly receiver: AnswerReceiver = new Receiver(this);
  readonly scanner: FrameScanner;
  readonly intake: Intake;
  private readonly onClosed: (session: ClientSession) => void;
  readonly timeSlice: TimeSlice;
  /** The client is to be given to another process (hand-over.ts). */
  handOver: { schedule(): void } | undefined;
  /** Seconds in which the client's socket was not read. */
  unreadSeconds = 0;
  /** How far the client has read (session/taken.ts). */
  takenBytes = 0;
  untakenSeconds = 0;

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
    this.intake = new Intake(this);
    this.scanner = new FrameScanner(this.intake);
    this.timeSlice = new TimeSlice(services.nowMs, () => this.drained());
    this.wire = new Wire(socket, this, services.turn);
  }

  /** The next message may be processed: the session does not wait, and the output to the client is not full. */
  get readsOn(): boolean {
    return this.isReady && !this.wire.isFull && !this.timeSlice.isOver;
  }

  get isBetweenMessages(): boolean {
    return this.scanner.isBetweenFrames;
  }

  advance(request: Request, next: Outcome): void {
    advance(this, request, next);
  }

  /* ---- WireHandler ---- */

  get mayRead(): boolean {
    return !this.timeSlice.isOver && mayReadClient(this.wire, this.server?.wire, this.scanner.restBytes);
  }

  received(chunk: Buffer): void {
    this.timeSlice.begin();
    try {
      this.scanner.push(chunk);
    } catch (error) {
      return this.fail(error);
    }
    this.timeSlice.end();
    this.intake.rested();
  }

  /** The output to the client is no longer full. */
  drained(): void {
    this.server?.wire.regulate();
    try {
      this.readOn();
    } catch (error) {
      this.fail(error);
    }
  }

  protected haltReading(): void {
    this.scanner.halt();
  }

  protected readOn(): void {
    if (this.readsOn) {
      this.timeSlice.begin();
      this.scanner.resume();
      this.intake.rested();
    }
    this.wire.regulate();
  }

  closed(error: Error | undefined): void {
    if (this.isClosed) return;
    this.phase = 'closed';
    if (error !== undefined) this.services.log('debug', 'client_failed', error.message, { client: this.identity.id });
    clientLeft(this);
    this.stopWaiting();
    this.quietStep = undefined;
    this.moments.serverLost();
    this.letServerGo();
    for (let request = this.inFlight.shift(); request !== undefined; request = this.inFlight.shift()) {
      request.cache.flight?.abandon();
      leaveFlight(this, request, 'abandoned');
    }
    this.intake.left();
    for (const request of this.again.splice(0)) request.cache.flight?.abandon();
    this.moments.closed();
    countBytes(this);
    this.onClosed(this);
    this.handOver?.schedule();
  }

  answered(): void {
    if (this.server?.isCloseNeeded === true) closeFast(this);
    this.handOver?.schedule();
  }

  /** The client has left: an idle server is reset and kept; a busy one is cancelled and closed. */
  private letServerGo(): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined) return;
    if (server.sharers > 1 && this.inFlight.length > 0) {
      // Other clients in the lane must not be affected: the answers still come, and are dropped.
      return this.leaveLane();
    }
    this.detach(server);
    this.moments.clientLeft(server);
    if (server.isAlive && server.isQuiet && server.txStatus === TxStatus.Idle && this.inFlight.length === 0) {
      pool.checkin(server, server.sessionState.isSuspect || this.state.isPinned || this.poolMode === 'session');
      return;
    }
    const request = this.inFlight.peek();
    if (request !== undefined && pool.atOnce.isMeasured)
      pool.atOnce.left(this.services.nowMs() - request.attempt.sentAtMs);
    if (server.isAlive && !server.isQuiet) void this.database.cancel(server);
    server.destroy('its client left in mid-statement or in a transaction');
  }

  /* ---- CancelRequest ---- */

  /** Handles a CancelRequest. `done` is called when it was processed. */
  cancel(done: () => void): void {
    const { server } = this;
    if (server !== undefined && server.sharers > 1 && this.inFlight.length > 0) {
      cancelInLane(this, server);
      return done();
    }
    if (server !== undefined && this.inFlight.length > 0) {
      const request = this.inFlight.peek();
      const isWanted = (): boolean => this.server === server && this.inFlight.peek() === request;
      void this.database.cancel(server, isWanted).then(done, done);
      return;
    }
    if (this.wait !== undefined) {
      this.stopWaiting();
      this.goOn(() => this.intake.cancelWaiting());
    } else {
      this.intake.noteCancel();
    }
    done();
  }

  /* ---- operators ---- */

  stats(): ClientStats {
    return clientStats(this);
  }

  /** Called about once a second: checks the client's own timeouts. @param nowMs monotonic ms */
  sweep(nowMs: number): void {
    noteTaken(this);
    probeUnread(this);
    countBytes(this);
    if (this.isClosed) return;
    closeFast(this);
    endLate(this, nowMs);
  }

  /** No statement is running and no transaction is open: the session can be closed without loss. */
  get isIdle(): boolean {
    return (
      this.isReady &&
      this.inFlight.length === 0 &&
      this.status === TxStatus.Idle &&
      this.intake.isBetweenRequests &&
      this.scanner.restBytes === 0
    );
  }
}
