/**
 * A concern is one kind of state that follows a session from request to request and from server to server. It keeps
 * its state private, and implements those of the methods below ("moments") at which it has something to do. Types
 * only. table.ts lists the concerns in the order in which they are called.
 */
import type { ServerConnection } from '../../backend/server.ts';
import type { Plan } from '../../binding/plan.ts';
import type { PoolMode } from '../../config/config.ts';
import type { StatementFacts } from '../../sql/facts.ts';
import type { NodeState } from '../../topology/types.ts';
import type { Ring } from '../../util/ring.ts';
import type { Database, Services } from '../context.ts';
import type { SessionState } from '../state.ts';
import type { Request } from '../request.ts';

/** What a concern may read of its session and do to it. */
export interface ConcernOwner {
  readonly services: Services;
  readonly database: Database;
  readonly state: SessionState;
  readonly server: ServerConnection | undefined;
  readonly serverNode: NodeState | undefined;
  /** Transaction status as of the last ReadyForQuery. */
  readonly status: number;
  readonly inFlight: Ring<Request>;
  readonly poolMode: PoolMode;
  release(): void;
  /** What was said to the client in this turn, and what follows, is sent when that has resolved. */
  holdAnswers(until: Promise<void> | undefined): void;
}

export interface Concern {
  /* ---- before a request is sent ---- */

  /** Whether the server can take the request now, after the requests in flight there. */
  isReady?(server: ServerConnection, request: Request): boolean;
  /**
   * The request is about to be sent to the server, which was just taken or is the session's own. @returns SQL to run
   * there first; undefined: none
   */
  prepareServer?(server: ServerConnection, request: Request): string | undefined;
  /** The SQL that the concerns returned from prepareServer has succeeded. */
  serverPrepared?(server: ServerConnection): void;
  /** The first message of the request is about to be sent. The request is not in `inFlight` yet. */
  beforeSend?(request: Request): void;
  /**
   * Further messages of a batch are about to be sent whose Sync has not come yet. The plans from index `from` on are
   * new.
   */
  beforeMore?(request: Request, from: number): void;
  /** Called after either, right before sending: prepares for anything that the message may commit. */
  beforeCommit?(request: Request): void;

  /* ---- while it is answered ---- */

  /**
   * A statement of the request was completed, or a portal suspended. The command tag is buffer[start, end) including
   * its zero; the buffer is empty if there is none. `facts` is undefined if the statement could not be parsed.
   */
  completed?(
    request: Request,
    isQuery: boolean,
    plan: Plan | undefined,
    facts: StatementFacts | undefined,
    buffer: Buffer,
    start: number,
    end: number,
  ): void;
  /** A statement was completed that changes session state, or begins or ends a transaction. `tag`: its command tag. */
  statementDone?(facts: StatementFacts, tag: string, isQuery: boolean): void;
  /** All statements of a text were executed. */
  effectsDone?(plan: Plan): void;
  /** A text failed after some of its statements were executed. */
  effectsInPart?(plan: Plan): void;
  /** The server sent an ErrorResponse for the request. */
  failed?(request: Request): void;
  /**
   * ReadyForQuery has come for the request, which is no longer in `inFlight`. `session.status` is still the status
   * before it.
   */
  readyForQuery?(request: Request, status: number): void;
  /** The requests in flight will run again on another server. */
  runsAgain?(): void;

  /* ---- the end ---- */

  /** The server connection is lost, or the client has left it: the outcome of the requests in flight is unknown. */
  serverLost?(): void;
  /** The open transaction was lost. `status`: the transaction status from now on. */
  transactionLost?(status: number): void;
  /** The session no longer has a server connection. */
  serverLeft?(): void;
  /**
   * The session no longer has a server connection and did not wait for its answers: drop what was still to be sent to
   * it.
   */
  serverForgotten?(): void;
  /** The client has left. `server` was the session's, and goes back to its pool or is closed. */
  clientLeft?(server: ServerConnection): void;
  /** The session has ended. */
  closed?(): void;

  /* ---- hand-over to another process (request/hand-over.ts) ---- */

  /**
   * Asked while the session has no server and no request under way. @param isLate the client has waited long: state that
   * a client could hardly notice the loss of is given up @returns what the hand-over must wait for, as text; undefined:
   * nothing
   */
  holdsUp?(isLate: boolean): string | undefined;
  /** Its state as plain data; undefined: none. Changes nothing. */
  pack?(): unknown;
  /** In the other process, before anything else: takes what pack() returned there. @throws ShapeError */
  unpack?(packed: unknown): void;
}
