/**
 * The whole table of the admin console's commands by name. Each says who may run it; a test walks the table as every
 * role. SHOW HELP is made from it (a table, where PgBouncer sends a NOTICE: drivers drop notices).
 */
import { actions } from './actions.ts';
import { showConnections } from './show.ts';
import { showFigures } from './show-stats.ts';
import { showTopology } from './show-topology.ts';
import { columnsOf, show } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const help = columnsOf<ConsoleCommand>();

const all: ConsoleCommand[] = [
  ...showConnections,
  ...showTopology,
  ...showFigures,
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
];

export const commands: ReadonlyMap<string, ConsoleCommand> = new Map(all.map((command) => [command.name, command]));
