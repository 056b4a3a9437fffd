/**
 * The part of the table of settings about the connections that several Weirs have together. Put together with the others in
 * settings.ts.
 */
import type { Rows } from './setting.ts';
import { setting } from './setting.ts';
import { fraction, integer, optional, redisUrl } from './values.ts';

export const connectionBudgetRows = {
  'budget.redis': setting(
    'redis',
    optional(redisUrl()),
    undefined,
    'reload',
    'Redis through which several Weirs share what each server can spare, by need: see docs/connection-budget.md. null: off.',
  ),
  'budget.share': setting(
    'share',
    fraction(),
    1,
    'reload',
    'Part of it that this Weir takes without that Redis, and to which it may grow while Redis is gone.',
  ),
  'budget.max_connections': setting(
    'maxConnections',
    integer(0, 100_000),
    0,
    'reload',
    'Connections of all Weirs together to each server; 0: what the server can spare.',
  ),
} as const satisfies Rows;
