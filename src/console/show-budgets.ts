/**
 * SHOW BUDGETS: each budget (service level) of each database, how fast it is used up, and why its state is what it is.
 */
import { valueText } from '../budgets/objectives.ts';
import type { BudgetFigures } from '../budgets/types.ts';
import { columnsOf, show } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const column = columnsOf<BudgetFigures>();

export const showBudgets: ConsoleCommand = show<BudgetFigures>(
  'BUDGETS',
  'budgets (service levels): how fast they are used up, and why',
  [
    column.text('database', (row) => row.database),
    column.text('budget', (row) => row.budget),
    column.text('objective', (row) => row.objective),
    column.text('value', ({ value, unit }) => (value === null ? null : valueText(value, unit))),
    column.float('burn_5m', (row) => row.burn5m),
    column.float('burn_1h', (row) => row.burn1h),
    column.text('state', (row) => row.state),
    column.text('why', (row) => row.why),
    column.text('actions', ({ actions = [] }) => actions.join(', ')),
  ],
  ({ sources }) => sources.budgets(),
);
