/**
 * What a server connection asks of whoever is owed its answers. A session is one; so is a query of Weir's own. Types only.
 */
import type { Answer } from '../protocol/answers.ts';

export interface LastWords {
  readonly sqlstate: string;
  readonly hasHint: boolean;
  /** The whole message, as it came. */
  readonly frame: Buffer;
  /** Who has been given it already: a WARNING may also be one behind which the connection goes on. */
  readonly toldTo: AnswerReceiver | undefined;
}

/** How a connection has ended, for those who had it. */
export interface End {
  /** One line, for people. */
  readonly why: string;
  /** undefined: the server said nothing, or the message is not here as a whole. */
  readonly words: LastWords | undefined;
  /** It was not Weir that ended it, nor a limit that the session has set for itself. */
  readonly isNodeAtFault: boolean;
}

/** Whoever is owed answers. All calls are synchronous, in the order of the server's messages. */
export interface AnswerReceiver {
  /** Bytes for the client: whole frames or pieces of a large one, buffer[start, end). */
  relay(buffer: Buffer, start: number, end: number): void;
  /** A message that ends (part of) an answer was relayed: CommandComplete (its body in buffer[start, end)), EmptyQueryResponse, PortalSuspended, CopyInResponse ... */
  completed(type: number, answer: Answer<AnswerReceiver>, buffer: Buffer, start: number, end: number): void;
  /** ErrorResponse (its frame in buffer[start, end), perhaps only its beginning): the receiver relays it or not. */
  errored(fields: Map<string, string>, buffer: Buffer, start: number, end: number): void;
  noticed(): void;
  /** ParameterStatus, the whole frame: the receiver relays it or not. */
  parameterChanged(name: string, value: string, frame: Buffer): void;
  /** ReadyForQuery was relayed; `status` as in TxStatus. */
  ready(status: number): void;
  /**
   * The connection died while something was owed, or while it was held. Called once. `isMidMessage`: the beginning of a
   * message was relayed, and its end will never come. `isOwed`: an answer to it is missing.
   */
  lost(end: End, isMidMessage: boolean, isOwed: boolean): void;
  /** Nothing of its answer has come, and whoever is ahead of it takes too long: it may leave and ask elsewhere. */
  heldUp(why: string): void;
  /** Of a COPY that has failed so many ReadyForQuery came: one for each Sync behind the mistake. Absent: it sends no COPY. */
  recounted?(readies: number, status: number): void;
  /** Nobody would notice if the connection were closed now. Absent: the same as true. */
  mayLose?(): boolean;
  /** Its client must keep the server (pins of the session). Absent: it need not. */
  readonly isPinned?: boolean;
  /** What its client takes for the pid of the server. Absent: it has no client. */
  readonly processId?: number;
  /** It does not take bytes as fast as it is given them: the server is not read meanwhile. Absent: never. */
  readonly isFull?: boolean;
  /** The server takes bytes again. */
  drained(): void;
}
