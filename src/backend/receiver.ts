/**
 * What a server connection calls on the receiver of its answers: a client's session, or a query of Weir's own. Types only.
 */
import type { Answer } from '../protocol/answers.ts';

/** What a server sends before it closes the connection, if it says why (connection-end.ts). */
export interface FinalMessage {
  readonly sqlstate: string;
  readonly hasHint: boolean;
  /** The whole message, as it came. */
  readonly frame: Buffer;
  /** To whom it was relayed: a WARNING is relayed when it comes, because the connection may go on. undefined: to nobody yet. */
  readonly relayedTo: AnswerReceiver | undefined;
}

/** How a connection has ended, for those who had it or were owed an answer. */
export interface End {
  /** One line, for people. */
  readonly why: string;
  /** undefined: the server has sent none, or only its beginning is known. */
  readonly finalMessage: FinalMessage | undefined;
  /** Neither Weir has closed it nor a time limit of the session itself (idle_session_timeout, for example). */
  readonly isNodeAtFault: boolean;
}

/** All calls are synchronous, in the order of the server's messages. */
export interface AnswerReceiver {
  /** Bytes for the client: whole frames or pieces of a large one, buffer[start, end). */
  relay(buffer: Buffer, start: number, end: number): void;
  /** A message that ends (part of) an answer was relayed: CommandComplete (its body in buffer[start, end)), EmptyQueryResponse, PortalSuspended, CopyInResponse ... */
  completed(type: number, answer: Answer<AnswerReceiver>, buffer: Buffer, start: number, end: number): void;
  /** ErrorResponse (its frame in buffer[start, end), perhaps only its beginning): the receiver relays it or not. */
  errored(fields: Map<string, string>, buffer: Buffer, start: number, end: number): void;
  /** A NoticeResponse was relayed. */
  noticed(): void;
  /** ParameterStatus, the whole frame: the receiver relays it or not. */
  parameterChanged(name: string, value: string, frame: Buffer): void;
  /** ReadyForQuery was relayed; `status` as in TxStatus. */
  ready(status: number): void;
  /**
   * The connection is closed, and the receiver has it or is owed an answer. Called once. `isMidMessage`: the beginning of a
   * message was relayed, and its end will never come. `isOwed`: it is owed an answer.
   */
  lost(end: End, isMidMessage: boolean, isOwed: boolean): void;
  /** In a lane, nothing of its answer has come, because an answer before it takes too long. It may run its read elsewhere. */
  heldUp(why: string): void;
  /** Its COPY FROM STDIN has failed, and `readies` of the Syncs that it has sent meanwhile were answered. Absent: it sends no COPY. */
  recounted?(readies: number, status: number): void;
  /** If the connection were closed now, its client would not notice. Absent: the same as true. */
  mayLose?(): boolean;
  /** Its client must keep the server (pins of the session). Absent: it need not. */
  readonly isPinned?: boolean;
  /** The process ID that its client was given in BackendKeyData. Absent: it has no client. */
  readonly processId?: number;
  /** Its client takes bytes more slowly than they come. The server is not read meanwhile. Absent: never. */
  readonly isFull?: boolean;
  /** The socket to the server takes bytes again. */
  drained(): void;
}
