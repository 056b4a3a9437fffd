/**
 * Turns a client's messages into requests: a Query by itself, or a batch of the extended protocol up to its Sync. A
 * batch is sent before its Sync if that does not come within a moment, or if the batch is flushed or grows large.
 * Messages too large to keep are passed on in pieces.
 */
import { Frontend, TxStatus, describeType, statusLetter } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import type { FrameSink } from '../protocol/scanner.ts';
import { readyForQuery } from '../protocol/write.ts';
import type { RequestReader, Session } from '../session/session.ts';
import type { TimeSlice } from './time-slice.ts';
import { CopyIn } from './copy-in.ts';
import { forward } from './prepared/forward.ts';
import { handleWithinLimits } from './limited.ts';
import { leaveFlight } from './load.ts';
import { notePlan } from './plans.ts';
import { refuse } from './refuse.ts';
import { sendMore } from './send-more.ts';
import { mayStreamMessage } from './streamed.ts';
import { WeirError } from '../errors/errors.ts';
import { isPiece, Request, type Message } from '../session/request.ts';

/** A batch of this size is sent, whether its Sync has come or not. */
const gatherBelowBytes = 64 * 1024;
/**
 * How long to wait for the rest of a batch, in ms. Long enough for a driver that writes one message at a time: only a
 * whole batch can be a read on a replica or be answered from the cache.
 */
const gatherMs = 2;

/** What Intake needs of a session in addition to what the steps need. */
export interface ReadingSession extends Session {
  /** The next message may be processed: the session does not wait, and the output to the client is not full. */
  readonly readsOn: boolean;
  readonly timeSlice: TimeSlice;
}

export class Intake implements FrameSink, RequestReader {
  private readonly session: ReadingSession;
  /** The batch whose Sync has not come. */
  batch: Request | undefined;
  /** Requests on their way through handle-request.ts, until they are sent or answered. The first is processed next. */
  readonly pending: Request[] = [];
  /** Messages are ignored until the next Sync, as after an ErrorResponse. */
  isSkipping = false;
  private gathering: NodeJS.Timeout | undefined;
  readonly copyIn: CopyIn;

  constructor(session: ReadingSession) {
    this.session = session;
    this.copyIn = new CopyIn(session, (message) => (isPiece(message) ? this.takePiece(message) : this.take(message)));
  }

  /** The request that is processed next. */
  get first(): Request | undefined {
    return this.pending[0];
  }

  /** A batch was sent in part, without its Sync: what it has done so far is in an implicit transaction. */
  get isInBatch(): boolean {
    return this.batch?.isOnServer === true;
  }

  get isBetweenRequests(): boolean {
    return this.batch === undefined;
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    this.take({ type, buffer, start, end, statementName: undefined });
    this.session.timeSlice.worked();
    return this.session.readsOn;
  }

  mayStream(type: number, size: number, available: number): boolean {
    return mayStreamMessage(type, size, available);
  }

  begin(type: number, _size: number, buffer: Buffer, start: number, end: number): boolean {
    this.takePiece({ type, buffer, start, end, statementName: undefined });
    return this.session.readsOn;
  }

  /** Takes the first piece of a message. It must be sent before the next piece comes, so its batch is submitted now. */
  private takePiece(message: Message): void {
    this.take(message);
    if (
      message.type !== Frontend.CopyData &&
      this.batch !== undefined &&
      this.batch.state === 'gathering' &&
      this.session.isReady
    )
      this.submit(this.batch);
  }

  more(buffer: Buffer, start: number, end: number, isLast: boolean): boolean {
    const { session } = this;
    const { server } = session;
    // Only the server that got the first piece gets the rest: not another one, and none after an error.
    if (server?.isMidMessage === true) {
      server.send(buffer.subarray(start, end));
      if (isLast) {
        server.messageEnded();
        // All answers to the client may have come meanwhile.
        session.release();
      }
    }
    return session.readsOn;
  }

  private take(message: Message): void {
    const { server } = this.session;
    if (server !== undefined && this.copyIn.takes(server, message, this.isInBatch)) return;
    switch (message.type) {
      case Frontend.Query:
      case Frontend.FunctionCall:
        return this.single(message);
      case Frontend.Parse:
      case Frontend.Bind:
      case Frontend.Describe:
      case Frontend.Execute:
      case Frontend.Close:
        return this.part(message);
      case Frontend.Flush:
        // libpq sends Flush after Sync. Outside a batch there is nothing to flush, and Flush does not begin a batch.
        if (this.batch !== undefined) this.part(message);
        return;
      case Frontend.Sync:
        return this.sync(message);
      case Frontend.CopyData:
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        return this.copy(message);
      case Frontend.Terminate:
        return this.session.wire.end();
      default:
        throw new ProtocolError(`invalid frontend message type ${describeType(message.type)}`);
    }
  }

  private single(message: Message): void {
    if (this.isSkipping) return;
    // A Query within a batch ends the batch, with one ReadyForQuery for both.
    this.complete(message);
  }

