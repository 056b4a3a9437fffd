/**
 * The weir.* settings of a session as plain data, for its hand-over to another process (packed.ts).
 */
import { Fields, ShapeError } from '../util/fields.ts';
import { Preferences } from './preferences.ts';

export interface PackedPreferences {
  readonly route: string;
  readonly routeBy: string;
  readonly consistency?: string;
  readonly cache?: string | number;
}

export function packPreferences({ route, routeBy, consistency, cache }: Preferences): PackedPreferences {
  return { route, routeBy, ...(consistency !== undefined && { consistency }), ...(cache !== undefined && { cache }) };
}

/** @throws ShapeError */
export function preferencesIn(what: string, value: unknown): Preferences {
  const fields = new Fields(what, value, ['route', 'routeBy', 'consistency', 'cache']);
  const cache = fields.value('cache');
  if (cache !== undefined && cache !== 'on' && cache !== 'off' && typeof cache !== 'number')
    throw new ShapeError(`"cache" of ${what} is not a wish`);
  return Preferences.of(
    fields.oneOf('route', ['auto', 'primary', 'replica'] as const),
    fields.text('routeBy'),
    fields.has('consistency') ? fields.oneOf('consistency', ['eventual', 'session', 'strict'] as const) : undefined,
    cache,
  );
}
