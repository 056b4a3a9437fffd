/**
 * Makes requests of a client's messages: a Query by itself, a batch of the extended protocol up to its Sync.
 * A batch runs as it arrives: it is begun before its Sync if that is not there after a moment, or when the batch is flushed
 * or grows large. Frames too large to keep are passed on in pieces.
 */
import { Frontend, TxStatus, describeType, statusLetter } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import type { FrameSink } from '../protocol/scanner.ts';
import { readyForQuery } from '../protocol/write.ts';
import type { RequestReader, Session } from '../session/session.ts';
import type { TimeSlice } from './time-slice.ts';
import { CopyIn } from './copy-in.ts';
import { forward } from './prepared/forward.ts';
import { handleRequest } from './handle-request.ts';
import { leaveFlight } from './load.ts';
import { notePlan } from './plans.ts';
import { refuse } from './refuse.ts';
import { sendMore } from './send-more.ts';
import { mayStreamMessage } from './streamed.ts';
import { WeirError } from '../errors.ts';
import { isPiece, Request, type Message } from '../session/request.ts';

/** A batch is begun when it has grown to this, Sync or not. */
const gatherBelowBytes = 64 * 1024;
/**
 * The rest of a batch that came without its Sync is waited for this long, ms. Long enough for a driver that writes one message
 * at a time: only a whole batch can be a read on a replica or be answered from the cache.
 */
const gatherMs = 2;

/** What reading needs of a session besides what the steps need. */
export interface ReadingSession extends Session {
  /** Does it take the next message? Not before the client takes the answers to the last ones. */
  readonly readsOn: boolean;
  readonly timeSlice: TimeSlice;
}

export class Intake implements FrameSink, RequestReader {
  private readonly session: ReadingSession;
  /** The batch whose Sync has not come. */
  private batch: Request | undefined;
  /** On their way through handle-request, until they are sent or answered. It is the turn of the first. */
  private readonly pending: Request[] = [];
  /** What comes before the next Sync is ignored, as after an ErrorResponse. */
  private isSkipping = false;
  private gathering: NodeJS.Timeout | undefined;
  readonly copyIn: CopyIn;

  constructor(session: ReadingSession) {
    this.session = session;
    this.copyIn = new CopyIn(session, (message) => (isPiece(message) ? this.takePiece(message) : this.take(message)));
  }

  /** Whose turn it is. */
  get first(): Request | undefined {
    return this.pending[0];
  }

  /** A batch is on its server whose Sync has not come: what it has done so far is in a transaction of its own. */
  get isInBatch(): boolean {
    return this.batch?.isOnServer === true;
  }

  get isBetweenRequests(): boolean {
    return this.batch === undefined;
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    this.take({ type, buffer, start, end });
    this.session.timeSlice.worked();
    return this.session.readsOn;
  }

  mayStream(type: number, size: number, available: number): boolean {
    return mayStreamMessage(type, size, available);
  }

  begin(type: number, _size: number, buffer: Buffer, start: number, end: number): boolean {
    this.takePiece({ type, buffer, start, end });
    return this.session.readsOn;
  }

  /** The first piece. What follows must find it sent, so a batch cannot be gathered any longer. */
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
    // Only the server that was given the beginning gets the rest: not one that came after it, nor any in an error.
    if (server?.isMidMessage === true) {
      server.send(buffer.subarray(start, end));
      if (isLast) {
        server.messageEnded();
        // All that the client is owed may have come meanwhile.
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
        // Behind Sync, where libpq says it, there is nothing to flush, and no batch begins with it.
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
    // A Query in the middle of a batch ends it, with one ReadyForQuery for both.
    this.complete(message);
  }

  private part(message: Message): void {
    if (this.isSkipping) return;
    const request = (this.batch ??= new Request());
    if (request.isOnServer) return this.sendOn(request, message);
    this.add(request, message);
    // Whatever comes behind a COPY depends on what becomes of that.
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

  /** The request ends with this message, which may be all of it. */
  private complete(message: Message): void {
    const request = this.batch ?? new Request();
    this.batch = undefined;
    request.isComplete = true;
    if (request.isOnServer) return this.sendOn(request, message);
    this.add(request, message);
    this.submit(request);
  }

  /** All that has come was taken: a batch without its Sync is begun in a moment. */
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

  /** What Weir answers itself has no lock to take and no error to tell early. */
  private mayBegin(batch: Request): boolean {
    return batch.state === 'gathering' && batch.form.locals === 0 && this.session.readsOn;
  }

  /** Outside of a COPY it is ignored, as by PostgreSQL: after a failure the rest of the data is still on its way. */
  private copy(message: Message): void {
    if (this.session.server?.answers.isInCopy === true) forward(this.session, message);
  }

  /** The batch has failed before the Query that would have ended it, which is skipped: its Sync is still to come. */
  reopen(request: Request): void {
    request.isComplete = false;
    this.batch = request;
  }

  /** Of a COPY that has failed so many ReadyForQuery were said. With none its Sync is still to come. */
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

  /** More of a batch that was begun before its Sync. */
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
      // More may come that is not a read, when it is too late to go elsewhere.
      request.planned.noRead('a batch without its Sync yet');
    }
    session.move(request, 'submitted');
    this.pending.push(request);
    handleRequest(session, request);
  }

  /** They were sent, in vain: they are on their way once more, before all others. */
  again(requests: readonly Request[]): void {
    this.pending.unshift(...requests);
  }

  /** The request goes to a server, or was answered. */
  entered(request: Request): void {
    const at = this.pending.indexOf(request);
    if (at !== -1) this.pending.splice(at, 1);
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

  /** The server is gone that was given the beginning of a batch, also of one that a COPY has merged into the one before. */
  serverLost(): void {
    if (this.isInBatch) this.skipToSync();
  }

  /** Weir has answered the messages of the batch that have come. Those that come behind them are a request of their own. */
  beginAnew(): void {
    this.batch = undefined;
  }

  /** CancelRequest while the session's server is being made ready: it is heard before anything is sent. */
  noteCancel(): void {
    const request = this.pending[0];
    if (request !== undefined && this.session.status === TxStatus.Idle) this.session.move(request, 'cancel');
  }

  /** CancelRequest for the statement whose turn it is, which has not been sent. */
  cancelWaiting(): void {
    const request = this.pending[0];
    if (request === undefined) return;
    request.attempt.guard?.rolledBack();
    request.attempt.guard = undefined;
    refuse(this.session, request, new WeirError('query_canceled'));
  }
}
