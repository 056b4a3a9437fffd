/**
 * All commands of the admin console by name, with the role that may run each. SHOW HELP prints the table as rows, where
 * PgBouncer sends a NOTICE, because many drivers drop notices.
 */
import { actions } from './actions.ts';
import { nodeCommands } from './node-commands.ts';
import { showRestarts } from './restart.ts';
import { showConnectionBudget } from './show-connection-budget.ts';
import { showDecoding } from './show-decoding.ts';
import { showBudgets } from './show-budgets.ts';
import { showMemory } from './show-memory.ts';
import { showForecast } from './show-forecast.ts';
import { showLimits } from './show-limits.ts';
import { showLists, showUsers } from './show-lists.ts';
import { showOfPgbouncer } from './show-pgbouncer.ts';
import { showPools } from './show-pools.ts';
import { showSockets } from './show-sockets.ts';
import { showFigures } from './show-stats.ts';
import { resetStatements, showStatements } from './show-statements.ts';
import { showTopology } from './show-topology.ts';
import { showWorkers } from './show-workers.ts';
import { columnsOf, show } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const help = columnsOf<ConsoleCommand>();

const all: ConsoleCommand[] = [
  showPools,
  ...showSockets,
  ...showTopology,
  ...showFigures,
  showLists,
  showUsers,
  ...showOfPgbouncer,
  showLimits,
  showBudgets,
  showDecoding,
  showConnectionBudget,
  showForecast,
  showStatements,
  showWorkers,
  showMemory,
  showRestarts,
  show<ConsoleCommand>(
    'HELP',
    'this table',
    [
      help.text('command', (row) => row.syntax),
      help.text('role', (row) => row.role),
      help.text('what', (row) => row.help),
    ],
    () => all,
  ),
  ...actions,
  resetStatements,
  ...nodeCommands,
];

export const commands: ReadonlyMap<string, ConsoleCommand> = new Map(all.map((command) => [command.name, command]));
