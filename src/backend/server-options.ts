/**
 * What a ServerConnection is made of, and what its messages may be: how large, in which status. No state.
 */
import type { NodeConfig } from '../config/config.ts';
import type { TurnWriter } from '../net/turn.ts';
import { Backend, TxStatus, describeType } from '../protocol/codes.ts';
import { Owed, type Answer, type OwedKind } from '../protocol/answers.ts';
import { ProtocolError, readErrorFields } from '../protocol/read.ts';
import { renamedError } from '../protocol/write.ts';
import type { ServerLink } from './login.ts';
import type { AnswerReceiver } from './receiver.ts';

/** Frames other than rows and COPY data that are larger than this are streamed, not collected. */
const collectBelowBytes = 64 * 1024;
/** Except for descriptions, which can be somewhat larger and are read whole. */
const describesBelowBytes = 1024 * 1024;
/** Frames that Weir must read whole and that are never large. */
const neverLarge: ReadonlySet<number> = new Set([
  Backend.CommandComplete,
  Backend.ParameterStatus,
  Backend.ReadyForQuery,
  Backend.ParseComplete,
  Backend.BindComplete,
  Backend.CloseComplete,
  Backend.NoData,
  Backend.EmptyQueryResponse,
  Backend.PortalSuspended,
  Backend.RowDescription,
  Backend.ParameterDescription,
]);

/** May a message be handed on in pieces? @throws ProtocolError if it is one that is never large */
export function mayStreamMessage(type: number, size: number): boolean {
  if (size <= collectBelowBytes) return false;
  const isDescription = type === Backend.RowDescription || type === Backend.ParameterDescription;
  if (isDescription && size <= describesBelowBytes) return false;
  if (neverLarge.has(type)) throw new ProtocolError(`a message ${describeType(type)} of ${size} bytes`);
  return true;
}

/** Messages that are all of an answer, and to what. */
export const wholeAnswerTo: ReadonlyMap<number, OwedKind> = new Map([
  [Backend.ParseComplete, Owed.Parse],
  [Backend.BindComplete, Owed.Bind],
  [Backend.CloseComplete, Owed.Close],
]);

/** The transaction status in a ReadyForQuery. @throws ProtocolError if it has none, or comes in the middle of a COPY */
export function readyStatus(body: Buffer, isInCopy: boolean): number {
  const status = body.length === 1 ? (body[0] as number) : 0;
  if (isInCopy) throw new ProtocolError('ReadyForQuery in the middle of a COPY');
  if (status === TxStatus.Idle || status === TxStatus.InTransaction || status === TxStatus.Failed) return status;
  throw new ProtocolError('ReadyForQuery without a transaction status');
}

const noSuchStatement = '26000';

/** An ErrorResponse in the client's terms: with its name of the statement, or about the one that the server has no more. */
export function sayError(
  { receiver, renamed, bytes: instead }: Answer<AnswerReceiver>,
  fields: Map<string, string>,
  isCut: boolean,
  buffer: Buffer,
  start: number,
  end: number,
): void {
  if (instead !== undefined && fields.get('C') === noSuchStatement) {
    receiver.errored(readErrorFields(instead, 5, instead.length), instead, 0, instead.length);
  } else if (renamed === undefined || isCut) {
    receiver.errored(fields, buffer, start, end);
  } else {
    const bytes = renamedError(buffer, start, end, renamed);
    receiver.errored(fields, bytes, 0, bytes.length);
  }
}

/** A client that hears its own NOTIFY knows that by the pid: in the NotificationResponse at `start` it becomes the client's number. */
export function nameSender(buffer: Buffer, start: number, serverPid: number, clientPid: number | undefined): void {
  if (clientPid !== undefined && buffer.readInt32BE(start + 5) === serverPid) buffer.writeInt32BE(clientPid, start + 5);
}

/** Who is told what becomes of a connection. `Server`: its type. */
export interface ServerOwner<Server> {
  closed(server: Server, why: string): void;
  /** A bug of Weir's: counted and logged. */
  unexpected(error: Error): void;
}

/** `Server`: the connection that is made of them. */
export interface ServerOptions<Server> {
  readonly id: number;
  readonly node: NodeConfig;
  readonly link: ServerLink;
  readonly turn: TurnWriter;
  readonly maxPreparedStatements: number;
  readonly nowMs: number;
  readonly owner: ServerOwner<Server>;
}
