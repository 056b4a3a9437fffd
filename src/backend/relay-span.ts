/**
 * Bytes of the current chunk that are still to be relayed to one receiver. Adjacent messages are one span, so that a chunk of
 * many messages is relayed in one piece. Used by incoming.ts.
 */
import type { AnswerReceiver } from './receiver.ts';

export class RelaySpan {
  private receiver: AnswerReceiver | undefined;
  private buffer: Buffer | undefined;
  private start = 0;
  private end = 0;

  isFor(receiver: AnswerReceiver): boolean {
    return this.receiver === receiver;
  }

  add(receiver: AnswerReceiver, buffer: Buffer, start: number, end: number): void {
    if (this.receiver === receiver && this.buffer === buffer && this.end === start) {
      this.end = end;
      return;
    }
    this.flush();
    this.receiver = receiver;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
  }

  /** Relays the bytes. */
  flush(): void {
    const { receiver, buffer } = this;
    if (receiver === undefined || buffer === undefined) return;
    this.drop();
    receiver.relay(buffer, this.start, this.end);
  }

  /** The bytes are not relayed. */
  drop(): void {
    this.receiver = this.buffer = undefined;
  }
}
