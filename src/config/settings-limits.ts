/**
 * The part of the table of settings about rate limits. Put together with the others in settings.ts.
 */
import { limitRules } from './limits.ts';
import type { Rows } from './setting.ts';
import { setting } from './setting.ts';
import { oneOf, optional, redisUrl } from './values.ts';

export const limitRows = {
  limits: setting(
    'rules',
    limitRules(),
    [],
    'reload',
    'Rates of statements, connections and bytes that users, databases and addresses may not exceed: see docs/limits.md.',
  ),
  limits_redis: setting(
    'redis',
    optional(redisUrl()),
    undefined,
    'reload',
    'Redis through which several Weirs have these limits together; without, each Weir has its own.',
  ),
  limits_fail: setting(
    'fail',
    oneOf(['open', 'closed']),
    'open',
    'reload',
    'While that Redis is gone: `open`, each Weir has its own limits; `closed`, whom a limit concerns is refused.',
  ),
} as const satisfies Rows;
