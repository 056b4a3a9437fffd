/**
 * Counts how many Syncs the server answers after a COPY FROM STDIN has failed. The server ignores a Sync among the data before
 * the mistake and answers one behind it, and only the server knows where the mistake was. So Weir sends a Sync, a Close and
 * another Sync: the ReadyForQuery that come before CloseComplete answer the client's Syncs and Weir's first one. Used by
 * incoming.ts.
 */
import { Backend } from '../protocol/codes.ts';
import { close, noSuchStatement, sync } from '../protocol/write.ts';
import type { AnswerReceiver } from './receiver.ts';

/** The Close names a statement that does not exist: it does nothing, and is answered all the same. */
export const countingMessages = Buffer.concat([sync, close('S', noSuchStatement), sync]);

export class SyncCount {
  readonly receiver: AnswerReceiver;
  private readies = 0;
  private isClosed = false;

  constructor(receiver: AnswerReceiver) {
    this.receiver = receiver;
  }

  /** @returns how many Syncs of the client were answered; 'more': not known yet; undefined: the message must not come now */
  received(type: number): number | 'more' | undefined {
    if (type === Backend.CloseComplete && !this.isClosed && this.readies > 0) {
      this.isClosed = true;
      return 'more';
    }
    if (type !== Backend.ReadyForQuery) return undefined;
    if (this.isClosed) return this.readies - 1;
    this.readies++;
    return 'more';
  }
}
