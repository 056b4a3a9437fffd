/**
 * The numbers of statements at once that were found for each mix of statements, so that a load that comes back need not be searched
 * for again. Part of statement-search.ts.
 */
import type { StatementMix } from '../pool/statement-mix.ts';

export interface FoundLimit {
  readonly mix: StatementMix;
  readonly limit: number;
  /** Both sides of it were looked at. */
  readonly isSettled: boolean;
}

/** Mixes; the one that was not seen for longest is forgotten. */
const mostKept = 8;

export class FoundLimits {
  private kept: FoundLimit[] = [];

  keep(found: FoundLimit): void {
    if (found.limit === Infinity) return;
    this.forget(found.mix);
    this.kept.push(found);
    if (this.kept.length > mostKept) this.kept.shift();
  }

  forget(of: StatementMix): void {
    this.kept = this.kept.filter(({ mix }) => !mix.isLike(of));
  }

  of(mix: StatementMix): FoundLimit | undefined {
    return this.kept.findLast((found) => found.mix.isLike(mix));
  }
}
