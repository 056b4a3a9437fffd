/**
 * RESTART and SHOW RESTARTS: workers are replaced one by one. The console of this very worker ends with it, so RESTART does not
 * wait: SHOW RESTARTS on any console says how far it is.
 */
import type { RestartRow } from './sources.ts';
import { columnsOf, timestamp } from './types.ts';
import type { ConsoleColumn, ConsoleCommand, Value } from './types.ts';

const r = columnsOf<RestartRow>();

const shown = [
  r.int('restart', (row) => row.number),
  r.text('state', (row) => row.state),
  r.int('workers', (row) => row.workers),
  r.int('replaced', (row) => row.replaced),
  r.text('supervisor', (row) => (row.isSupervisorReplaced ? 'new' : 'old')),
  r.int('ended_clients', (row) => row.endedClients),
  r.text('started_at', (row) => timestamp(row.startedAtMs)),
  r.text('finished_at', (row) => timestamp(row.finishedAtMs ?? 0)),
  r.text('problem', (row) => row.problem ?? null),
  r.text('needs_new_start', (row) => (row.kept.length === 0 ? null : row.kept.join(', '))),
];

const columns: readonly ConsoleColumn[] = shown.map(({ name, type }) => ({ name, type }));
const cells = (row: RestartRow): readonly Value[] => shown.map((column) => column.value(row));

export const showRestarts: ConsoleCommand = {
  name: 'SHOW RESTARTS',
  detail: 'none',
  role: 'stats',
  syntax: 'SHOW RESTARTS',
  help: 'the last rolling restarts of the workers, and what became of them',
  columns,
  tag: 'SHOW',
  parse:
    () =>
    async ({ sources }) => ({ rows: (await sources.restarts()).map(cells) }),
};

export const restart: ConsoleCommand = {
  name: 'RESTART',
  detail: 'none',
  role: 'admin',
  syntax: 'RESTART',
  help: 'replace the workers one by one, with the new configuration and code; SHOW RESTARTS says how far it is',
  columns,
  tag: 'RESTART',
  parse:
    () =>
    async ({ sources }) => {
      const { restart: row, isJoined } = await sources.restart();
      return { rows: [cells(row)], notices: isJoined ? [`restart ${row.number} was under way already: joined`] : [] };
    },
};
