/**
 * Reads the writes of one database from the WAL of its primary: one life of a slot, from its making to its loss. What a commit has
 * written is told as soon as other sessions can see it. From time to time it proves that all is known that was visible at a moment.
 * Made by decoding.ts, which begins again after a loss. See docs/adr/0019-writes-around-weir.md.
 */
import type { Clock } from '../util/clock.ts';
import { Proofs } from './proofs.ts';
import { Publication } from './publication.ts';
import type { AskServer } from './types.ts';
import { UnseenCommits, type Written } from './unseen-commits.ts';
import type { WalStream } from './wal-stream.ts';

export interface ReaderOptions {
  readonly publication: string;
  /** Of the temporary slot. */
  readonly slot: string;
  /** Of questions to the primary, on a connection of their own. */
  readonly ask: AskServer;
  readonly stream: Pick<WalStream, 'position' | 'heard' | 'askPosition' | 'createSlot' | 'start'>;
  readonly clock: Clock;
  /** Longest time between two proofs. */
  readonly proofEveryMs: number;
  /** False: other servers have newer commits. */
  isPrimary(): boolean;
  /** Resolves when nobody shows answers any more that lack it. Undefined: any table may have been written. */
  wrote(relations: ReadonlySet<number> | undefined): Promise<void>;
  /** All commits that anybody could see at this moment (monotonic ms) have been told. */
  proven(atMs: number): void;
}

/** After a commit was decoded that nobody can see yet, the primary is asked again after this time, then less often. */
const askAgainMs = 2;
const askAgainMaxMs = 100;

export class Reader {
  private readonly options: ReaderOptions;
  private readonly publication: Publication;
  private readonly proofs: Proofs;
  private unseen: UnseenCommits | undefined;
  private waitMs = askAgainMs;
  /** Something has come since the last pass began. */
  private hasNews = false;
  private isOver = false;
  private wake: () => void = () => undefined;

  constructor(options: ReaderOptions) {
    const { ask, stream, clock, proofEveryMs: everyMs } = options;
    this.options = options;
    this.publication = new Publication(ask, options.publication);
    this.proofs = new Proofs({ ask, stream, clock, everyMs });
  }

  /** To be called by the stream. */
  readonly committed = (xid: number, relations: Set<number> | undefined): void => {
    this.unseen?.committed(xid, relations);
    this.waitMs = askAgainMs;
    this.news();
  };

  /** To be called by the stream. */
  readonly reached = (): void => {
    if (this.proofs.isReached) this.news();
  };

  /** There may be tables that are not in the publication yet. */
  readonly catalogChanged = (): void => {
    this.publication.mayLackTables = true;
  };

  /** Makes the publication and the slot, and counts everything as written. Resolves to the tables whose writes are told. */
  async begin(): Promise<ReadonlySet<number>> {
    const { slot, stream } = this.options;
    const tables = await this.publication.begin();
    // Waits for the end of all transactions that may have written before the publication had the table.
    await stream.createSlot(slot);
    this.unseen = new UnseenCommits((await this.proofs.look()).snapshot);
    await stream.start(slot, this.options.publication);
    await this.options.wrote(undefined);
    return tables;
  }

  /** Until `stop` is called. Rejects if the connection is of no use any more, or the publication has changed. */
  async read(): Promise<void> {
    while (!this.isOver) {
      await this.pass();
      await this.pause();
    }
  }

  stop(): void {
    this.isOver = true;
    this.wake();
  }

  private async pass(): Promise<void> {
    this.hasNews = false;
    if (this.proofs.dueInMs === 0) {
      if (!this.options.isPrimary()) throw new Error('another server is the primary');
      await this.publication.addTables();
      await this.proofs.begin(() => this.publication.check());
    }
    const proven = await this.proofs.settle();
    if (proven !== undefined) {
      await this.tell(this.unseen!.seenBy(proven.snapshot));
      this.options.proven(proven.atMs);
    }
    if (!this.unseen!.isEmpty) await this.tell(this.unseen!.seenBy((await this.proofs.look()).snapshot));
  }

  private async tell(written: Written): Promise<void> {
    if (written === undefined) return this.options.wrote(undefined);
    if (written.size === 0) return;
    const roots = new Set<number>();
    for (const oid of written) {
      const root = this.publication.rootOf(oid);
      if (root === undefined) return this.options.wrote(undefined);
      roots.add(root);
    }
    await this.options.wrote(roots);
  }

  private news(): void {
    this.hasNews = true;
    this.wake();
  }

  /** Until something has come, or it is time to ask again. */
  private pause(): Promise<void> {
    if (this.isOver || this.hasNews) return Promise.resolve();
    let ms = this.proofs.isUnderWay ? askAgainMaxMs : this.proofs.dueInMs;
    if (!this.unseen!.isEmpty) {
      ms = Math.min(ms, this.waitMs);
      this.waitMs = Math.min(askAgainMaxMs, this.waitMs * 2);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
