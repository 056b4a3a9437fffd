/**
 * What every benchmark of a run is given: the one PostgreSQL, the contestants, and how long to measure.
 */
import type { Cluster } from '../integration/harness/cluster.ts';
import type { Contestant, PgBouncer, WeirContestant } from './contestants.ts';

export interface BenchContext {
  readonly cluster: Cluster;
  readonly direct: Contestant;
  readonly bouncer: PgBouncer | undefined;
  /** The one Weir of the run with everything on but the cache; started when first asked for. */
  weir(): Promise<WeirContestant>;
  /** For scripts and logs; removed with the run. */
  readonly dir: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly isQuick: boolean;
  progress(text: string): void;
}
