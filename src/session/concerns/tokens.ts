/**
 * The last write and the last read of a session, as ticks of its database's LSN ticker. They tell what a replica must
 * have replayed before it may answer (docs/consistency.md, `session`), without a round trip: the ticker finds the LSN
 * later. A tick of an older timeline, or from before a reload that changed the nodes, means primary only; it is then
 * replaced by a new tick, since what survived of the old timeline lies before that.
 */
import type { LsnTicker, Tick } from '../../topology/types.ts';
import { SchemaProof } from '../schema-proof.ts';

export class SessionTokens {
  private writeTick: Tick = 0;
  private readTick: Tick = 0;
  /** The ticker that gave out these ticks. */
  private ticker: LsnTicker | undefined;
  /** Node of the last read; '': none yet, or it is no node any more. */
  lastNode = '';
  readonly schema = new SchemaProof();

  /** A write, or a statement that may be one, was acknowledged. */
  wrote(ticker: LsnTicker, node: string): void {
    this.read(ticker, node);
    this.writeTick = this.readTick;
  }

  /** `node` has answered: what it showed is at most what the primary has by the next tick. */
  read(ticker: LsnTicker, node: string): void {
    this.follow(ticker);
    this.readTick = ticker.next();
    this.lastNode = node;
  }

  /**
   * @param tagTick tick of the last write to what is read
   * @returns the LSN that a node must have replayed: the session's own writes and that write; undefined: not known yet
   */
  needLsn(ticker: LsnTicker, tagTick: Tick): number | undefined {
    this.follow(ticker);
    const own = lsnOf(ticker, this.writeTick);
    if (own === Infinity) this.writeTick = ticker.next();
    return later(own, lsnOf(ticker, tagTick));
  }

  /**
   * @returns the LSN that any node other than the last must have replayed, so that reads do not go back in time;
   * undefined: not known yet
   */
  moveLsn(ticker: LsnTicker): number | undefined {
    this.follow(ticker);
    const seen = lsnOf(ticker, this.readTick);
    if (seen === Infinity) this.readTick = ticker.next();
    return seen;
  }

  pack(): { readonly hasWritten: boolean; readonly hasRead: boolean } {
    return { hasWritten: this.writeTick !== 0, hasRead: this.readTick !== 0 };
  }

  /**
   * The session comes from another process: what it wrote and read there lies before the next tick. The node of its last
   * read is not taken over, because another configuration may give that name to another server.
   */
  arrive(ticker: LsnTicker, hasWritten: boolean, hasRead: boolean): void {
    this.ticker = ticker;
    if (hasWritten || hasRead) this.readTick = ticker.next();
    if (hasWritten) this.writeTick = this.readTick;
  }

  private follow(ticker: LsnTicker): void {
    if (this.ticker === ticker) return;
    this.ticker = ticker;
    // The name may be that of another server by now.
    this.lastNode = '';
    if (this.writeTick !== 0) this.writeTick = ticker.next();
    if (this.readTick !== 0) this.readTick = ticker.next();
  }
}

function lsnOf(ticker: LsnTicker, tick: Tick): number | undefined {
  return tick === 0 ? 0 : ticker.lsnOf(tick);
}

function later(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.max(a, b);
}
