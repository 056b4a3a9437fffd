/**
 * The line of the log for one statement: slow ones (log_min_duration), and a share of all (log_statement_sample_rate). Never the
 * values of constants or parameters. How many lines there may be is limited by the log of the app (app/logs.ts). Called by
 * watch.ts.
 */
import type { Log } from '../observability/types.ts';
import type { StatementText } from './text.ts';
import type { StatementDetails } from './types.ts';

export function logStatement(log: Log, isSlow: boolean, text: StatementText, details: StatementDetails): void {
  const { database, user, applicationName, route, node, why, waitMs, serverMs, rows, cache, hasError } = details;
  const durationMs = milliseconds(waitMs + serverMs);
  const fields = {
    ...{ database, user, application_name: applicationName },
    ...{ duration_ms: durationMs, wait_ms: milliseconds(waitMs), server_ms: milliseconds(serverMs), rows },
    ...{ route, node, why, cache },
    error: hasError ? (details.sqlstate ?? true) : undefined,
    trace_id: details.trace?.traceparent.slice(3, 35),
    ...{ query_id: text.id, query: text.text },
  };
  if (isSlow) log('warn', 'slow_statement', `a statement took ${durationMs} ms`, fields);
  else log('info', 'statement', `a statement, taken as a sample: ${durationMs} ms`, fields);
}

/** To a microsecond. */
const milliseconds = (ms: number): number => Math.round(ms * 1000) / 1000;
