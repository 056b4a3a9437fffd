/**
 * A connection of Weir's own, for auth.query and for logical decoding: runs one statement after another, each with a few values.
 * Keeps nothing between two statements, and bounds the size and the number of the server's messages. Clients never use it.
 * Used by app/auth-query.ts and decoding/decoding.ts.
 */
import type { Socket } from 'node:net';
import { MessageReader } from '../net/message-reader.ts';
import { Backend, TxStatus, describeType } from '../protocol/codes.ts';
import { ProtocolError, readDataRow, readErrorFields } from '../protocol/read.ts';
import { bindTexts, execute, parse, sync, terminate } from '../protocol/write.ts';
import type { ServerLink } from './login.ts';

/** The server has answered the statement with an ErrorResponse. The connection can be used again. */
export class StatementError extends Error {
  readonly sqlstate: string;

  constructor(sqlstate: string, message: string) {
    super(message);
    this.name = 'StatementError';
    this.sqlstate = sqlstate;
  }
}

const maxMessageLength = 64 * 1024;
const noTypes = Buffer.alloc(2);

export class AuthQueryConnection {
  private readonly socket: Socket;
  private readonly reader: MessageReader;
  private readonly maxMessages: number;
  private isClosed = false;

  /** @param maxMessages in answer to one statement, notices included */
  constructor(link: ServerLink, maxMessages = 1_000) {
    this.maxMessages = maxMessages;
    this.socket = link.socket;
    if (link.leftover.length > 0) this.socket.unshift(link.leftover);
    this.reader = new MessageReader(link.socket, undefined);
    this.socket.on('error', () => this.socket.destroy());
    // The server may close the connection between two statements.
    this.socket.on('end', () => this.socket.destroy());
  }

  get isOpen(): boolean {
    return !this.isClosed && !this.socket.destroyed;
  }

  /**
   * Returns at most `maxRows` + 1 rows: one more than allowed tells the caller that there are too many. Rejects with
   * StatementError, ProtocolError, ReadError or the reason of `signal`, and closes the connection unless it is a StatementError.
   */
  async ask(
    sql: string,
    values: readonly string[],
    maxRows: number,
    signal: AbortSignal,
  ): Promise<(string | null)[][]> {
    const onAbort = (): void => this.reader.fail(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
    try {
      if (signal.aborted) throw signal.reason;
      this.socket.write(
        Buffer.concat([parse('', Buffer.from(sql), noTypes), bindTexts(values), execute(maxRows + 1), sync]),
      );
      return await this.answer();
    } catch (error) {
      if (!(error instanceof StatementError)) this.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.reader.detach();
    // If the server does not take the Terminate, the socket is closed all the same.
    this.socket.write(terminate);
    this.socket.destroySoon();
  }

  private async answer(): Promise<(string | null)[][]> {
    const rows: (string | null)[][] = [];
    let problem: StatementError | undefined;
    for (let count = 0; count < this.maxMessages; count++) {
      const { type, body } = await this.reader.next(maxMessageLength);
      switch (type) {
        case Backend.DataRow:
          rows.push(readDataRow(body));
          break;
        case Backend.ErrorResponse: {
          const fields = readErrorFields(body, 0, body.length);
          problem ??= new StatementError(fields.get('C') ?? '', fields.get('M') ?? 'unknown error');
          break;
        }
        case Backend.ReadyForQuery:
          if (problem !== undefined) throw problem;
          if (body[0] !== TxStatus.Idle) throw new ProtocolError('the statement has left a transaction open');
          return rows;
        case Backend.ParseComplete:
        case Backend.BindComplete:
        case Backend.CommandComplete:
        case Backend.PortalSuspended:
        case Backend.EmptyQueryResponse:
        case Backend.NoticeResponse:
        case Backend.NotificationResponse:
        case Backend.ParameterStatus:
          break;
        default:
          throw new ProtocolError(`message ${describeType(type)} in answer to a statement`);
      }
    }
    throw new ProtocolError(`more than ${this.maxMessages} messages in answer to a statement`);
  }
}
