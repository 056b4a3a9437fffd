/**
 * A concern is what a session takes along from request to request, and from server to server. It keeps its state to itself, and
 * implements those of the moments below in which it has something to do. Types only. table.ts has the list of the concerns, in
 * the order in which they are told of a moment.
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

/** What a concern may know of its session, and do to it. */
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
}

export interface Concern {
  /* ---- before a request is sent ---- */

  /** Can the server answer the request at once, behind those in flight there? */
  isReady?(server: ServerConnection, request: Request): boolean;
  /** The request is about to go to the server, which was just taken or is the session's own. Returns SQL to run there first. */
  prepareServer?(server: ServerConnection, request: Request): string | undefined;
  /** What the concerns wanted the server to run has succeeded. */
  serverPrepared?(server: ServerConnection): void;
  /** The first message of the request is about to be sent. It is not among those in flight yet. */
  beforeSend?(request: Request): void;
  /** The next messages of a batch that was begun before its Sync are about to be sent. Its plans from `from` on are new. */
  beforeMore?(request: Request, from: number): void;
  /** Called in both cases, right before the message is sent: whatever it commits must be prepared by then. */
  beforeCommit?(request: Request): void;

  /* ---- while it is answered ---- */

  /**
   * A statement of the request was completed, or a portal of it was suspended. `buffer` has its command tag in [start, end), with
   * a zero behind it; it is empty if there is none. Without `facts` nobody could read it.
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
  /** A statement was completed that changes the state of the session, or begins or ends a transaction. `tag`: its command tag. */
  statementDone?(facts: StatementFacts, tag: string, isQuery: boolean): void;
  /** A text was executed to its end. */
  effectsDone?(plan: Plan): void;
  /** A text failed behind some statements that were executed. */
  effectsInPart?(plan: Plan): void;
  /** The server has said that something of the request failed. */
  failed?(request: Request): void;
  /** ReadyForQuery for the request, which is no longer in flight. `session.status` is still the status before that. */
  readyForQuery?(request: Request, status: number): void;
  /** What was in flight runs again elsewhere. */
  runsAgain?(): void;

  /* ---- the end ---- */

  /** The server is lost, or the client has left it: what becomes of the requests in flight there is not known. */
  serverLost?(): void;
  /** The open transaction is no more. */
  transactionLost?(status: number): void;
  /** The session has no server any more. */
  serverLeft?(): void;
  /** The same, without waiting for the answers: what was still to be sent to it is dropped. */
  serverForgotten?(): void;
  /** The client is gone. `server` was the session's, and goes back to its pool or is closed. */
  clientLeft?(server: ServerConnection): void;
  /** The session is over. */
  closed?(): void;
}
