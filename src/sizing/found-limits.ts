/**
 * The numbers of statements at once that were found for each mix of statements, so that a load that comes back need not be searched
 * for again. A mix is told by what its statements take alone, on average. Part of statement-search.ts.
 */

export interface FoundLimit {
  readonly meanMs: number;
  readonly limit: number;
  /** Both sides of it were looked at. */
  readonly isSettled: boolean;
}

/** A larger difference of what statements take alone is another mix. */
export const otherMix = 1.5;
/** Mixes; the one that was not seen for longest is forgotten. */
const mostKept = 8;

export const isSameMix = (oneMs: number, otherMs: number): boolean =>
  Math.max(oneMs / otherMs, otherMs / oneMs) <= otherMix;

export class FoundLimits {
  private kept: FoundLimit[] = [];

  keep(found: FoundLimit): void {
    if (found.meanMs <= 0 || found.limit === Infinity) return;
    this.forget(found.meanMs);
    this.kept.push(found);
    if (this.kept.length > mostKept) this.kept.shift();
  }

  forget(of: number): void {
    this.kept = this.kept.filter(({ meanMs }) => !isSameMix(meanMs, of));
  }

  of(meanMs: number): FoundLimit | undefined {
    return this.kept.findLast((found) => isSameMix(found.meanMs, meanMs));
  }
}
