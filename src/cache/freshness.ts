/**
 * How old an answer may be for one session (rule 12, and its own writes): for each tag, the order of its last read from a
 * database. Small and bounded, because every idle client has one: all tags beyond the bound share one number. Owned by a
 * session, changed by cache.ts and guard.ts only.
 */
import type { TagState } from './tag-state.ts';
import type { SessionFreshness } from './types.ts';

const maxTags = 16;

export class Freshness implements SessionFreshness {
  readonly brand = 'freshness';
  private states: TagState[] | undefined = undefined;
  private floors: number[] | undefined = undefined;
  /** Floor of every tag that is not listed. */
  private floorOfRest = 0;
  /** Order of the last own write of which it is not proven yet that it wrote nothing else than Weir thinks; 0 = none. */
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

  raise(state: TagState, order: number): void {
    const states = (this.states ??= []);
    const floors = (this.floors ??= []);
    const at = states.indexOf(state);
    if (at >= 0) {
      floors[at] = order;
      return;
    }
    if (states.length >= maxTags) {
      // The tag that was read longest ago is dropped. The number it shares then can only refuse more answers, never fewer.
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
   * Whether an answer whose query was sent at `order` may be shown: each tag read later, or confirmed since. `isWhole`:
   * the primary gave it, so that it has all that was committed before.
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
