/**
 * The other Weirs, through Redis: announces our writes, asks and fills the second level, and keeps the table of tags true
 * to the shared stamps with what is answered. Until it is in step (in-step.ts) the cache is not used at all.
 */
import type { Tag } from '../binding/plan.ts';
import { InStep } from './in-step.ts';
import type { Lease } from './lease.ts';
import type { Membership } from './membership.ts';
import { Mirror } from './mirror.ts';
import type { PeersOptions } from './parts.ts';
import type { TagSet, TagState, TagTable } from './tags.ts';
import type { ReadReply, Transport } from './transport.ts';
import type { PeerFigures } from './types.ts';
import { unlessLate } from './within.ts';

/** How long a look-up waits for Redis before it goes on without. */
export const answerDeadlineMs = 75;

export class Peers {
  private readonly options: PeersOptions;
  private readonly table: TagTable;
  private readonly transport: Transport;
  private readonly mirror: Mirror;
  private readonly step: InStep;
  readonly membership: Membership;
  readonly lease: Lease;

  constructor(options: PeersOptions) {
    this.options = options;
    this.table = options.table;
    this.transport = options.transport;
    this.mirror = new Mirror(options);
    this.step = new InStep(options, this.mirror, {
      send: (names, token, note) => this.sendClose(token, names, note),
      opened: (token, states) => void this.opened(token, states, true),
    });
    this.membership = this.step.membership;
    this.lease = this.membership.lease;
  }

  start(): void {
    this.step.start();
  }

  stop(): Promise<void> {
    return this.step.stop();
  }

  get isUp(): boolean {
    return this.step.isUp;
  }

  /** Worth asking: in step, and not known to be slow. */
  get isUsable(): boolean {
    return this.step.isUsable;
  }

  get figures(): PeerFigures {
    const { problem } = this.transport;
    return { ...this.membership.announcements.figures, redisLosses: this.step.losses, redisProblem: problem };
  }

  get currentIncarnation(): string {
    return this.step.incarnation;
  }

  /** The shared stamps of the set and the entry stored under them; undefined: no (timely) answer. */
  ask(set: TagSet, entryName: string): Promise<ReadReply | undefined> {
    const command = this.step.nextCommand();
    const refused = this.step.refusal();
    const order = this.table.nextOrder();
    const answer = this.step.send(this.transport.read(set.names, entryName)).then((reply) => {
      if (!this.step.isTrusted(command, reply.incarnation)) return undefined;
      this.mirror.learn(set, reply.stamps, command);
      if (!reply.isClosed) this.mirror.confirm(set, reply.stamps, order);
      return reply;
    }, refused);
    return unlessLate(answer, answerDeadlineMs, () => void (this.step.isSlow = true));
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
    const command = this.step.nextCommand();
    const { link } = this.step;
    // What is noted as read until the end of this turn had been read before this was sent.
    let order = 0;
    queueMicrotask(() => {
      // Without a lease something may be visible that nobody has announced.
      if (this.options.now() < this.lease.untilMs) order = this.table.nextOrder();
    });
    const write = { tags: set.names, entryName, incarnation: this.step.incarnation, stamps, payload, ttlMs };
    try {
      const isStored = await this.step.send(this.transport.store(write));
      if (!isStored || !this.step.isOfThisLife(command)) return false;
      this.mirror.confirm(set, stamps, order);
      return true;
    } catch (error) {
      this.step.refused(link, error as Error);
      return false;
    }
  }

  /** An entry of the second level is nonsense. */
  remove(entryName: string): void {
    if (this.isUsable) this.step.send(this.transport.remove(entryName)).catch(this.step.refusal());
  }

  /** Our own write is about to commit. Resolves when Redis has it, or when nobody can show what it makes old. */
  closed(token: string, names: readonly Tag[], note: string): Promise<void> {
    return this.membership.announcements.announce(token, names, note);
  }

  /** Its outcome is known. With `bump` the caller has given each state a new stamp already. */
  opened(token: string, states: readonly TagState[], bump: boolean): Promise<void> {
    this.membership.announcements.ended(token);
    const command = this.step.nextCommand();
    if (bump) {
      for (const state of states) {
        state.remote = 0;
        state.bumpCommand = command;
        state.settle();
      }
    }
    if (this.step.link === 0) {
      if (bump) this.step.isIndebted = true;
      return Promise.resolve();
    }
    const { link } = this.step;
    const names = states.map((state) => state.tag);
    return this.step.send(this.transport.open(names, token, bump)).then(
      (reply) => {
        if (!this.step.isTrusted(command, reply.incarnation) || !bump) return;
        this.mirror.learnOwn(states, reply.stamps, command);
      },
      (error: Error) => {
        if (bump) this.step.isIndebted = true;
        this.step.refused(link, error);
      },
    );
  }

  /** A new incarnation for everybody. */
  async rotate(): Promise<void> {
    this.step.isIndebted = true;
    if (this.step.link !== 0) await this.step.sync(true);
  }

  private sendClose(token: string, names: readonly Tag[], note: string): Promise<boolean> {
    this.step.nextCommand();
    const refused = this.step.refusal();
    return this.step.send(this.transport.close(names, token, note)).then(
      () => true,
      (error: Error) => {
        refused(error);
        return false;
      },
    );
  }
}
