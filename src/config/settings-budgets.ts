/**
 * The part of the table of settings about budgets (service levels). Put together with the pool settings, which can be set
 * per database, too, in settings-pools.ts.
 */
import { budgetMap } from './budgets.ts';
import type { Rows } from './setting.ts';
import { setting } from './setting.ts';

export const budgetRows = {
  budgets: setting(
    'budgets',
    budgetMap(),
    {},
    'per database',
    'Service levels, and how fast what may miss them is used up: see docs/budgets.md. A database changes them key by key.',
  ),
} as const satisfies Rows;
