/**
 * The other Weirs, through Redis: keeps the table of tags true to the shared stamps, announces our writes, asks and
 * fills the second level. Whatever cannot be trusted (a lost connection, a gap in the messages, another incarnation,
 * nonsense) makes it forget everything learned; until it is in step again the cache is not used at all.
 */
import type { Tag } from '../routing/plan.ts';
import { parseMessage } from './messages.ts';
import { Mirror } from './mirror.ts';
import type { PeersOptions } from './parts.ts';
import { Silence } from './silence.ts';
import type { TagSet, TagState, TagTable } from './tags.ts';
import { markerMs } from './transport.ts';
import type { ReadReply, Transport } from './transport.ts';
import { within } from './within.ts';

type State = 'down' | 'syncing' | 'up';

interface OpenGuard {
  readonly names: readonly Tag[];
  sentAtMs: number;
}

/** How long a look-up waits for Redis before it goes on without. */
export const answerDeadlineMs = 75;
export const pulseMs = 1_000;
/** How long a write waits for Redis to know of it; then Redis counts as lost, and the next ones do not wait. */
export const announceDeadlineMs = 1_000;
/** Pulses without any answer after which the connection counts as dead. */
const silentPulses = 2;
/** In step for so long: what was refused before is forgotten. */
const settledMs = 30_000;
const foreignMessage = 'a message on the cache channel is not from a Weir of this version: ignored';

export class Peers {
  private readonly options: PeersOptions;
  private readonly table: TagTable;
  private readonly transport: Transport;
  private readonly mirror: Mirror;
  private state: State = 'down';
  /** Number of the connection in use, 0 = none: what was sent on another cannot say anything about it. */
  private link = 0;
  private links = 0;
  private isStopped = false;
  private incarnation = '';
  private lastMessage = 0;
  /** What the pulse before said was the last message: by the next pulse it must have arrived. */
  private promisedMessages = 0;
  /** Commands are numbered as they are sent; answers to those before `validFrom` are of an earlier life. */
  private command = 0;
  private validFrom = 0;
  private attempt = 0;
  /** A write of ours may be unknown to the peers: the next incarnation must be a new one. */
  private isIndebted = false;
  /** A look-up waited in vain: until Redis answers anything, nobody else waits. */
  private isSlow = false;
  private silence = new Silence();
  private upSinceMs = 0;
  private readonly guards = new Map<string, OpenGuard>();
  /** Said once: another program's messages may come at any rate. */
  private hasComplained = false;
  private pulseTimer: NodeJS.Timeout | undefined = undefined;

  constructor(options: PeersOptions) {
    this.options = options;
    this.table = options.table;
    this.transport = options.transport;
    this.mirror = new Mirror(options);
  }

  start(): void {
    this.transport.start({
      onConnected: () => {
        if (this.isStopped) return;
        this.link = ++this.links;
        this.silence = new Silence();
        void this.sync(false);
      },
      onLost: (why) => {
        this.link = 0;
        this.stepDown(why);
      },
      onMessage: (text) => this.receive(text),
    });
    this.pulseTimer = setInterval(() => this.pulse(), pulseMs);
    this.pulseTimer.unref();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    clearInterval(this.pulseTimer);
    this.stepDown('stopped');
    this.link = 0;
    await this.transport.stop();
  }

  get isUp(): boolean {
    return this.state === 'up';
  }

  /** Worth asking: in step, and not known to be slow. */
  get isUsable(): boolean {
    return this.state === 'up' && !this.isSlow;
  }

  /** Of the shared stamps, as long as it is in step. */
  get currentIncarnation(): string {
    return this.incarnation;
  }

