/**
 * What incoming.ts may do with a message of the server: relay it in pieces, take it for a whole answer, relay it with other
 * names or numbers in it. Pure. Used by incoming.ts.
 */
import { Backend, TxStatus, describeType } from '../protocol/codes.ts';
import { Owed, type Answer, type OwedKind } from '../protocol/answers.ts';
import { ProtocolError, readErrorFields } from '../protocol/read.ts';
import { renamedError } from '../protocol/write.ts';
import type { AnswerReceiver } from './receiver.ts';

/** Messages that are larger than this are relayed in pieces. Rows and COPY data always may be. */
const collectBelowBytes = 64 * 1024;
/** The same for RowDescription and ParameterDescription, which Weir reads whole. */
const describesBelowBytes = 1024 * 1024;
/** Messages that Weir must read whole. PostgreSQL never sends large ones. */
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

/** May a message be relayed in pieces? @throws ProtocolError if it is one that is never large */
export function mayStreamMessage(type: number, size: number): boolean {
  if (size <= collectBelowBytes) return false;
  const isDescription = type === Backend.RowDescription || type === Backend.ParameterDescription;
  if (isDescription && size <= describesBelowBytes) return false;
  if (neverLarge.has(type)) throw new ProtocolError(`a message ${describeType(type)} of ${size} bytes`);
  return true;
}

/** Messages that are the whole answer to what was sent. */
export const wholeAnswerTo: ReadonlyMap<number, OwedKind> = new Map([
  [Backend.ParseComplete, Owed.Parse],
  [Backend.BindComplete, Owed.Bind],
  [Backend.CloseComplete, Owed.Close],
]);

/**
 * The transaction status in the ReadyForQuery buffer[start, end). @throws ProtocolError if it has none, or comes in the middle
 * of a COPY
 */
export function readyStatus(buffer: Buffer, start: number, end: number, isInCopy: boolean): number {
  const status = end - start === 6 ? (buffer[start + 5] as number) : 0;
  if (isInCopy) throw new ProtocolError('ReadyForQuery in the middle of a COPY');
  if (status === TxStatus.Idle || status === TxStatus.InTransaction || status === TxStatus.Failed) return status;
  throw new ProtocolError('ReadyForQuery without a transaction status');
}

const noSuchStatement = '26000';

/**
 * Relays an ErrorResponse with the client's own name of its prepared statement; or, if the server does not have the statement
 * any more, the error that the answer brings along.
 */
export function relayError(
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

/**
 * A client knows its own NOTIFY by the process ID in the NotificationResponse at `start`. If that is the server's own, it becomes
 * the one that the client was given.
 */
export function replaceSenderId(buffer: Buffer, start: number, serverId: number, clientId: number | undefined): void {
  if (clientId !== undefined && buffer.readInt32BE(start + 5) === serverId) buffer.writeInt32BE(clientId, start + 5);
}
