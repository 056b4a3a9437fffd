/**
 * Who has a server: one client, or in a lane (pool/lanes.ts) several. All of them must hear when it is gone, also one that
 * is owed nothing yet; and nobody may ask a server that is gone already and wait for its answer. Used by server.ts and
 * incoming.ts.
 */
import type { AnswerReceiver } from './receiver.ts';

export class Holders {
  private readonly list: AnswerReceiver[] = [];
  /** They have asked a server that was gone, and have not been told yet. */
  private late: Set<AnswerReceiver> | undefined;

  get count(): number {
    return this.list.length;
  }

  /** The last one that came: it hears what nobody asked for. */
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

  /** The server takes bytes again. */
  drained(): void {
    for (const each of this.list) each.drained();
  }

  /** Those who are owed something, in that order, and then those who only have it; each once. */
  withThoseOwed(owed: readonly AnswerReceiver[]): Set<AnswerReceiver> {
    return new Set([...owed, ...this.list]);
  }

  /** Calls `tell` when `receiver` has done what it is about: it is in the middle of sending. Once, however much it sends. */
  tooLate(receiver: AnswerReceiver, tell: (receiver: AnswerReceiver) => void): void {
    if (this.late !== undefined) return void this.late.add(receiver);
    const late = (this.late = new Set([receiver]));
    queueMicrotask(() => {
      this.late = undefined;
      for (const each of late) tell(each);
    });
  }
}
