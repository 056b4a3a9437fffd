/**
 * Sends a message to the session's server and records the answer that it owes. Used by the other files of this folder.
 */
import { Answer, Owed, type OwedKind } from '../../protocol/answers.ts';
import { describe, errorResponse, noSuchStatement } from '../../protocol/write.ts';
import type { WeirError } from '../../errors/errors.ts';
import type { AnswerReceiver, ServerConnection } from '../../backend/server.ts';
import type { Session } from '../../session/session.ts';
import { isPiece, type Message } from '../../session/request.ts';

export function span({ buffer, start, end }: Message): Buffer {
  return start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
}

export function send(message: Message, server: ServerConnection): void {
  server.send(span(message));
  server.isMidMessage = isPiece(message);
}

export function owe(
  session: Session,
  kind: OwedKind,
  undo?: (isSkipped: boolean) => void,
  context?: unknown,
  renamed?: readonly [from: string, to: string],
): void {
  const server = session.server as ServerConnection;
  if (kind === Owed.Parse) session.database.stats.serverParses++;
  server.owe(new Answer<AnswerReceiver>(kind, session.receiver, false, undefined, undo, context, renamed));
}

/** Sends `bytes` to the client in place of a server's answer, after all earlier answers. */
export function pretend(session: Session, bytes: Buffer, undo?: () => void): void {
  const server = session.server as ServerConnection;
  server.owe(new Answer<AnswerReceiver>(Owed.Fake, session.receiver, false, bytes, undo));
}

/** Makes the batch that is open on the session's server fail, with an error of Weir's. */
export function failBatch(session: Session, error: WeirError): void {
  const server = session.server as ServerConnection;
  server.send(describe('S', noSuchStatement));
  server.owe(new Answer<AnswerReceiver>(Owed.Describe, session.receiver, false, errorResponse(error)));
}
