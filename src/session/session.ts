/**
 * The session as the steps of a request see it: whether it reads or waits, and for what; what it sends to the client.
 * Abstract: client.ts adds the socket and the reading of messages.
 */
import type { ServerConnection } from '../backend/server.ts';
import { WeirError } from '../errors/errors.ts';
import { ProtocolError } from '../protocol/read.ts';
import { errorResponse, parameterStatus } from '../protocol/write.ts';
import { nextState, type RequestEvent } from './request-state.ts';
import { Stranded } from './stranded.ts';
import { ServerHold } from './server-hold.ts';
import type { Request } from './request.ts';
import type { CancellableWait, WaitKind } from './waits.ts';

/** The steps that a request can go on with; handle-request.ts has the table. */
export type Step = 'find server' | 'prepare new server' | 'prepare own server' | 'send';

/**
 * Result of a step: the next step; `waits`: something else will take the request up again; `done`: sent, or answered.
 */
export type Outcome = Step | 'waits' | 'done';

/** Ends a wait. @returns false, without effect, if the request no longer waits for that */
export type GoOn = (next: Outcome | (() => Outcome)) => boolean;

/** A wait that a CancelRequest, or the end of the client, can cancel. */
export interface Wait {
  readonly kind: CancellableWait;
  readonly sinceMs: number;
  cancel: () => void;
}

/** What steps and answers call on the reader of requests (intake.ts). */
export interface RequestReader {
  readonly copyIn: { heard(): void };
  /** The request that is processed next. */
  readonly first: Request | undefined;
  /** A batch has been sent in part; its Sync has not come. */
  readonly isInBatch: boolean;
  entered(request: Request): void;
  again(requests: readonly Request[]): void;
  reopen(request: Request): void;
  recounted(request: Request, readies: number): void;
  skipToSync(): void;
  beginAnew(): void;
  serverLost(): void;
  cancelWaiting(): void;
}

export abstract class Session extends ServerHold {
  readonly stranded = new Stranded();
  /** `reading`: takes requests; `closed`: the client is gone; otherwise what the client's next message waits for. */
  phase: 'reading' | 'closed' | WaitKind = 'reading';
  wait: Wait | undefined;
  /** Runs when all requests in flight are answered. */
  protected quietStep: (() => void) | undefined;
  private bytesKept = 0;
  /** Requests that a server passed over, to run again when it has answered everything. */
  readonly again: Request[] = [];
  private activeAtMs = this.services.nowMs();

  abstract readonly intake: RequestReader;
  /** No part of the client's next message has arrived. */
  abstract readonly isBetweenMessages: boolean;
  /** Takes the request through its steps until it waits or is done. */
  abstract advance(request: Request, next: Outcome): void;
  /** All requests that were sent are answered. */
  abstract answered(): void;
  protected abstract haltReading(): void;
  /** Reads the next requests, unless the output to the client is full or its time slice is over. */
  protected abstract readOn(): void;

  /** When the client last sent a request or got an answer (monotonic ms). */
  get requestAtMs(): number {
    return this.activeAtMs;
  }

  /** Notes that the client sent a request or got an answer now. */
  wasActive(nowMs: number): void {
    this.activeAtMs = nowMs;
  }

  /** Total size of the requests in flight that are kept so that they can run again, in bytes. */
  get keptBytes(): number {
    return this.bytesKept;
  }

  changeKeptBytes(by: number): void {
    this.bytesKept += by;
  }

  get isReady(): boolean {
    return this.phase === 'reading';
  }

  get isWaiting(): boolean {
    return this.phase !== 'reading' && this.phase !== 'closed';
  }

  get isClosed(): boolean {
    return this.phase === 'closed';
  }

  /**
   * Moves the request to its next state. @returns false: the table has no such transition, which is a bug; it was
   * counted, and the client's connection ends
   */
  move(request: Request, event: RequestEvent): boolean {
    const next = nextState(request.state, event);
    if (next === undefined) {
      this.fail(new Error(`a request in the state "${request.state}" had the event "${event}"`));
      return false;
    }
    request.state = next;
    return true;
  }

  /* ---- waiting ---- */

  /** Reads no further message of the client until `goOn`, not even one that has already arrived. */
  waiting(what: WaitKind): void {
    if (this.phase !== 'reading') return;
    this.phase = what;
    this.haltReading();
  }

