/**
 * What a message means around a COPY FROM STDIN depends on what the server makes of the COPY. Behind the statement it is data or
 * the next request. A Sync among the data is ignored, but answered once the server has found a mistake in the data. Where that is
 * not certain, the message is kept back, and nothing more is read, until the server has said more. Called by intake.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import { Frontend, describeType } from '../protocol/codes.ts';
import { copyFail, flush, sync } from '../protocol/write.ts';
import type { Session } from '../session/session.ts';
import type { Message } from '../session/request.ts';

export class CopyIn {
  private readonly session: Session;
  private readonly take: (message: Message) => void;
  private kept: Message | undefined;

  /** @param take a message that was kept back, as if it came only now */
  constructor(session: Session, take: (message: Message) => void) {
    this.session = session;
    this.take = take;
  }

  /**
   * @param isInBatch the COPY is part of a batch whose Sync has not come
   * @returns whether the message was dealt with, or is kept back
   */
  takes(server: ServerConnection, message: Message, isInBatch: boolean): boolean {
    const { answers } = server;
    if (answers.isInCopy) return this.takesInCopy(server, message);
    if (!answers.isUnsure) return false;
    // The Sync behind CopyDone is answered in any case.
    if (message.type === Frontend.Sync && isInBatch && answers.hasCopied) return false;
    this.keep(server, message);
    return true;
  }

  private takesInCopy(server: ServerConnection, message: Message): boolean {
    switch (message.type) {
      case Frontend.CopyData:
      case Frontend.CopyDone:
      case Frontend.CopyFail:
      case Frontend.Terminate:
        return false;
      case Frontend.Flush:
        return true;
      case Frontend.Sync:
        server.send(sync);
        server.answers.syncInCopy();
        return true;
      default:
        // There will be no more data. PostgreSQL gives up the connection for it.
        server.send(copyFail(`a message ${describeType(message.type)} in the middle of COPY FROM STDIN`));
        server.answers.copyEnded();
        this.keep(server, message);
        return true;
    }
  }

  private keep(server: ServerConnection, message: Message): void {
    server.send(flush);
    this.kept = message;
    this.session.waiting('copy');
  }

  /** The server has said more, or is gone. */
  heard(): void {
    if (this.kept === undefined) return;
    // Not at once: whoever reads what the server says comes to its end first.
    queueMicrotask(() => {
      const { kept, session } = this;
      if (kept === undefined || session.server?.answers.isUnsure === true) return;
      this.kept = undefined;
      session.goOn(() => this.take(kept));
    });
  }
}
