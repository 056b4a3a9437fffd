/**
 * Why a server connection has ended: the server's final message, if it sent one, and whether Weir closed it. The message is a
 * FATAL ErrorResponse; or a WARNING, if another server process has crashed or PostgreSQL is stopped in immediate mode. Filled
 * by server.ts and incoming.ts; read by request/server-lost.ts.
 */
import { ProtocolError, readErrorFields, readSqlstate } from '../protocol/read.ts';
import type { AnswerReceiver, End, FinalMessage } from './receiver.ts';

const gone = 'the server closed the connection';
const adminShutdown = '57P01';
const crashShutdown = '57P02';
/** idle_in_transaction_session_timeout, transaction_timeout, idle_session_timeout. */
const sessionTimeouts: ReadonlySet<string> = new Set(['25P03', '25P04', '57P05']);

export class ConnectionEnd {
  private why: string | undefined;
  private finalMessage: FinalMessage | undefined;
  isByWeir = false;

  /** Weir closes the connection. If the server has said before why it ends, that stays the reason. */
  closedByWeir(why: string): void {
    this.why ??= why;
    this.isByWeir = true;
  }

  /** A message of the server could not be processed. */
  messageFailed(error: unknown): void {
    const isViolation = error instanceof ProtocolError;
    this.why = isViolation ? `protocol violation by the server: ${error.message}` : String(error);
  }

  /** An ErrorResponse has come. True: it is the server's final message. */
  errorCame(fields: ReadonlyMap<string, string>, isCut: boolean, buffer: Buffer, start: number, end: number): boolean {
    if (!/^(FATAL|PANIC)$/.test(fields.get('V') ?? fields.get('S') ?? '')) return false;
    this.why = fields.get('M') ?? 'fatal error';
    this.finalMessage = isCut ? undefined : finalMessageOf(buffer, start, end, undefined);
    return true;
  }

  /** A NoticeResponse has come. It may be the server's final message. */
  noticeCame(buffer: Buffer, start: number, end: number, relayedTo: AnswerReceiver | undefined): void {
    if (mayBeFinal(buffer, start, end)) this.finalMessage = finalMessageOf(buffer, start, end, relayedTo);
  }

  /** The server has answered since, so its last notice was not its final message. */
  answerCame(): void {
    this.finalMessage = undefined;
  }

  end(error?: Error): End {
    const { finalMessage } = this;
    const why = (this.why ??= error?.message ?? gone);
    const isTimeout = finalMessage !== undefined && sessionTimeouts.has(finalMessage.sqlstate);
    return { why, finalMessage, isNodeAtFault: !this.isByWeir && !isTimeout };
  }
}

function finalMessageOf(
  buffer: Buffer,
  start: number,
  end: number,
  relayedTo: AnswerReceiver | undefined,
): FinalMessage {
  const fields = readErrorFields(buffer, start + 5, end);
  const frame = Buffer.from(buffer.subarray(start, end));
  return { sqlstate: fields.get('C') ?? '', hasHint: fields.has('H'), frame, relayedTo };
}

/** Is the message that begins at `start` a whole NoticeResponse such as PostgreSQL sends before it ends a process? */
export function mayBeFinal(buffer: Buffer, start: number, end: number): boolean {
  if (buffer.readInt32BE(start + 1) + 1 > end - start) return false;
  const sqlstate = readSqlstate(buffer, start + 5, end);
  return sqlstate === adminShutdown || sqlstate === crashShutdown;
}
