/**
 * Keeps this Weir in step with the others: learns the incarnation of the data in Redis, follows the numbered messages,
 * renews the lease. After a lost connection, a gap in the messages, another incarnation or an invalid answer, it drops
 * everything learned from Redis and starts again. Made by peers.ts.
 */
import { CommandNumbers } from './command-numbers.ts';
import { Membership, type MembershipLinks } from './membership.ts';
import { MessageOrder } from './message-order.ts';
import type { PeersOptions } from './parts.ts';
import { RedisConnection } from './redis-connection.ts';
import type { SharedStamps } from './shared-stamps.ts';
import { storeWords, type StoreWords } from './store-words.ts';
import type { HelloReply, Transport } from './transport.ts';

const checkMs = 1_000;
const renewalsPerLease = 3;
/** Then its connection counts as lost. */
export const maxSilentSeconds = 2;
/** After being in step for this time, earlier refusals no longer lengthen the delay before the next attempt. */
const settledMs = 30_000;

export class RedisSync {
  readonly membership: Membership;
  readonly connection = new RedisConnection();
  readonly commands = new CommandNumbers();
  /**
   * The other Weirs may not know of a write of this one: the next incarnation must be new, which voids all cached
   * answers.
   */
  needsNewIncarnation = false;
  /** How often the connection was lost or closed because of a problem. */
  losses = 0;
  private readonly options: PeersOptions;
  private readonly transport: Transport;
  private readonly words: StoreWords;
  private readonly stamps: SharedStamps;
  private readonly order: MessageOrder;
  private state: 'down' | 'syncing' | 'up' = 'down';
  private upSinceMs = 0;
  /** Number of the last attempt to get in step: answers to earlier attempts are ignored. */
  private attempt = 0;
  private readonly timers: NodeJS.Timeout[] = [];
  private isStopped = false;

  constructor(options: PeersOptions, stamps: SharedStamps, writes: Pick<MembershipLinks, 'send' | 'opened'>) {
    this.options = options;
    this.transport = options.transport;
    this.stamps = stamps;
    this.words = storeWords[options.transport.kind];
    this.order = new MessageOrder(options.log, this.words);
    this.membership = new Membership(options, {
      ...writes,
      connection: () => this.connection.number,
      losses: () => this.losses,
      tooSlow: (connection) => this.failed(connection, 'a write could not be announced in time'),
      unannounced: () => (this.needsNewIncarnation = true),
    });
  }

  start(): void {
    this.transport.start({
      onConnected: () => {
        if (this.isStopped) return;
        this.connection.open();
        void this.sync(false);
      },
      onLost: (why) => {
        this.connection.close();
        this.stepDown(why);
      },
      onMessage: (text) => this.receive(text),
    });
    const renewMs = this.membership.lease.lengthMs / renewalsPerLease;
    this.timers.push(
      setInterval(() => this.check(), checkMs),
      setInterval(() => this.renew(), renewMs),
    );
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    for (const timer of this.timers) clearInterval(timer);
    this.stepDown('stopped');
    this.connection.close();
    await this.transport.stop(this.membership.announcements.size === 0 && !this.needsNewIncarnation);
  }

  get isUp(): boolean {
    return this.state === 'up';
  }

  /** In step, and Redis is not known to be slow. */
  get isUsable(): boolean {
    return this.state === 'up' && !this.connection.isSlow;
  }

  get incarnation(): string {
    return this.order.incarnation;
  }

  /** @returns true if an answer that names no incarnation may be used */
  isAccepted(command: number): boolean {
    return this.state === 'up' && this.commands.isAccepted(command);
  }

  /** @returns true if an answer may be used. If it names another incarnation, everything learned is dropped. */
  isTrusted(command: number, incarnation: string): boolean {
    if (!this.isAccepted(command)) return false;
    if (incarnation === this.order.incarnation) return true;
    this.resync();
    return false;
  }

  /**
   * Requests a lease. Sent after the announcements of this Weir's writes, so that a Weir that gets a lease knows of
   * them.
   */
  private hello(rotates: boolean): Promise<HelloReply> {
    const { membership } = this;
    const { number } = this.connection;
    return this.send(this.transport.hello(membership.request(rotates))).then((reply) => {
      if (number === this.connection.number) membership.heard(reply);
      return reply;
    });
  }

