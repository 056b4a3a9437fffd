/**
 * SHOW STATEMENTS: what was counted of each statement by its text without values, the most time first; RESET STATEMENTS.
 */
import { statementBoundsMs, type StatementFigures } from '../statements/types.ts';
import { quantileOf } from '../util/histogram.ts';
import { columnsOf, show, timestamp } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const column = columnsOf<StatementFigures>();

/** "replica-1 90, primary 9, cache 1": the most first. */
function nodesText({ nodes }: StatementFigures): string {
  const byCalls = Object.entries(nodes).sort(([, a], [, b]) => b - a);
  return byCalls.map(([name, calls]) => `${name} ${calls}`).join(', ');
}

function hitRate({ cacheHits, cacheMisses }: StatementFigures): number | null {
  const lookUps = cacheHits + cacheMisses;
  return lookUps === 0 ? null : cacheHits / lookUps;
}

const shown: ConsoleCommand = show<StatementFigures>(
  'STATEMENTS',
  'statements by text without values, user and database: calls, time, rows, who answered; the most time first',
  [
    column.text('database', (row) => row.database),
    column.text('user', (row) => row.user),
    column.text('query_id', (row) => row.queryId),
    column.int('calls', (row) => row.calls),
    column.int('errors', (row) => row.errors),
    column.int('rows', (row) => row.rows),
    column.float('total_ms', (row) => row.totalMs),
    column.float('mean_ms', (row) => row.totalMs / row.calls),
    column.float('p95_ms', (row) => Math.min(row.maxMs, quantileOf(statementBoundsMs, row.durations, 0.95) ?? 0)),
    column.float('max_ms', (row) => row.maxMs),
    column.float('wait_ms', (row) => row.waitMs),
    column.float('server_ms', (row) => row.serverMs),
    column.int('cache_hits', (row) => row.cacheHits),
    column.int('cache_misses', (row) => row.cacheMisses),
    column.float('hit_rate', hitRate),
    column.text('nodes', nodesText),
    column.text('since', (row) => timestamp(row.sinceMs)),
    column.text('query', (row) => row.query),
  ],
  ({ sources }) => [...(sources.statements() ?? [])].sort((a, b) => b.totalMs - a.totalMs),
  'statements',
);

const off = 'statistics of statements are off: SET statements.enabled = true';

export const showStatements: ConsoleCommand = {
  ...shown,
  parse: (scanner) => {
    const run = shown.parse(scanner);
    return async (context) => {
      const result = await run(context);
      return context.sources.statements() === undefined ? { ...result, notices: [off] } : result;
    };
  },
};

export const resetStatements: ConsoleCommand = {
  name: 'RESET STATEMENTS',
  role: 'admin',
  syntax: 'RESET STATEMENTS',
  help: 'forget the statistics of statements',
  columns: [],
  tag: 'RESET',
  parse: () => async (context) => {
    await context.sources.resetStatements();
    return {};
  },
};
