/**
 * Handles messages around a COPY FROM STDIN, whose meaning depends on the server: after the statement, a message is
 * COPY data or the next request; a Sync among the data is ignored, but answered if the data were found to be wrong
 * before. While that is not certain, the message is kept, and no further one is read, until the server has answered.
 * Called by intake.ts.
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

  /** @param take takes a kept message as if it had just arrived */
  constructor(session: Session, take: (message: Message) => void) {
    this.session = session;
    this.take = take;
  }

  /**
   * @param isInBatch the COPY is part of a batch whose Sync has not come
   * @returns true if the message was handled, or is kept
   */
  takes(server: ServerConnection, message: Message, isInBatch: boolean): boolean {
    const { answers } = server;
    if (answers.isInCopy) return this.takesInCopy(server, message);
    if (!answers.isUnsure) return false;
    // A Sync after CopyDone is always answered.
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
        // The client has ended the data without CopyDone. PostgreSQL closes the connection for this.
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

  /** Call when the server has sent something more, or is gone. */
  heard(): void {
    if (this.kept === undefined) return;
    // Not at once: the code that reads the server's messages must finish first.
    queueMicrotask(() => {
      const { kept, session } = this;
      if (kept === undefined || session.server?.answers.isUnsure === true) return;
      this.kept = undefined;
      session.goOn(() => this.take(kept));
    });
  }
}
