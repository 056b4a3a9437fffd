/**
 * What POST /invalidate of the HTTP side does: INVALIDATE of the admin console, in all workers. Called by lifecycle.ts.
 */
import { patternProblem } from '../cache/tag-pattern.ts';
import type { Config } from '../config/config.ts';
import type { ConsoleSources } from '../console/sources.ts';
import type { InvalidateDoor } from '../observability/invalidate-door.ts';

interface DoorParts {
  readonly sources: ConsoleSources;
  /** Of all workers; undefined: this process is the whole Weir. */
  readonly totals: (() => Promise<ConsoleSources>) | undefined;
}

export function createDoor(parts: DoorParts, current: { readonly config: Config }): InvalidateDoor {
  return {
    token: () => current.config.httpInvalidateToken,
    patternProblem,
    async invalidate(tags, patterns) {
      const sources = parts.totals === undefined ? parts.sources : await parts.totals();
      const invalidated = await sources.invalidate({ tables: [], tags, patterns, all: false, by: 'http' });
      return { ...invalidated, notices: sources.notices?.() ?? [] };
    },
  };
}
