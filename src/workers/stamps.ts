/**
 * The supervisor's side of shared stamps: carries out the commands of all workers on one SharedMemory, in the order in which
 * they arrive, and sends each worker its answers and all messages, in order. A worker that does not read loses messages, and
 * notices by their numbers. Made by the supervisor, if workers are not 1 and cache.redis is not set.
 */
import { SharedMemory, type SharedMemoryState } from '../cache/shared-memory.ts';
import type { WorkerChannel } from './messages.ts';
import type { StampCalls, StampCommand, StampKind, StampWord } from './stamp-topics.ts';

export interface StampsOptions {
  /** Monotonic milliseconds. */
  now(): number;
  /** Unique among all supervisors that these workers can ever have. */
  readonly name: string;
  /** cache.max_memory: also the limit of the second level here. */
  readonly maxBytes: number;
  /** No worker of an earlier supervisor is running. */
  readonly isFirst: boolean;
  /** Told of errors: bugs. */
  unexpected(error: unknown): void;
  /** Of the supervisor whose place this one takes: the same name, the same clock. */
  readonly state?: SharedMemoryState | undefined;
}

/** What the supervisor before knew of a worker. */
export interface StampLinkState {
  readonly member: string | undefined;
  readonly isSubscribed: boolean;
  readonly unheardBytes: number;
}

/** A worker that has not asked for a lease since so many bytes of messages were sent to it gets no more until it does. */
const maxUnheardBytes = 16 * 1024 ** 2;

/** What the supervisor knows about the process of one worker. Each is called once, in this order or not at all. */
export interface WorkerEnd {
  /** The process has ended. A closed channel alone does not prove that: the worker might still write. */
  processEnded(): void;
  /** The process has ended, and so has every server connection that it had. */
  backendsGone(): void;
}

const sweepMs = 60_000;

const unknown: StampLinkState = { member: undefined, isSubscribed: false, unheardBytes: 0 };

interface Link {
  readonly channel: WorkerChannel;
  /** Instance ID of its cache; undefined until its first command. */
  member: string | undefined;
  isSubscribed: boolean;
  unheardBytes: number;
  /** To be sent when this turn of the event loop ends. */
  unsent: StampWord[];
}

type Carry = { readonly [Kind in StampKind]: (link: Link, from: string, body: StampCalls[Kind]['body']) => unknown };

export class Stamps {
  private readonly options: StampsOptions;
  private readonly memory: SharedMemory;
  private readonly links = new Set<Link>();
  private isFlushDue = false;
  private readonly sweeping: NodeJS.Timeout;

  constructor(options: StampsOptions) {
    this.options = options;
    const { now, name, maxBytes, isFirst, state } = options;
    this.memory = new SharedMemory({ now, name, maxBytes, isFirst, state, publish: (text) => this.publish(text) });
    this.sweeping = setInterval(() => this.memory.sweep(), sweepMs).unref();
  }

  /** For the next supervisor; everything so far is sent first. */
  state(): SharedMemoryState {
    this.flush();
    return this.memory.state();
  }

  stateOf(channel: WorkerChannel): StampLinkState {
    const { member, isSubscribed, unheardBytes } = [...this.links].find((link) => link.channel === channel) ?? unknown;
    return { member, isSubscribed, unheardBytes };
  }

  stop(): void {
    clearInterval(this.sweeping);
    this.memory.clear();
  }

  /**
   * Call before the first message of the worker can arrive.
   * @param since what the supervisor before knew of it
   */
  attach(channel: WorkerChannel, since = unknown): WorkerEnd {
    const link: Link = { channel, ...since, unsent: [] };
    this.links.add(link);
    channel.on('stamps', ({ member, commands }) => {
      link.member = member;
      for (const command of commands) this.carryOut(link, member, command);
      return undefined;
    });
    channel.onClosed(() => this.links.delete(link));
    const whenClosed = (then: (member: string) => void) => (): void => {
      // What it said last may arrive after its end.
      channel.onClosed(() => link.member !== undefined && then(link.member));
    };
    return {
      processEnded: whenClosed((member) => this.memory.memberGone(member)),
      backendsGone: whenClosed((member) => this.memory.backendsGone(member)),
    };
  }

  private readonly carry: Carry = {
    subscribe: (link) => void (link.isSubscribed = true),
    hello: (link, from, request) => {
      link.unheardBytes = 0;
      return this.memory.hello(from, request);
    },
    read: (_link, from, { tags, entryName }) => this.memory.read(from, tags, entryName),
    close: (_link, from, { tags, token, note }) => this.memory.close(from, tags, token, note),
    open: (_link, from, { tags, token, bump }) => this.memory.open(from, tags, token, bump),
    store: (_link, from, write) => this.memory.store(from, { ...write, payload: asBuffer(write.payload) }),
    tagsLike: (_link, _from, { patterns, most }) => this.memory.tagsLike(patterns, most),
    remove: (_link, _from, entryName) => this.memory.remove(entryName),
    leave: (_link, from) => this.memory.leave(from),
  };

  private carryOut(link: Link, from: string, { id, kind, body }: StampCommand): void {
    try {
      const call = this.carry[kind] as (link: Link, from: string, body: unknown) => unknown;
      this.say(link, { kind: 'answer', id, body: call(link, from, body) as StampCalls[StampKind]['reply'] });
    } catch (error) {
      this.options.unexpected(error);
      this.say(link, { kind: 'failure', id, why: error instanceof Error ? error.message : String(error) });
    }
  }

  private publish(text: string): void {
    const word: StampWord = { kind: 'message', text };
    for (const link of this.links) {
      if (!link.isSubscribed || link.unheardBytes > maxUnheardBytes) continue;
      link.unheardBytes += text.length;
      this.say(link, word);
    }
  }

  private say(link: Link, word: StampWord): void {
    link.unsent.push(word);
    if (this.isFlushDue) return;
    this.isFlushDue = true;
    setImmediate(() => this.flush());
  }

  private flush(): void {
    this.isFlushDue = false;
    for (const link of this.links) {
      if (link.unsent.length === 0) continue;
      const words = link.unsent;
      link.unsent = [];
      link.channel.tell('stamps', words);
    }
  }
}

/** Not every kind of structured clone keeps Node's class. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
