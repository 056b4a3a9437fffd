/**
 * Input and output of route() in route.ts: what the session says of a request, and where it goes. Types only.
 */
import type { Consistency } from '../config/config.ts';
import type { NodeState } from '../topology/types.ts';

/** What the session says of itself and the request. An LSN of 0 demands nothing, Infinity demands the primary. */
export interface RoutingFacts {
  readonly isRead: boolean;
  /** Plan.why. */
  readonly why: string;
  readonly forced: 'auto' | 'primary' | 'replica';
  /** What forced it, as text: "hint", "SET weir.route", "target_session_attrs". */
  readonly forcedBy: string;
  readonly consistency: Consistency;
  /** LSN that a replica must have replayed to show the session's own writes and the last writes to the tables it reads;
   *  undefined: not known yet (no answer from the ticker), so only the primary will do. */
  readonly needLsn: number | undefined;
  /** Name of the node that has just failed this request and must not get it again; '' = none. */
  readonly avoid: string;
  /** Name of the node that the session last read from; '' = none yet, or none of the nodes that there are now. */
  readonly lastNode: string;
  /** LSN that any other replica must have replayed, so that the session does not see older data than it has read;
   *  undefined: not known yet. */
  readonly moveLsn: number | undefined;
  /** For load_balance_hosts = hash: reads with the same key go to the same node. */
  readonly key: string;
  readonly keyBy: 'hint' | 'weir.key' | 'user';
  readonly nowMs: number;
}

export interface Route {
  readonly node: NodeState | undefined;
  /** A read that goes to the primary, or waits, because no replica is eligible. */
  readonly isFallback: boolean;
  /** The reason as text. Made when it is called, because most decisions are never printed. */
  why(): string;
}
