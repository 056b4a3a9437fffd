/**
 * The numbers on the messages of one incarnation: notices one that is lost, also if none follows. Used by in-step.ts.
 */
import type { Log } from '../observability/types.ts';
import { parseMessage } from './messages.ts';
import type { PeerMessage } from './messages.ts';
import type { HelloReply } from './transport.ts';

const foreignMessage = 'a message on the cache channel is not from a Weir of this version: ignored';

/** Losing step more often than this in so long a time is no accident. */
const mostRelapses = 10;
const relapsesMs = 10_000;
export const oftenLost = 'again and again what the Weirs keep in Redis is gone, or its messages are';

export class MessageOrder {
  private readonly log: Log;
  /** Said once: another program's messages may come at any rate. */
  private hasComplained = false;
  incarnation = '';
  /** All messages up to this number have arrived. */
  last = 0;
  /** What the pulse before said was the last message: by the next pulse it must have arrived. */
  private promised = 0;
  private newestPromise = 0;

  private relapseCount = 0;
  private relapsesSinceMs = -Infinity;

  constructor(log: Log) {
    this.log = log;
  }

  parse(text: string): PeerMessage | undefined {
    const message = parseMessage(text);
    if (message === undefined && !this.hasComplained) {
      this.hasComplained = true;
      this.log('warn', 'cache_redis', foreignMessage);
    }
    return message;
  }

  /** Out of step. @returns whether this happens so often that beginning anew at once would be in vain */
  relapses(nowMs: number): boolean {
    if (nowMs - this.relapsesSinceMs > relapsesMs) {
      this.relapsesSinceMs = nowMs;
      this.relapseCount = 0;
    }
    return ++this.relapseCount > mostRelapses;
  }

  /** Nothing is known any more. */
  restart(): void {
    this.incarnation = '';
    this.last = this.promised = this.newestPromise = 0;
  }

  /** Before the answer of `begin` has arrived: it counts only if it turns out to be of the same incarnation. */
  early({ incarnation, number }: PeerMessage): void {
    this.last = this.incarnation === incarnation ? Math.max(this.last, number) : number;
    this.incarnation = incarnation;
  }

  begin({ incarnation, messages }: HelloReply): void {
    this.last = Math.max(messages, this.incarnation === incarnation ? this.last : 0);
    this.incarnation = incarnation;
  }

  /** What a message in step is; a `next` one counts as arrived. */
  take({ incarnation, number }: PeerMessage, ignoresGaps: boolean): 'next' | 'old' | 'gap' | 'other incarnation' {
    if (incarnation !== this.incarnation) return 'other incarnation';
    if (number <= this.last) return 'old';
    if (number !== this.last + 1 && !ignoresGaps) {
      this.log('warn', 'cache_gap', 'a message of another Weir was lost: level 1 is emptied');
      return 'gap';
    }
    this.last = number;
    return 'next';
  }

  promise(messages: number): void {
    this.newestPromise = messages;
  }

  /** Once a second. @returns whether what was promised has not arrived */
  isBehind(): boolean {
    const isBehind = this.last < this.promised;
    this.promised = this.newestPromise;
    return isBehind;
  }
}
