/**
 * The other Weirs, through Redis: keeps the table of tags true to the shared stamps, announces our writes, asks and
 * fills the second level. Whatever cannot be trusted (a lost connection, a gap in the messages, another incarnation,
 * nonsense) makes it forget everything learned; until it is in step again the cache is not used at all.
 */
import type { Tag } from '../binding/plan.ts';
import type { Lease } from './lease.ts';
import { Membership } from './membership.ts';
import { MessageOrder, oftenLost } from './message-order.ts';
import { Mirror } from './mirror.ts';
import type { PeersOptions } from './parts.ts';
import { Silence } from './silence.ts';
import type { TagSet, TagState, TagTable } from './tags.ts';
import type { HelloReply, ReadReply, Transport } from './transport.ts';
import type { PeerFigures } from './types.ts';
import { unlessLate } from './within.ts';

/** How long a look-up waits for Redis before it goes on without. */
export const answerDeadlineMs = 75;
export const pulseMs = 1_000;
const renewalsPerLease = 3;
const mostSilentPulses = 2;
/** In step for so long: what was refused before is forgotten. */
const settledMs = 30_000;

export class Peers {
  private readonly options: PeersOptions;
  private readonly table: TagTable;
  private readonly transport: Transport;
  private readonly mirror: Mirror;
  readonly membership: Membership;
  readonly lease: Lease;
  private state: 'down' | 'syncing' | 'up' = 'down';
  /** Number of the connection in use, 0 = none: what was sent on another cannot say anything about it. */
  private link = 0;
  private links = 0;
  private isStopped = false;
  private readonly order: MessageOrder;
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
  private readonly timers: NodeJS.Timeout[] = [];
  private losses = 0;

  constructor(options: PeersOptions) {
    this.options = options;
    this.table = options.table;
    this.transport = options.transport;
    this.mirror = new Mirror(options);
    this.order = new MessageOrder(options.log);
    this.membership = new Membership(options, {
      send: (names, token, note) => this.sendClose(token, names, note),
      link: () => this.link,
      tooSlow: (link) => this.failed(link, 'a write could not be announced in time'),
      unannounced: () => (this.isIndebted = true),
      opened: (token, states) => void this.opened(token, states, true),
    });
    this.lease = this.membership.lease;
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
    const renewMs = this.lease.lengthMs / renewalsPerLease;
    this.timers.push(
      setInterval(() => this.pulse(), pulseMs),
      setInterval(() => this.renew(), renewMs),
    );
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    for (const timer of this.timers) clearInterval(timer);
    this.stepDown('stopped');
    this.link = 0;
    await this.transport.stop(this.membership.announcements.size === 0 && !this.isIndebted);
  }

  get isUp(): boolean {
    return this.state === 'up';
  }

  /** Worth asking: in step, and not known to be slow. */
  get isUsable(): boolean {
    return this.state === 'up' && !this.isSlow;
  }

  get figures(): PeerFigures {
    const { problem } = this.transport;
    return { ...this.membership.announcements.figures, redisLosses: this.losses, redisProblem: problem };
  }

  get currentIncarnation(): string {
    return this.order.incarnation;
  }

