/**
 * How many Syncs a COPY FROM STDIN that has failed leaves to be answered. Those among its data are ignored up to the mistake and
 * count behind it, and only the server knows where in the data that was. So it is sent a Sync, a Close and a Sync more:
 * whatever ReadyForQuery come before the CloseComplete are for the Syncs before, and one for that of ours. Used by incoming.ts.
 */
import { Backend } from '../protocol/codes.ts';
import { close, noSuchStatement, sync } from '../protocol/write.ts';
import type { AnswerReceiver } from './receiver.ts';

/** Closing a statement that there is not does nothing, and is answered all the same. */
export const countingMark = Buffer.concat([sync, close('S', noSuchStatement), sync]);

export class Recount {
  readonly receiver: AnswerReceiver;
  private readies = 0;
  private isClosed = false;

  constructor(receiver: AnswerReceiver) {
    this.receiver = receiver;
  }

  /** @returns how many were for the client, once all have come; undefined: it is nothing that belongs here */
  heard(type: number): number | 'more' | undefined {
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
