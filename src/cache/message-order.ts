/**
 * Checks the message numbers of one incarnation. Notices a lost message even if no further one follows. Used by
 * redis-sync.ts.
 */
import type { Log } from '../observability/types.ts';
import { parseMessage } from './messages.ts';
import type { PeerMessage } from './messages.ts';
import type { StoreWords } from './store-words.ts';
import type { HelloReply } from './transport.ts';

const foreignMessage = 'a message on the cache channel is not from a Weir of this version: ignored';

/** More losses than this within `lossesMs` point to a lasting problem. */
const maxLosses = 10;
const lossesMs = 10_000;

export class MessageOrder {
  private readonly log: Log;
  private readonly words: StoreWords;
  /** Logged once: another program may publish any number of messages. */
  private hasComplained = false;
  incarnation = '';
  /** All messages up to this number have arrived. */
  last = 0;
  /** Number of the last message as Redis reported it before the last check: it must have arrived by the next check. */
  private expected = 0;
  private newestExpected = 0;

  private losses = 0;
  private lossesSinceMs = -Infinity;

  constructor(log: Log, words: StoreWords) {
    this.log = log;
    this.words = words;
  }

  parse(text: string): PeerMessage | undefined {
    const message = parseMessage(text);
    if (message === undefined && !this.hasComplained) {
      this.hasComplained = true;
      this.log('warn', this.words.event, foreignMessage);
    }
    return message;
  }

  /** A message or the incarnation was lost. @returns true if that happens too often to start again at once */
  isLostTooOften(nowMs: number): boolean {
    if (nowMs - this.lossesSinceMs > lossesMs) {
      this.lossesSinceMs = nowMs;
      this.losses = 0;
    }
    return ++this.losses > maxLosses;
  }

  /** What `isLostTooOften` points to, as text. */
  get whyLostOften(): string {
    const { peer, store } = this.words;
    return `again and again what the ${peer}s keep in ${store} is gone, or its messages are`;
  }

  /** Forgets the incarnation and all numbers. */
  restart(): void {
    this.incarnation = '';
    this.last = this.expected = this.newestExpected = 0;
  }

  /** A message that arrives before the answer passed to `begin`. It counts only if both are of the same incarnation. */
  early({ incarnation, number }: PeerMessage): void {
    this.last = this.incarnation === incarnation ? Math.max(this.last, number) : number;
    this.incarnation = incarnation;
  }

  begin({ incarnation, messages }: HelloReply): void {
    this.last = Math.max(messages, this.incarnation === incarnation ? this.last : 0);
    this.incarnation = incarnation;
  }

  /** @returns how a message relates to those before it; a `next` one counts as arrived */
  take({ incarnation, number }: PeerMessage, ignoresGaps: boolean): 'next' | 'old' | 'gap' | 'other incarnation' {
    if (incarnation !== this.incarnation) return 'other incarnation';
    if (number <= this.last) return 'old';
    if (number !== this.last + 1 && !ignoresGaps) {
      this.log('warn', 'cache_gap', `a message of another ${this.words.peer} was lost: level 1 is emptied`);
      return 'gap';
    }
    this.last = number;
    return 'next';
  }

  /** @param messages number of the last message that was published */
  expect(messages: number): void {
    this.newestExpected = messages;
  }

  /** Call once a second. @returns true if a message is late */
  isBehind(): boolean {
    const isBehind = this.last < this.expected;
    this.expected = this.newestExpected;
    return isBehind;
  }
}
