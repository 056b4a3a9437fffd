/**
 * The clients that have a server connection: one, or several in a lane (pool/lanes.ts). All of them are told when it is closed,
 * also those that wait for no answer. A client that sends something to a closed connection is told, too. Used by server.ts
 * and incoming.ts.
 */
import type { AnswerReceiver } from './receiver.ts';

export class Holders {
  private readonly list: AnswerReceiver[] = [];
  /** They have sent something to a closed connection, and have not been told yet. */
  private late: Set<AnswerReceiver> | undefined;

  get count(): number {
    return this.list.length;
  }

  /** The one that came last: it gets the messages that nobody has asked for. */
  get last(): AnswerReceiver | undefined {
    return this.list[this.list.length - 1];
  }

  add(receiver: AnswerReceiver): void {
    this.list.push(receiver);
  }

  remove(receiver: AnswerReceiver): void {
    const at = this.list.lastIndexOf(receiver);
    if (at !== -1) this.list.splice(at, 1);
  }

  replace(from: AnswerReceiver, to: AnswerReceiver): void {
    const at = this.list.lastIndexOf(from);
    if (at !== -1) this.list[at] = to;
  }

  /** The socket to the server takes bytes again. */
  drained(): void {
    for (const each of this.list) each.drained();
  }

  /** All who must be told of the end, each once: those who are owed answers, in that order, then the others. */
  toBeTold(owed: readonly AnswerReceiver[]): Set<AnswerReceiver> {
    return new Set([...owed, ...this.list]);
  }

  /**
   * `receiver` has sent something to a closed connection. Calls `tell` in a microtask, because the receiver is in the middle
   * of sending; once, however much it sends.
   */
  sentTooLate(receiver: AnswerReceiver, tell: (receiver: AnswerReceiver) => void): void {
    if (this.late !== undefined) return void this.late.add(receiver);
    const late = (this.late = new Set([receiver]));
    queueMicrotask(() => {
      this.late = undefined;
      for (const each of late) tell(each);
    });
  }
}