  /**
   * Gets in step: takes only the incarnation and the number of the last message from the answer.
   * @param isLosing drop everything learned before
   */
  async sync(isLosing: boolean): Promise<void> {
    const attempt = ++this.attempt;
    const { number } = this.connection;
    if (isLosing) this.loseTrust();
    this.state = 'syncing';
    this.order.restart();
    const rotates = this.needsNewIncarnation;
    this.needsNewIncarnation = false;
    // Redis may have lost the markers set before.
    this.membership.announcements.renew(true);
    try {
      const reply = await this.hello(rotates);
      if (attempt !== this.attempt) return;
      this.order.begin(reply);
      this.commands.acceptFromNow();
      this.state = 'up';
      this.connection.isSlow = false;
      this.upSinceMs = this.options.now();
      this.options.peersDdl(undefined, 'catalog, perhaps');
      const { event, peer, store } = this.words;
      this.options.log('info', event, `in step with the other ${peer}s through ${store}`);
      // Redis grants a lease only to a Weir that has proven to have received the previous answer.
      this.renew();
    } catch (error) {
      if (rotates) this.needsNewIncarnation = true;
      if (attempt === this.attempt) this.refused(number, error as Error);
    }
  }

  /**
   * A message was lost, or Redis has lost its data: starts again; if that happens too often, reconnects with growing
   * delays.
   */
  private resync(): void {
    if (!this.order.isLostTooOften(this.options.now())) return void this.sync(true);
    this.refused(this.connection.number, new Error(this.transport.problem ?? this.order.whyLostOften));
  }

  private loseTrust(): void {
    this.commands.refuseAll();
    this.stamps.heard.forget();
    if (this.options.rules.keepsTrust) return;
    this.membership.lease.drop();
    this.options.table.reset();
    this.options.forget();
  }

  private stepDown(why: string): void {
    this.attempt++;
    const wasUp = this.state !== 'down';
    this.state = 'down';
    this.loseTrust();
    if (wasUp && !this.isStopped) {
      this.losses++;
      const { event, peer } = this.words;
      this.options.log('warn', event, `lost the other ${peer}s (${why}): queries go on uncached`);
    }
  }

  /** @returns a function to call with the error of a command that is being sent now */
  refusal(): (error: Error) => undefined {
    const { number } = this.connection;
    return (error) => void this.refused(number, error);
  }

  /** A command on that connection failed, or its answer was invalid. The transport reconnects after a delay. */
  refused(connection: number, error: Error): void {
    if (this.options.now() - this.upSinceMs > settledMs) this.transport.settled();
    this.failed(connection, error.message, true);
  }

  private failed(connection: number, why: string, isRefused = false): void {
    // A command that was sent on an earlier connection says nothing about this one.
    if (connection !== this.connection.number || connection === 0) return;
    this.connection.close();
    this.stepDown(why);
    if (!this.isStopped) this.transport.reset(why, isRefused);
  }

  send<T>(answer: Promise<T>): Promise<T> {
    return this.connection.watch(answer);
  }

  private receive(text: string): void {
    if (this.state === 'down') return;
    const message = this.order.parse(text);
    if (message === undefined) return;
    if (this.state === 'syncing') return this.order.early(message);
    const what = this.order.take(message, this.options.rules.ignoresGaps);
    if (what === 'old') return;
    if (what !== 'next') return this.resync();
    this.stamps.apply(message);
    this.membership.lease.arrived(this.order.last);
  }

  /** Called once a second: checks that Redis answers and that all messages have arrived. */
  private check(): void {
    const { number } = this.connection;
    if (number === 0) return;
    if (this.connection.silentSeconds() >= maxSilentSeconds) {
      return this.failed(number, `no answer for ${maxSilentSeconds} s`);
    }
    if (this.state !== 'up') return;
    if (this.order.isBehind() && !this.options.rules.ignoresGaps) this.failed(number, 'messages do not arrive');
  }

  /** Renews the lease, and the markers of long writes of this Weir. */
  private renew(): void {
    if (this.state !== 'up') return;
    this.membership.announcements.renew(false);
    const command = this.commands.next();
    const sentAtMs = this.options.now();
    this.hello(false).then((reply) => {
      if (!this.isTrusted(command, reply.incarnation)) return;
      this.order.expect(reply.messages);
      const { lease } = this.membership;
      const { ignoresMissing, ignoresUnheard } = this.options.rules;
      if (reply.isGranted || ignoresMissing) lease.granted(reply, sentAtMs);
      lease.arrived(ignoresUnheard ? Infinity : this.order.last);
    }, this.refusal());
  }
}
