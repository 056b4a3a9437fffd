/**
 * Checks the numbers on the messages of one incarnation: notices a lost message, also if no other one follows. Used by redis-sync.ts.
 */
import type { Log } from '../observability/types.ts';
import { parseMessage } from './messages.ts';
import type { PeerMessage } from './messages.ts';
import type { HelloReply } from './transport.ts';

const foreignMessage = 'a message on the cache channel is not from a Weir of this version: ignored';

/** More losses than this within `lossesMs` mean that something is wrong for good. */
const maxLosses = 10;
const lossesMs = 10_000;
export const oftenLost = 'again and again what the Weirs keep in Redis is gone, or its messages are';

export class MessageOrder {
  private readonly log: Log;
  /** Logged once: another program may publish any number of messages. */
  private hasComplained = false;
  incarnation = '';
  /** All messages up to this number have arrived. */
  last = 0;
  /** The number of the last message, as Redis said it before the last check: that message must have arrived by the next check. */
  private expected = 0;
  private newestExpected = 0;

  private losses = 0;
  private lossesSinceMs = -Infinity;

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

  /** A message or the incarnation is lost. @returns whether this happens so often that it is useless to begin anew at once */
  isLostTooOften(nowMs: number): boolean {
    if (nowMs - this.lossesSinceMs > lossesMs) {
      this.lossesSinceMs = nowMs;
      this.losses = 0;
    }
    return ++this.losses > maxLosses;
  }

  /** Forgets the incarnation and all numbers. */
  restart(): void {
    this.incarnation = '';
    this.last = this.expected = this.newestExpected = 0;
  }

  /** A message that arrives before the answer for `begin`: it counts only if both are of the same incarnation. */
  early({ incarnation, number }: PeerMessage): void {
    this.last = this.incarnation === incarnation ? Math.max(this.last, number) : number;
    this.incarnation = incarnation;
  }

  begin({ incarnation, messages }: HelloReply): void {
    this.last = Math.max(messages, this.incarnation === incarnation ? this.last : 0);
    this.incarnation = incarnation;
  }

  /** What a message is, compared with those before it. A `next` one counts as arrived. */
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

  /** @param messages number of the last message that was published */
  expect(messages: number): void {
    this.newestExpected = messages;
  }

  /** To be called once a second. @returns whether a message is late */
  isBehind(): boolean {
    const isBehind = this.last < this.expected;
    this.expected = this.newestExpected;
    return isBehind;
  }
}