  /** The shared stamps of the set and the entry stored under them; undefined: no (timely) answer. */
  ask(set: TagSet, entryName: string): Promise<ReadReply | undefined> {
    const command = ++this.command;
    const refused = this.refusal();
    const order = this.table.nextOrder();
    const answer = this.send(this.transport.read(set.names, entryName)).then((reply) => {
      if (!this.isTrusted(command, reply.incarnation)) return undefined;
      this.mirror.learn(set, reply.stamps, command);
      if (!reply.isClosed) this.mirror.confirm(set, reply.stamps, order);
      return reply;
    }, refused);
    return unlessLate(answer, answerDeadlineMs, () => void (this.isSlow = true));
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
    queueMicrotask(() => {
      // Without a lease something may be visible that nobody has announced.
      if (this.options.now() < this.lease.untilMs) order = this.table.nextOrder();
    });
    const write = { tags: set.names, entryName, incarnation: this.order.incarnation, stamps, payload, ttlMs };
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

  /** An entry of the second level is nonsense. */
  remove(entryName: string): void {
    if (this.isUsable) this.send(this.transport.remove(entryName)).catch(this.refusal());
  }

  /** Our own write is about to commit. Resolves when Redis has it, or when nobody can show what it makes old. */
  closed(token: string, names: readonly Tag[], note: string): Promise<void> {
    return this.membership.announcements.announce(token, names, note);
  }

  /** Its outcome is known. With `bump` the caller has given each state a new stamp already. */
  opened(token: string, states: readonly TagState[], bump: boolean): Promise<void> {
    this.membership.announcements.ended(token);
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

  private sendClose(token: string, names: readonly Tag[], note: string): Promise<boolean> {
    this.command++;
    const refused = this.refusal();
    return this.send(this.transport.close(names, token, note)).then(
      () => true,
      (error: Error) => {
        refused(error);
        return false;
      },
    );
  }

  /** Asks for a lease, behind the words that our writes are open: who is granted one by our being there sees those. */
  private hello(rotates: boolean): Promise<HelloReply> {
    const { link, membership } = this;
    return this.send(this.transport.hello(membership.request(rotates))).then((reply) => {
      if (link === this.link) membership.heard(reply);
      return reply;
    });
  }

  /** In step again: learn the incarnation and the number of the last message, nothing else is taken over. */
  private async sync(isLosing: boolean): Promise<void> {
    const attempt = ++this.attempt;
    const { link } = this;
    if (isLosing) this.loseTrust();
    this.state = 'syncing';
    this.order.restart();
    const rotates = this.isIndebted;
    this.isIndebted = false;
    // Markers set before may be gone with what was lost.
    this.membership.announcements.renew(true);
    try {
      const reply = await this.hello(rotates);
      if (attempt !== this.attempt) return;
      this.order.begin(reply);
      this.validFrom = this.command + 1;
      this.state = 'up';
      this.isSlow = false;
      this.upSinceMs = this.options.now();
      this.options.peersDdl(undefined);
      this.options.log('info', 'cache_redis', 'in step with the other Weirs through Redis');
      // Only now Redis can learn that we have heard it.
      this.renew();
    } catch (error) {
      if (rotates) this.isIndebted = true;
      if (attempt === this.attempt) this.refused(link, error as Error);
    }
  }

  /** A message was lost, or Redis has lost its memory: once is soon mended, again and again it is no accident. */
  private resync(): void {
    if (!this.order.relapses(this.options.now())) return void this.sync(true);
    this.refused(this.link, new Error(this.transport.problem ?? oftenLost));
  }

  private loseTrust(): void {
    this.validFrom = Infinity;
    if (this.options.rules.keepsTrust) return;
    this.lease.drop();
    this.table.reset();
    this.options.forget();
  }

  private stepDown(why: string): void {
    this.attempt++;
    const wasUp = this.state !== 'down';
    this.state = 'down';
    this.loseTrust();
    if (wasUp && !this.isStopped) {
      this.losses++;
      this.options.log('warn', 'cache_redis', `lost the other Weirs (${why}): queries go on uncached`);
    }
  }

  private refusal(): (error: Error) => undefined {
    const { link } = this;
    return (error) => void this.refused(link, error);
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
    if (incarnation === this.order.incarnation) return true;
    this.resync();
    return false;
  }

  private receive(text: string): void {
    if (this.state === 'down') return;
    const message = this.order.parse(text);
    if (message === undefined) return;
    if (this.state === 'syncing') return this.order.early(message);
    const what = this.order.take(message, this.options.rules.ignoresGaps);
    if (what === 'old') return;
    if (what !== 'next') return this.resync();
    this.mirror.apply(message);
    this.lease.arrived(this.order.last);
  }

  /** Once a second: is Redis alive, have all messages arrived? */
  private pulse(): void {
    if (this.link === 0) return;
    if (this.silence.pulse() >= mostSilentPulses) return this.failed(this.link, `no answer for ${mostSilentPulses} s`);
    if (this.state !== 'up') return;
    if (this.order.isBehind() && !this.options.rules.ignoresGaps) this.failed(this.link, 'messages do not arrive');
  }

  /** Our long writes keep their markers, and we our lease. */
  private renew(): void {
    if (this.state !== 'up') return;
    this.membership.announcements.renew(false);
    const command = ++this.command;
    const sentAtMs = this.options.now();
    this.hello(false).then((reply) => {
      if (!this.isTrusted(command, reply.incarnation)) return;
      this.order.promise(reply.messages);
      const { ignoresMissing, ignoresUnheard } = this.options.rules;
      if (reply.isGranted || ignoresMissing) this.lease.granted(reply, sentAtMs);
      this.lease.arrived(ignoresUnheard ? Infinity : this.order.last);
    }, this.refusal());
  }
}
