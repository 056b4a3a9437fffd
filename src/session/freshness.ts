/**
 * What a session has seen and written, as ticks of its database's LSN ticker: from that follows what a replica must
 * have replayed before it may answer (docs: consistency, `session` level). No round trip: a tick is a promise that the
 * ticker keeps.
 */
import type { LsnTicker, Tick } from '../topology/types.ts';

export class SessionTokens {
  private writeTick: Tick = 0;
  private readTick: Tick = 0;
  /** Node of the last read; '' = none yet. */
  lastNode = '';

  /** A write (or what may have been one) was acknowledged. */
  wrote(ticker: LsnTicker, node: string): void {
    this.writeTick = ticker.next();
    this.read(ticker, node);
  }

  /** An answer came from `node`: what it showed is at most what the primary has by the next tick. */
  read(ticker: LsnTicker, node: string): void {
    this.readTick = ticker.next();
    this.lastNode = node;
  }

  /** What a node must have replayed: own writes, and the last write of what is read. undefined: not known yet. */
  needLsn(ticker: LsnTicker, tagTick: Tick): number | undefined {
    return later(lsnOf(ticker, this.writeTick), lsnOf(ticker, tagTick));
  }

  /** What any other node than the last must have replayed, so that reads do not go back. */
  moveLsn(ticker: LsnTicker): number | undefined {
    return lsnOf(ticker, this.readTick);
  }
}

function lsnOf(ticker: LsnTicker, tick: Tick): number | undefined {
  return tick === 0 ? 0 : ticker.lsnOf(tick);
}

function later(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.max(a, b);
}
