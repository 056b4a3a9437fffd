/**
 * How old an answer may be for one session (rule 12, and its own writes): per tag, the order number of its last read
 * from a database. Small and bounded, because every idle client has one: tags beyond the limit share one number. Owned
 * by a session; changed only by cache.ts and guard.ts.
 */
import type { TagState } from './tag-state.ts';
import type { SessionFreshness } from './types.ts';

const maxTags = 16;

export class Freshness implements SessionFreshness {
  readonly brand = 'freshness';
  private states: TagState[] | undefined = undefined;
  private floors: number[] | undefined = undefined;
  /** Floor of all tags that are not listed. */
  private floorOfRest = 0;
  /** Order number of the last own write that is not yet proven to have changed only what Weir knows of; 0: none. */
  private wroteAt = 0;

  get isUnproven(): boolean {
    return this.wroteAt !== 0;
  }

  wrote(order: number): void {
    this.wroteAt = order;
  }

  proven(): void {
    this.wroteAt = 0;
  }

  /** What the session has read and written lies before `order`. */
  arrive(order: number, isUnproven: boolean): void {
    this.states ??= [];
    this.floors ??= [];
    this.floorOfRest = order;
    if (isUnproven) this.wrote(order);
  }

  raise(state: TagState, order: number): void {
    const states = (this.states ??= []);
    const floors = (this.floors ??= []);
    const at = states.indexOf(state);
    if (at >= 0) {
      floors[at] = order;
      return;
    }
    if (states.length >= maxTags) {
      // Drops the tag that was read longest ago. The shared number can only refuse more answers, never fewer.
      let oldest = 0;
      for (let i = 1; i < floors.length; i++) if (floors[i]! < floors[oldest]!) oldest = i;
      this.floorOfRest = Math.max(this.floorOfRest, floors[oldest]!);
      states[oldest] = state;
      floors[oldest] = order;
      return;
    }
    states.push(state);
    floors.push(order);
  }

  /**
   * @param order order number at which the answer's query was sent
   * @param isWhole the answer came from the primary, so it includes every earlier commit
   * @returns true if the answer may be shown: no tag was read later, unless it was confirmed since
   */
  accepts(states: readonly TagState[], order: number, isWhole = false): boolean {
    if (this.wroteAt !== 0 && !(isWhole && order > this.wroteAt)) return false;
    if (this.states === undefined) return true;
    for (const state of states) {
      const at = this.states.indexOf(state);
      const floor = at >= 0 ? this.floors![at]! : this.floorOfRest;
      if (floor >= order && floor >= state.confirmed) return false;
    }
    return true;
  }
}
