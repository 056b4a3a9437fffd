/**
 * Whether we are in step with the other Weirs, and how we get there: one life of the connection to Redis after the other,
 * its incarnation, the order of its messages, our lease. Whatever cannot be trusted (a lost connection, a gap in the
 * messages, another incarnation, nonsense) makes it forget everything learned. Made and asked by peers.ts.
 */
import type { Lease } from './lease.ts';
import { Membership, type MembershipLinks } from './membership.ts';
import { MessageOrder, oftenLost } from './message-order.ts';
import type { Mirror } from './mirror.ts';
import type { PeersOptions } from './parts.ts';
import { Silence } from './silence.ts';
import type { HelloReply, Transport } from './transport.ts';

const pulseMs = 1_000;
const renewalsPerLease = 3;
const mostSilentPulses = 2;
/** In step for so long: what was refused before is forgotten. */
const settledMs = 30_000;

export class InStep {
  private readonly options: PeersOptions;
  private readonly transport: Transport;
  private readonly mirror: Mirror;
  readonly membership: Membership;
  private readonly lease: Lease;
  private state: 'down' | 'syncing' | 'up' = 'down';
  /** Number of the connection in use, 0 = none: what was sent on another cannot say anything about it. */
  link = 0;
  private links = 0;
  private isStopped = false;
  private readonly order: MessageOrder;
  /** Commands are numbered as they are sent; answers to those before `validFrom` are of an earlier life. */
  private command = 0;
  private validFrom = 0;
  private attempt = 0;
  /** A write of ours may be unknown to the peers: the next incarnation must be a new one. */
  isIndebted = false;
  /** A look-up waited in vain: until Redis answers anything, nobody else waits. */
  isSlow = false;
  private silence = new Silence();
  private upSinceMs = 0;
  private readonly timers: NodeJS.Timeout[] = [];
  losses = 0;

  constructor(options: PeersOptions, mirror: Mirror, writes: Pick<MembershipLinks, 'send' | 'opened'>) {
    this.options = options;
    this.transport = options.transport;
    this.mirror = mirror;
    this.order = new MessageOrder(options.log);
    this.membership = new Membership(options, {
      ...writes,
      link: () => this.link,
      tooSlow: (link) => this.failed(link, 'a write could not be announced in time'),
      unannounced: () => (this.isIndebted = true),
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

  get incarnation(): string {
    return this.order.incarnation;
  }

  /** Before it is sent: the number of a command. */
  nextCommand(): number {
    return ++this.command;
  }

  /** For an answer in which no incarnation is named. */
  isOfThisLife(command: number): boolean {
    return this.state === 'up' && command >= this.validFrom;
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
  async sync(isLosing: boolean): Promise<void> {
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
      this.options.log('warn', 'cache_redis', `lost the other Weirs (${why}): queries go on uncached`);
    }
  }

  /** What to do should a command fail that is sent now. */
  refusal(): (error: Error) => undefined {
    const { link } = this;
    return (error) => void this.refused(link, error);
  }

  /** A command on that connection was refused, or its answer made no sense: connecting anew helps, but not at once. */
  refused(link: number, error: Error): void {
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

  send<T>(answer: Promise<T>): Promise<T> {
    const { silence } = this;
    silence.sent();
    const answered = (): void => {
      silence.answered();
      if (silence === this.silence) this.isSlow = false;
    };
    answer.then(answered, answered);
    return answer;
  }

  /** Else everything learned is void, or the command was sent in an earlier life. */
  isTrusted(command: number, incarnation: string): boolean {
    if (!this.isOfThisLife(command)) return false;
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
