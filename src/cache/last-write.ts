/**
 * When a table was last written, as a tick of the clock of one database entry. Another clock can ask for it: two entries of
 * `databases` can name the same database of one server, and a reload makes a new clock. Owned by tag-state.ts.
 */
import type { Tick } from '../topology/types.ts';
import type { TickSource } from './types.ts';

/** There was a write, but no tick was taken yet. */
const tickOwed = -1;

export class LastWrite {
  private readonly any = new Moment();
  /** Only writes that somebody knows of: not those that may have been missed while the tag was forgotten or Redis was lost. */
  private readonly certain = new Moment();

  at(tick: Tick, source: TickSource): void {
    this.any.at(tick, source);
    this.certain.at(tick, source);
  }

  /** `isCertain`: somebody knows of the write; else nobody knows of one, nor that there was none. */
  now(source: TickSource | undefined, isCertain: boolean): void {
    this.any.now(source);
    if (isCertain) this.certain.now(source);
  }

  /** 0 = never. */
  in(source: TickSource, isCertain: boolean): Tick {
    return isCertain ? this.certain.in(source) : this.any.in(source);
  }
}

class Moment {
  private tick: Tick = 0;
  /** Whose tick that is. */
  private source: TickSource | undefined = undefined;
  /** The same in the time of other clocks, taken when each first asked. */
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

  /** 0 = never. A tick that is taken only now is later than the write, and so still sound. */
  in(source: TickSource): Tick {
    if (this.tick === 0) return 0;
    const isOwn = this.source === source;
    let tick = isOwn ? this.tick : (this.others?.get(source) ?? tickOwed);
    // Older than the last promotion: every write that survived is below the new primary's LSN of now.
    if (tick === tickOwed || source.lsnOf(tick) === Infinity) tick = source.next();
    if (isOwn) this.tick = tick;
    else (this.others ??= new WeakMap()).set(source, tick);
    return tick;
  }
}
