/**
 * The other Weirs, through Redis: announces writes, reads and fills the second level, and passes the stamps in Redis's
 * answers to shared-stamps.ts. While Redis and this Weir are not in step (redis-sync.ts), the cache is not used.
 */
import type { Tag } from '../binding/plan.ts';
import { answerWithin, waitAtMost } from './deadlines.ts';
import type { Lease } from './lease.ts';
import type { Membership } from './membership.ts';
import type { PeersOptions } from './parts.ts';
import { maxSilentSeconds, RedisSync } from './redis-sync.ts';
import { SharedStamps } from './shared-stamps.ts';
import type { TagState } from './tag-state.ts';
import type { TagSet, TagTable } from './tags.ts';
import type { ReadReply, StoreKind, Transport } from './transport.ts';
import type { PeerFigures } from './types.ts';

/** How long a look-up waits for Redis before the query goes to a database. */
export const answerDeadlineMs = 75;

export class Peers {
  private readonly options: PeersOptions;
  private readonly table: TagTable;
  private readonly transport: Transport;
  private readonly stamps: SharedStamps;
  private readonly sync: RedisSync;
  readonly membership: Membership;
  readonly lease: Lease;

  constructor(options: PeersOptions) {
    this.options = options;
    this.table = options.table;
    this.transport = options.transport;
    this.stamps = new SharedStamps(options);
    this.sync = new RedisSync(options, this.stamps, {
      send: (names, token, note) => this.sendClose(token, names, note),
      opened: (token, states) => void this.opened(token, states, true),
    });
    this.membership = this.sync.membership;
    this.lease = this.membership.lease;
  }

  start(): void {
    this.sync.start();
  }

  stop(): Promise<void> {
    return this.sync.stop();
  }

  get kind(): StoreKind {
    return this.transport.kind;
  }

  get isUp(): boolean {
    return this.sync.isUp;
  }

  /** In step, and Redis is not known to be slow. */
  get isUsable(): boolean {
    return this.sync.isUsable;
  }

  get figures(): PeerFigures {
    const { problem, kind } = this.transport;
    const isRedis = kind === 'redis';
    return {
      ...this.membership.announcements.figures,
      redisLosses: isRedis ? this.sync.losses : 0,
      redisProblem: isRedis ? problem : undefined,
      workersProblem: isRedis ? undefined : problem,
    };
  }

  get currentIncarnation(): string {
    return this.sync.incarnation;
  }

  /** @returns the shared stamps of the set and the entry stored under them; undefined: no answer in time */
  ask(set: TagSet, entryName: string): Promise<ReadReply | undefined> {
    const command = this.sync.commands.next();
    const refused = this.sync.refusal();
    const order = this.table.nextOrder();
    const answer = this.sync.send(this.transport.read(set.names, entryName)).then((reply) => {
      if (!this.sync.isTrusted(command, reply.incarnation)) return undefined;
      this.stamps.learn(set, reply.stamps, command);
      if (!reply.isClosed) this.stamps.confirm(set, reply.stamps, order);
      return reply;
    }, refused);
    return answerWithin(answer, answerDeadlineMs, () => void (this.sync.connection.isSlow = true));
  }

  /**
   * Stores an answer in the second level if its stamps still hold there. @returns true if it was stored. Never
   * rejects.
   */
  async save(
    set: TagSet,
    stamps: readonly number[],
    entryName: string,
    payload: Buffer,
    ttlMs: number,
  ): Promise<boolean> {
    if (!this.isUsable) return false;
    const command = this.sync.commands.next();
    const { number } = this.sync.connection;
    // Reads noted until the end of this turn of the event loop count as before this command.
    let order = 0;
    queueMicrotask(() => {
      // Without a lease, a write that was not announced may be visible.
      if (this.options.now() < this.lease.untilMs) order = this.table.nextOrder();
    });
    const write = { tags: set.names, entryName, incarnation: this.sync.incarnation, stamps, payload, ttlMs };
    try {
      const isStored = await this.sync.send(this.transport.store(write));
      if (!isStored || !this.sync.isAccepted(command)) return false;
      this.stamps.confirm(set, stamps, order);
      return true;
    } catch (error) {
      this.sync.refused(number, error as Error);
      return false;
    }
  }

