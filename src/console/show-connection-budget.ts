/**
 * SHOW CONNECTION_BUDGET: for each server how many connections all Weirs may have together, how many of them this one, and why.
 */
import type { ConnectionBudgetFigures } from '../shares/types.ts';
import { columnsOf, show } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const column = columnsOf<ConnectionBudgetFigures>();

export const showConnectionBudget: ConsoleCommand = show<ConnectionBudgetFigures>(
  'CONNECTION_BUDGET',
  'connections to each server: of all Weirs together, and of this one',
  [
    column.text('server', ({ server }) => server),
    column.int('budget', ({ budget }) => budget ?? null),
    column.text('from', ({ from }) => from),
    column.float('share', ({ share }) => share),
    column.int('limit', ({ limit }) => limit),
    column.int('open', ({ open }) => open),
    column.int('weirs', ({ weirs }) => weirs ?? null),
    column.text('state', ({ state }) => state),
    column.text('why', ({ why }) => why),
  ],
  ({ sources }) => sources.connectionBudget(),
);
