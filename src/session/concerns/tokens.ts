/**
 * What a session has seen and written, as ticks of its database's LSN ticker: from that follows what a replica must
 * have replayed before it may answer (docs/consistency.md, `session`). No round trip: a tick is a promise that the
 * ticker keeps. A tick of an older timeline, or of nodes that a reload has replaced, means primary only; then a new one
 * takes its place, since whatever survived of the old lies before it.
 */
import type { LsnTicker, Tick } from '../../topology/types.ts';
import { SchemaProof } from '../schema-proof.ts';

export class SessionTokens {
  private writeTick: Tick = 0;
  private readTick: Tick = 0;
  /** Whose ticks these are. */
  private ticker: LsnTicker | undefined;
  /** Node of the last read; '' = none yet. */
  lastNode = '';
  readonly schema = new SchemaProof();

  /** A write (or what may have been one) was acknowledged. */
  wrote(ticker: LsnTicker, node: string): void {
    this.read(ticker, node);
    this.writeTick = this.readTick;
  }

  /** An answer came from `node`: what it showed is at most what the primary has by the next tick. */
  read(ticker: LsnTicker, node: string): void {
    this.follow(ticker);
    this.readTick = ticker.next();
    this.lastNode = node;
  }

  /** What a node must have replayed: own writes, and the last write of what is read. undefined: not known yet. */
  needLsn(ticker: LsnTicker, tagTick: Tick): number | undefined {
    this.follow(ticker);
    const own = lsnOf(ticker, this.writeTick);
    if (own === Infinity) this.writeTick = ticker.next();
    return later(own, lsnOf(ticker, tagTick));
  }

  /** What any other node than the last must have replayed, so that reads do not go back. */
  moveLsn(ticker: LsnTicker): number | undefined {
    this.follow(ticker);
    const seen = lsnOf(ticker, this.readTick);
    if (seen === Infinity) this.readTick = ticker.next();
    return seen;
  }

  private follow(ticker: LsnTicker): void {
    if (this.ticker === ticker) return;
    this.ticker = ticker;
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
