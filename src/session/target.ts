/**
 * The target of a request (node, and why), and its use of the cache.
 */
import type { Capture } from '../cache/capture.ts';
import type { Flight } from '../cache/types.ts';
import type { Route } from '../routing/types.ts';
import type { NodeLoad, NodeState } from '../topology/types.ts';

export class Target {
  route: Route | undefined;
  node: NodeState | undefined;
  attempts = 0;
  /** Why it runs again, as text. */
  retryWhy = '';
  /**
   * It must go to the primary even if it is a read: a replica has refused or cancelled it (run-again.ts), or its
   * transaction has left a replica (begin-on-primary.ts).
   */
  isRefused = false;
  /** Name of the node on which it failed, which does not get it again; '': none. */
  avoid = '';
  /** A read short enough to share a server with others' (request/lane.ts). */
  isShort = false;
  /** Only load.ts changes these four. */
  keptBytes = 0;
  outstandingOn: NodeLoad | undefined;
  fallback: NodeLoad | undefined;
  trial: NodeLoad | undefined;
}

export class CacheUse {
  label: 'hit' | 'miss' | 'off' = 'off';
  /** Why the cache did not answer, for last_route. */
  why = '';
  flight: Flight | undefined;
  capture: Capture | undefined;

  /** Its answer will not be stored in the cache. */
  drop(): void {
    this.flight?.abandon();
    this.flight = undefined;
    this.capture = undefined;
  }
}