  /** The shared stamps of the set and the entry stored under them; undefined: no (timely) answer. */
  ask(set: TagSet, entryName: string): Promise<ReadReply | undefined> {
    const command = ++this.command;
    const { link } = this;
    const order = this.table.nextOrder();
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.isSlow = true;
        resolve(undefined);
      }, answerDeadlineMs);
      timer.unref();
      this.send(this.transport.read(set.names, entryName)).then(
        (reply) => {
          clearTimeout(timer);
          if (!this.isTrusted(command, reply.incarnation)) return resolve(undefined);
          this.mirror.learn(set, reply.stamps, command);
          if (!reply.isClosed) this.mirror.confirm(set, reply.stamps, order);
          resolve(reply);
        },
        (error: Error) => {
          clearTimeout(timer);
          resolve(undefined);
          this.refused(link, error);
        },
      );
    });
  }

  /** Stores an answer in the second level if the stamps still hold there; says whether it did. Never rejects. */
  async save(
    set: TagSet,
    stamps: readonly number[],
    entryName: string,
    payload: Buffer,
    ttlMs: number,
  ): Promise<boolean> {
    if (!this.isUsable) return false;
    const command = ++this.command;
    const { link } = this;
    // What is noted as read until the end of this turn had been read before this was sent.
    let order = 0;
    queueMicrotask(() => (order = this.table.nextOrder()));
    const write = { tags: set.names, entryName, incarnation: this.incarnation, stamps, payload, ttlMs };
    try {
      const isStored = await this.send(this.transport.store(write));
      if (!isStored || this.state !== 'up' || command < this.validFrom) return false;
      this.mirror.confirm(set, stamps, order);
      return true;
    } catch (error) {
      this.refused(link, error as Error);
      return false;
    }
  }

  /** Our own write is about to commit. Resolves when Redis has it, or is lost; undefined: out of reach already. */
  async closed(token: string, names: readonly Tag[]): Promise<void> {
    this.guards.set(token, { names, sentAtMs: this.options.now() });
    if (this.link === 0) return;
    const { link } = this;
    let isLate = true;
    const told = this.sendClose(token, names).then(() => (isLate = false));
    await within(told, announceDeadlineMs);
    if (isLate) this.failed(link, 'a write could not be announced in time');
  }

  /** Its outcome is known. With `bump` the caller has given each state a new stamp already. */
  opened(token: string, states: readonly TagState[], bump: boolean): Promise<void> {
    this.guards.delete(token);
    const command = ++this.command;
    if (bump) {
      for (const state of states) {
        state.remote = 0;
        state.bumpCommand = command;
        state.settle();
      }
    }
    if (this.link === 0) {
      if (bump) this.isIndebted = true;
      return Promise.resolve();
    }
    const { link } = this;
    const names = states.map((state) => state.tag);
    return this.send(this.transport.open(names, token, bump)).then(
      (reply) => {
        if (!this.isTrusted(command, reply.incarnation) || !bump) return;
        this.mirror.learnOwn(states, reply.stamps, command);
      },
      (error: Error) => {
        if (bump) this.isIndebted = true;
        this.refused(link, error);
      },
    );
  }

  /** A new incarnation for everybody. */
  async rotate(): Promise<void> {
    this.isIndebted = true;
    if (this.link !== 0) await this.sync(true);
  }

  private sendClose(token: string, names: readonly Tag[]): Promise<unknown> {
    this.command++;
    return this.send(this.transport.close(names, token)).catch(this.refusal());
  }

  /** In step again: learn the incarnation and the number of the last message, nothing else is taken over. */
  private async sync(isLosing: boolean): Promise<void> {
    const attempt = ++this.attempt;
    const { link } = this;
    if (isLosing) this.loseTrust();
    this.state = 'syncing';
    this.incarnation = '';
    this.lastMessage = 0;
    const rotates = this.isIndebted;
    this.isIndebted = false;
    const hello = this.send(this.transport.hello(rotates));
    // Markers set before may be gone with what was lost.
    for (const [token, guard] of this.guards) void this.sendClose(token, guard.names);
    try {
      const reply = await hello;
      if (attempt !== this.attempt) return;
      // What arrived meanwhile counts only if it is of the same incarnation.
      const seen = this.incarnation === reply.incarnation ? this.lastMessage : 0;
      this.incarnation = reply.incarnation;
      this.lastMessage = Math.max(reply.messages, seen);
      this.promisedMessages = 0;
      this.validFrom = this.command + 1;
      this.state = 'up';
      this.isSlow = false;
      this.upSinceMs = this.options.now();
      this.options.log('info', 'cache_redis', 'in step with the other Weirs through Redis');
    } catch (error) {
      if (rotates) this.isIndebted = true;
      if (attempt === this.attempt) this.refused(link, error as Error);
    }
  }

  private loseTrust(): void {
    this.validFrom = Infinity;
    if (this.options.keepsTrust) return;
    this.table.reset();
    this.options.forget();
  }

  private stepDown(why: string): void {
    this.attempt++;
    const wasUp = this.state !== 'down';
    this.state = 'down';
    this.loseTrust();
    if (wasUp && !this.isStopped) {
      this.options.log('warn', 'cache_redis', `lost the other Weirs (${why}): queries go on uncached`);
    }
  }

  private refusal(): (error: Error) => void {
    const { link } = this;
    return (error) => this.refused(link, error);
  }

  /** A command on that connection was refused, or its answer made no sense: connecting anew helps, but not at once. */
  private refused(link: number, error: Error): void {
    if (this.options.now() - this.upSinceMs > settledMs) this.transport.settled();
    this.failed(link, error.message, true);
  }

  private failed(link: number, why: string, isRefused = false): void {
    // Of a connection that is gone, nothing new is said by what was sent on it.
    if (link !== this.link || link === 0) return;
    this.link = 0;
    this.stepDown(why);
    if (!this.isStopped) this.transport.reset(why, isRefused);
  }

  private send<T>(answer: Promise<T>): Promise<T> {
    const { silence } = this;
    silence.sent();
    const answered = (): void => {
      silence.answered();
      if (silence === this.silence) this.isSlow = false;
    };
    answer.then(answered, answered);
    return answer;
  }

  private isTrusted(command: number, incarnation: string): boolean {
    if (this.state !== 'up' || command < this.validFrom) return false;
    if (incarnation === this.incarnation) return true;
    void this.sync(true);
    return false;
  }

  private receive(text: string): void {
    if (this.state === 'down') return;
    const message = parseMessage(text);
    if (message === undefined) {
      if (!this.hasComplained) this.options.log('warn', 'cache_redis', foreignMessage);
      this.hasComplained = true;
      return;
    }
    if (this.state === 'syncing') {
      this.lastMessage =
        this.incarnation === message.incarnation ? Math.max(this.lastMessage, message.number) : message.number;
      this.incarnation = message.incarnation;
      return;
    }
    if (message.incarnation !== this.incarnation) return void this.sync(true);
    if (message.number <= this.lastMessage) return;
    if (message.number !== this.lastMessage + 1 && !this.options.ignoresGaps) {
      this.options.log('warn', 'cache_gap', 'a message of another Weir was lost: level 1 is emptied');
      return void this.sync(true);
    }
    this.lastMessage = message.number;
    this.mirror.apply(message);
  }

  /** Once a second: is Redis alive, have all messages arrived, do our long writes still hold their markers? */
  private pulse(): void {
    if (this.link === 0) return;
    if (this.silence.pulse() >= silentPulses) return this.failed(this.link, `no answer for ${silentPulses} s`);
    if (this.state !== 'up') return;
    if (this.lastMessage < this.promisedMessages && !this.options.ignoresGaps) {
      return this.failed(this.link, 'messages do not arrive');
    }
    const now = this.options.now();
    for (const [token, guard] of this.guards) {
      if (now - guard.sentAtMs < markerMs / 3) continue;
      guard.sentAtMs = now;
      void this.sendClose(token, guard.names);
    }
    const command = ++this.command;
    this.send(this.transport.hello(false)).then((reply) => {
      if (this.isTrusted(command, reply.incarnation)) this.promisedMessages = reply.messages;
    }, this.refusal());
  }
}