  /** The wait is over: runs `step`, then reads on. */
  goOn(step: () => void): void {
    if (this.phase === 'closed') return;
    this.wait = undefined;
    this.phase = 'reading';
    try {
      step();
      // A later step still waits until all is answered: nothing may overtake it.
      if (this.quietStep !== undefined && this.isReady && this.inFlight.length === 0) return this.becameQuiet();
      if (this.quietStep !== undefined) this.waiting('answers');
      this.readOn();
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * The request waits for `what`. A CancelRequest ends the wait, and so does the end of the client's connection.
   * @param begin starts the wait, and returns a function that gives it up
   */
  waitFor(what: CancellableWait, request: Request, begin: (goOn: GoOn) => () => void): 'waits' {
    this.waiting(what);
    const wait: Wait = { kind: what, sinceMs: request.receivedAtMs, cancel: () => undefined };
    this.wait = wait;
    wait.cancel = begin((next) => this.wait === wait && this.takeUp(request, next));
    return 'waits';
  }

  protected stopWaiting(): void {
    const { wait } = this;
    this.wait = undefined;
    wait?.cancel();
  }

  /** The request waits for something that always ends soon. Nothing ends this wait early, not even a CancelRequest. */
  waitShortly(what: WaitKind, request: Request, begin: (goOn: GoOn) => void): 'waits' {
    this.waiting(what);
    begin((next) => !this.isClosed && this.takeUp(request, next));
    return 'waits';
  }

  /** The wait of the request is over: it goes on with `next`. */
  private takeUp(request: Request, next: Outcome | (() => Outcome)): true {
    this.goOn(() => this.advance(request, typeof next === 'function' ? next() : next));
    return true;
  }

  /** Runs `step` when all requests in flight are answered; at once if there are none. */
  whenQuiet(step: () => void): void {
    if (this.inFlight.length === 0) return step();
    this.waiting('answers');
    this.quietStep = step;
  }

  /** Like whenQuiet, but runs before the step that already waits. */
  firstWhenQuiet(step: () => void): void {
    const later = this.quietStep;
    this.quietStep = (): void => {
      this.quietStep = later;
      step();
    };
  }

  /** The last answer has come. */
  becameQuiet(): void {
    const step = this.quietStep;
    if (step === undefined) return this.answered();
    this.quietStep = undefined;
    this.goOn(step);
  }

  /* ---- messages to the client ---- */

  say(bytes: Buffer): void {
    this.wire.send(bytes);
  }

  /** Sends ParameterStatus for values that replayed settings have changed and the client does not know yet. */
  tellReported(server: ServerConnection): void {
    for (const [name, value] of this.state.untold(server.login.parameters)) this.say(parameterStatus(name, value));
  }

  /** Sends the error as FATAL and closes the connection. */
  terminate(error: WeirError): void {
    if (this.phase === 'closed') return;
    this.services.ending?.(this.identity.remoteAddress, this.identity.remotePort, error);
    this.wire.end(lastWords(error));
  }

  /** The same for a client that holds too much memory: it does not get long to read it. */
  shed(error: WeirError): void {
    if (this.phase === 'closed') return;
    this.services.ending?.(this.identity.remoteAddress, this.identity.remotePort, error);
    this.wire.endSoon(lastWords(error));
  }

  /** Closes without an error message, after what was relayed. */
  cutOff(why: string): void {
    const message = 'a client was cut off: its server was lost in the middle of a message';
    this.services.log('warn', 'client_cut_off', message, { client: this.identity.id, why });
    this.wire.end();
  }

  /** Ends the connection because of an exception. */
  fail(error: unknown): void {
    if (error instanceof WeirError) return this.terminate(error);
    if (error instanceof ProtocolError)
      return this.terminate(new WeirError('protocol_violation', { what: error.message }));
    const bug = error instanceof Error ? error : new Error(String(error));
    this.services.unexpected(bug);
    this.terminate(new WeirError('internal_error', { what: bug.message }));
  }
}

function lastWords({ sqlstate, message, detail, hint }: WeirError): Buffer {
  return errorResponse({ severity: 'FATAL', sqlstate, message, detail, hint });
}
