/**
 * What every benchmark of a run is given: the one PostgreSQL, the contestants, and how long to measure.
 */
import type { Cluster } from '../integration/harness/cluster.ts';
import type { Contestant, PgBouncer, Weirs } from './contestants.ts';

export interface BenchContext {
  readonly cluster: Cluster;
  readonly direct: Contestant;
  readonly bouncer: PgBouncer | undefined;
  /** The Weir of the run, with everything on but the cache, and with --against that of the other checkout. Started once. */
  weirs(): Promise<Weirs>;
  /** The other checkout, built. */
  readonly against: string | undefined;
  /** For scripts and logs; removed with the run. */
  readonly dir: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly isQuick: boolean;
  progress(text: string): void;
}
