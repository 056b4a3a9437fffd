/**
 * The shares of a Weir of several workers in the connections of servers, in the supervisor: the lead asks for them, and the
 * limits of the leases follow them. Made by lessor.ts.
 */
import type { OwnShareState } from '../shares/own-share.ts';
import { ShareBook, wishOf, type Places } from '../shares/share-book.ts';
import type { Usage } from '../shares/types.ts';
import type { Leases } from '../sizing/leases.ts';
import type { WorkerChannel } from './messages.ts';

export interface SupervisorSharesOptions {
  readonly leases: Leases;
  readonly nowMs: () => number;
  /** The backends of all workers at the server. */
  pids(server: string): readonly number[];
  /** A limit may be another one: places are to be given or taken anew. */
  changed(): void;
  /** Weir ends, not only one of its workers. */
  isEnding(): boolean;
  /** Of the supervisor before. */
  readonly state: ReadonlyMap<string, OwnShareState> | undefined;
}

export class SupervisorShares implements Places {
  private readonly options: SupervisorSharesOptions;
  private readonly book: ShareBook;
  /** What servers could spare, as workers have said while they were not shared. */
  private readonly spare = new Map<string, number>();

  constructor(options: SupervisorSharesOptions) {
    this.options = options;
    this.book = new ShareBook(this, options.nowMs, options.state);
  }

  state(): ReadonlyMap<string, OwnShareState> {
    return this.book.state();
  }

  attach(channel: WorkerChannel): void {
    const { book } = this;
    channel.on('shareSay', ({ server, options }) => {
      // A lead that is replaced says that it leaves, but the other workers go on.
      return book.say(server, { ...options, isLeaving: options.isLeaving && this.options.isEnding() });
    });
    channel.on('shareHear', ({ server, seq, answer }) => book.hear(server, seq, answer));
    channel.on('shareShow', (server) => book.show(server));
    channel.on('shareShown', ({ server, atMs, others }) => book.shown(server, atMs, others));
    channel.on('shareDrop', (server) => book.drop(server));
  }

  /**
   * What a worker says of the server. That of a shared one is found out with the other Weirs. 0: it waits until the lead does that,
   * which may read the settings later than a worker that was started meanwhile. Then the others go on as before.
   */
  spared(server: string, limit: number): void {
    if (limit === 0 && this.isInUse(server)) return;
    this.spare.set(server, limit);
    if (this.limitNow(server) === undefined) this.options.leases.setLimit(server, undefined, limit);
  }

  private isInUse(server: string): boolean {
    const { taken, limit } = this.options.leases.serverOf(server)?.level ?? { taken: 0, limit: 0 };
    return taken > 0 || (limit > 0 && limit !== Infinity);
  }

  /** Before each decision: a share may have ended by itself. */
  apply(): void {
    const { leases } = this.options;
    for (const server of this.book.servers()) {
      const limit = this.limitNow(server);
      if (limit !== undefined && limit !== leases.serverOf(server)?.level.limit)
        leases.setLimit(server, undefined, limit);
    }
  }

  private limitNow(server: string): number | undefined {
    return this.book.limit(server, this.open(server));
  }

  /* ---- for the book ---- */

  usage(server: string): Usage {
    const { need, most } = this.options.leases.serverOf(server)?.demand() ?? { need: 0, most: 0 };
    return { open: this.open(server), pids: this.pids(server), ...wishOf(need, most) };
  }

  open(server: string): number {
    return this.options.leases.serverOf(server)?.level.taken ?? 0;
  }

  pids(server: string): readonly number[] {
    return this.options.pids(server);
  }

  changed(server: string): void {
    const { leases } = this.options;
    const spare = this.spare.get(server);
    if (this.limitNow(server) === undefined && spare !== undefined) leases.setLimit(server, undefined, spare);
    this.options.changed();
  }
}
