/**
 * Bytes of the current chunk for one receiver that have not been handed on yet: one span for as long as they lie next to
 * each other, so that a chunk of many messages is relayed in one piece. Used by incoming.ts.
 */
import type { AnswerReceiver } from './receiver.ts';

export class Run {
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

  flush(): void {
    const { receiver, buffer } = this;
    if (receiver === undefined || buffer === undefined) return;
    this.drop();
    receiver.relay(buffer, this.start, this.end);
  }

  drop(): void {
    this.receiver = this.buffer = undefined;
  }
}
