/**
 * The weir.* settings of a session as plain data, for its hand-over to another process (packed.ts).
 */
import { priorities } from '../pool/waiter.ts';
import { Fields, ShapeError } from '../util/fields.ts';
import { Preferences } from './preferences.ts';

export interface PackedPreferences {
  readonly route: string;
  readonly routeBy: string;
  readonly consistency?: string;
  readonly cache?: string | number;
  readonly priority?: string;
  readonly key?: string;
  readonly tags?: readonly string[];
}

export function packPreferences(preferences: Preferences): PackedPreferences {
  const { route, routeBy, consistency, cache, priority, key, tags } = preferences;
  return {
    route,
    routeBy,
    ...(consistency !== undefined && { consistency }),
    ...(cache !== undefined && { cache }),
    ...(priority !== undefined && { priority }),
    ...(key !== undefined && { key }),
    ...(tags !== undefined && { tags }),
  };
}

/** @throws ShapeError */
export function preferencesIn(what: string, value: unknown): Preferences {
  const fields = new Fields(what, value, ['route', 'routeBy', 'consistency', 'cache', 'priority', 'key', 'tags']);
  const cache = fields.value('cache');
  if (cache !== undefined && cache !== 'on' && cache !== 'off' && typeof cache !== 'number')
    throw new ShapeError(`"cache" of ${what} is not a wish`);
  return Preferences.of({
    route: fields.oneOf('route', ['auto', 'primary', 'replica'] as const),
    routeBy: fields.text('routeBy'),
    consistency: fields.has('consistency')
      ? fields.oneOf('consistency', ['eventual', 'session', 'strict'] as const)
      : undefined,
    cache,
    priority: fields.has('priority') ? fields.oneOf('priority', priorities) : undefined,
    key: fields.has('key') ? fields.text('key') : undefined,
    tags: fields.has('tags') ? fields.texts('tags') : undefined,
  });
}