  private part(message: Message): void {
    if (this.isSkipping) return;
    const request = (this.batch ??= new Request());
    if (request.isOnServer) return this.sendOn(request, message);
    this.add(request, message);
    // The messages after a COPY depend on its outcome.
    const isCopy = message.type === Frontend.Execute && request.planned.mayCopyIn;
    if (message.type === Frontend.Flush || isCopy || request.form.bytes > gatherBelowBytes) this.submit(request);
  }

  private sync(message: Message): void {
    const { session } = this;
    if (this.isSkipping) {
      this.isSkipping = false;
      this.batch = undefined;
      return session.whenQuiet(() => session.say(readyForQuery(statusLetter(session.status))));
    }
    this.complete(message);
  }

  /** Completes the current request with this message, which may be its only one. */
  private complete(message: Message): void {
    const request = this.batch ?? new Request();
    this.batch = undefined;
    request.isComplete = true;
    if (request.isOnServer) return this.sendOn(request, message);
    this.add(request, message);
    this.submit(request);
  }

  /** All messages that have arrived were taken: an incomplete batch is sent after a moment. */
  rested(): void {
    if (this.batch === undefined || this.gathering !== undefined || !this.mayBegin(this.batch)) return;
    const { batch } = this;
    this.gathering = setTimeout(() => {
      this.gathering = undefined;
      try {
        if (batch === this.batch && this.session.readsOn && this.mayBegin(batch)) this.submit(batch);
        else this.rested();
        this.session.wire.regulate();
      } catch (error) {
        this.session.fail(error);
      }
    }, gatherMs);
  }

  /** A batch that Weir answers itself takes no lock, so it can wait for its Sync. */
  private mayBegin(batch: Request): boolean {
    return batch.state === 'gathering' && batch.form.locals === 0 && this.session.readsOn;
  }

  /**
   * Outside a COPY, its messages are ignored, as by PostgreSQL: after a failure, the client may still be sending data.
   */
  private copy(message: Message): void {
    if (this.session.server?.answers.isInCopy === true) forward(this.session, message);
  }

  /** The batch failed before the Query that was to end it, so PostgreSQL skips that: the Sync is still to come. */
  reopen(request: Request): void {
    request.isComplete = false;
    this.batch = request;
  }

  /** A COPY has failed. @param readies number of ReadyForQuery sent for it; 0: its Sync is still to come */
  recounted(request: Request, readies: number): void {
    if (this.batch !== request) return;
    if (readies === 0) return this.skipToSync();
    request.isComplete = true;
    this.batch = undefined;
  }

  private add(request: Request, message: Message): void {
    request.messages?.push(message);
    request.form.bytes += message.end - message.start;
    if (isPiece(message)) {
      request.form.isStreamed = true;
      request.planned.noRead('a message too large to be kept');
    }
    notePlan(this.session, request, message);
  }

  /** Sends a further message of a batch that was sent before its Sync. */
  private sendOn(request: Request, message: Message): void {
    const known = request.plans.length;
    this.add(request, message);
    request.messages = undefined;
    sendMore(this.session, request, message, known);
  }

  private submit(request: Request): void {
    const { session } = this;
    request.receivedAtMs = session.services.nowMs();
    session.wasActive(request.receivedAtMs);
    if (!request.isComplete) {
      // A later message may not be a read, and then it is too late to use another node.
      request.planned.noRead('a batch without its Sync yet');
    }
    session.move(request, 'submitted');
    this.pending.push(request);
    handleWithinLimits(session, request);
  }

  /** Puts requests that will run again before all others. */
  again(requests: readonly Request[]): void {
    this.pending.unshift(...requests);
  }

  /** The request was sent or answered, so the next one is processed. */
  entered(request: Request): void {
    const { pending } = this;
    const at = pending.indexOf(request);
    if (at === 0) pending.shift();
    else if (at !== -1) pending.splice(at, 1);
  }

  /** The client is gone. */
  left(): void {
    clearTimeout(this.gathering);
    for (const request of this.pending.splice(0)) {
      request.cache.flight?.abandon();
      leaveFlight(this.session, request, 'abandoned');
    }
  }

  skipToSync(): void {
    this.isSkipping = true;
    this.batch = undefined;
  }

  /** The server that got the first messages of a batch was lost, also if a COPY merged it into the one before. */
  serverLost(): void {
    if (this.isInBatch) this.skipToSync();
  }

  /** Weir has answered the messages of the batch that have come; later ones form a new request. */
  beginAnew(): void {
    this.batch = undefined;
  }

  /** A CancelRequest while the session's server is being prepared: it takes effect before the request is sent. */
  noteCancel(): void {
    const request = this.pending[0];
    if (request !== undefined && this.session.status === TxStatus.Idle) this.session.move(request, 'cancel');
  }

  /** A CancelRequest for the request that is processed next and was not sent. */
  cancelWaiting(): void {
    const request = this.pending[0];
    if (request === undefined) return;
    request.attempt.guard?.rolledBack();
    request.attempt.guard = undefined;
    refuse(this.session, request, new WeirError('query_canceled'));
  }
}
