/**
 * When a table was last written, as a tick of one database's LSN ticker. Other tickers can ask for it, too: two
 * entries of `databases` can name the same database of one server, and a reload makes a new ticker. Owned by
 * tag-state.ts.
 */
import type { Tick } from '../topology/types.ts';
import type { TickSource } from './types.ts';

/** There was a write whose tick was not taken yet. */
const tickOwed = -1;

export class LastWrite {
  private readonly any = new Moment();
  /** Known writes only: not those that may have been missed while the tag was forgotten or Redis was lost. */
  private readonly certain = new Moment();

  at(tick: Tick, source: TickSource): void {
    this.any.at(tick, source);
    this.certain.at(tick, source);
  }

  /** @param isCertain true: a known write; false: there may have been one */
  now(source: TickSource | undefined, isCertain: boolean): void {
    this.any.now(source);
    if (isCertain) this.certain.now(source);
  }

  /** @returns a tick of `source`; 0: never written */
  in(source: TickSource, isCertain: boolean): Tick {
    return isCertain ? this.certain.in(source) : this.any.in(source);
  }
}

class Moment {
  private tick: Tick = 0;
  /** The ticker that gave out `tick`. */
  private source: TickSource | undefined = undefined;
  /** The same in ticks of other tickers, taken when each first asked. */
  private others: WeakMap<TickSource, Tick> | undefined = undefined;

  at(tick: Tick, source: TickSource): void {
    this.others = undefined;
    if (this.source === source && tick <= this.tick) return;
    this.source = source;
    this.tick = tick;
  }

  now(source: TickSource | undefined): void {
    this.others = undefined;
    this.source = source;
    this.tick = source === undefined ? tickOwed : source.next();
  }

  /**
   * @returns a tick of `source`; 0: never written. A tick taken only now is later than the write, and so still valid.
   */
  in(source: TickSource): Tick {
    if (this.tick === 0) return 0;
    const isOwn = this.source === source;
    let tick = isOwn ? this.tick : (this.others?.get(source) ?? tickOwed);
    // From before the last promotion: every write that survived it is below the new primary's present LSN.
    if (tick === tickOwed || source.lsnOf(tick) === Infinity) tick = source.next();
    if (isOwn) this.tick = tick;
    else (this.others ??= new WeakMap()).set(source, tick);
    return tick;
  }
}