  /** Removes an entry of the second level that no Weir can have written. */
  remove(entryName: string): void {
    if (this.isUsable) this.sync.send(this.transport.remove(entryName)).catch(this.sync.refusal());
  }

  /**
   * A write of this Weir is about to commit. Resolves when Redis knows of it, or when no other Weir can show answers
   * that it makes out of date.
   */
  closed(token: string, names: readonly Tag[], note: string): Promise<void> {
    return this.membership.announcements.announce(token, names, note);
  }

  /**
   * Call after `closed`, or with endOf(token) after `opened`. Resolves when the other workers of this Weir have heard of it, or have
   * no lease any more; undefined: nobody needs to wait for that. Never rejects.
   */
  knownToWorkers(token: string, states: readonly TagState[]): Promise<void> | undefined {
    // Without a connection the write was announced to nobody, and sent when nobody had a lease.
    if (this.sync.connection.number === 0) return undefined;
    const known = this.options.knownToWorkers?.(
      token,
      states.some(({ kind }) => kind === 'catalog'),
    );
    return known && waitAtMost(known, this.lease.lengthMs);
  }

  /**
   * Resolves when this Weir has heard of that write of another worker, or of its end, or shows nothing that it makes out of date:
   * a lease from before the write is over by then.
   */
  async heardOf(token: string): Promise<void> {
    if (this.sync.isUp) await this.stamps.heard.whenHeard(token, this.lease.lengthMs + maxSilentSeconds * 1_000);
  }

  /** The outcome of the write is known. With `bump`, the caller has already given each tag a new stamp. */
  opened(token: string, states: readonly TagState[], bump: boolean): Promise<void> {
    this.membership.announcements.ended(token);
    const command = this.sync.commands.next();
    if (bump) {
      for (const state of states) {
        state.shared.value = 0;
        state.shared.bumpCommand = command;
        state.changed();
      }
    }
    if (this.sync.connection.number === 0) {
      if (bump) this.sync.needsNewIncarnation = true;
      return Promise.resolve();
    }
    const { number } = this.sync.connection;
    const names = states.map((state) => state.tag);
    return this.sync.send(this.transport.open(names, token, bump)).then(
      (reply) => {
        if (!this.sync.isTrusted(command, reply.incarnation) || !bump) return;
        this.stamps.learnOwn(states, reply.stamps, command);
      },
      (error: Error) => {
        if (bump) this.sync.needsNewIncarnation = true;
        this.sync.refused(number, error);
      },
    );
  }

  /** @returns the tags of clients that match, of which anybody may have answers; undefined: too many, or not known */
  async tagsLike(patterns: readonly string[], most: number): Promise<readonly Tag[] | undefined> {
    if (this.sync.connection.number === 0) return undefined;
    try {
      return await this.sync.send(this.transport.tagsLike(patterns, most));
    } catch {
      return undefined;
    }
  }

  /** Gives new stamps to tags that this process has no answers with. Never rejects. */
  async bumpUnused(names: readonly Tag[]): Promise<void> {
    const { number } = this.sync.connection;
    this.sync.commands.next();
    try {
      await this.sync.send(this.transport.open(names, '', true));
    } catch (error) {
      this.sync.needsNewIncarnation = true;
      this.sync.refused(number, error as Error);
    }
  }

  /** Starts a new incarnation: everything that any Weir has cached is void. */
  async rotate(): Promise<void> {
    this.sync.needsNewIncarnation = true;
    if (this.sync.connection.number !== 0) await this.sync.sync(true);
  }

  private sendClose(token: string, names: readonly Tag[], note: string): Promise<boolean> {
    this.sync.commands.next();
    const refused = this.sync.refusal();
    return this.sync.send(this.transport.close(names, token, note)).then(
      () => true,
      (error: Error) => {
        refused(error);
        return false;
      },
    );
  }
}
