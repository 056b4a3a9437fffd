/**
 * The question and the answer of routing: pure data. `route()` (routing/route.ts) is a function from
 * (RoutingFacts, TopologySnapshot, random numbers) to a Route; it keeps no state.
 */
import type { Consistency } from '../config/config.ts';
import type { NodeState } from '../topology/types.ts';

/** What the session says about itself and the request. LSNs as numbers; 0 = no demand, Infinity = primary only. */
export interface RoutingFacts {
  readonly isRead: boolean;
  /** Plan.why. */
  readonly why: string;
  readonly forced: 'auto' | 'primary' | 'replica';
  /** Who forced it, in words: "hint", "SET weir.route", "target_session_attrs". */
  readonly forcedBy: string;
  readonly consistency: Consistency;
  /** LSN that a node must have replayed for the session's own writes and the read tags' last writes;
   *  undefined: not known yet (the ticker has not answered), so primary only for now. */
  readonly needLsn: number | undefined;
  /** Node that has just failed this request: not asked again; '' = none. */
  readonly avoid: string;
  /** Node the session read from last ('' = none yet) ... */
  readonly lastNode: string;
  /** ... and what any *other* replica must have replayed so that its reads do not go back; undefined: not known yet. */
  readonly moveLsn: number | undefined;
  readonly nowMs: number;
}

export interface Route {
  readonly node: NodeState | undefined;
  /** A read that would have gone to a replica had there been one eligible. */
  readonly isFallback: boolean;
  /** The reason in words; built when asked for, since nobody asks on the hot path. */
  why(): string;
}
