/** Where a request goes: to which node and why; and what it had from the cache, or has for it. */
import type { Capture } from '../cache/capture.ts';
import type { Flight } from '../cache/types.ts';
import type { Route } from '../routing/types.ts';
import type { NodeLoad, NodeState } from '../topology/types.ts';

export class Target {
  route: Route | undefined;
  node: NodeState | undefined;
  attempts = 0;
  /** Why it runs once more, in words. */
  retryWhy = '';
  /** It is for the primary, whatever it looks like: a replica refused or cancelled it (run-again.ts), or it left one (begin-on-primary.ts). */
  isRefused = false;
  /** Node that failed it: not asked again. */
  avoid = '';
  /** A read short enough to share a server with others' (request/lane.ts). */
  isShort = false;
  /** See load.ts, which alone changes these three. */
  keptBytes = 0;
  outstandingOn: NodeLoad | undefined;
  fallback: NodeLoad | undefined;
}

export class CacheUse {
  label: 'hit' | 'miss' | 'off' = 'off';
  /** Why the cache did not answer, for last_route. */
  why = '';
  flight: Flight | undefined;
  capture: Capture | undefined;

  /** It will not fill the cache. */
  drop(): void {
    this.flight?.abandon();
    this.flight = undefined;
    this.capture = undefined;
  }
}
