/**
 * SHOW WORKERS: the processes of this Weir, one row with `workers: 1`. All other commands show them together.
 */
import type { WorkerFigures } from '../observability/types.ts';
import { columnsOf, show, timestamp } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const w = columnsOf<WorkerFigures>();

/** In ms. */
function eventLoopP99({ process }: WorkerFigures): number | null {
  const seconds = process?.eventLoop.quantiles.get(0.99);
  return seconds === undefined ? null : seconds * 1000;
}

export const showWorkers: ConsoleCommand = show<WorkerFigures>(
  'WORKERS',
  'every process of this Weir: its clients and servers, and what it uses',
  [
    w.int('worker', (row) => row.number),
    w.int('pid', (row) => row.pid),
    w.text('state', (row) => row.state),
    w.int('clients', (row) => row.clients ?? null),
    w.int('servers', (row) => row.servers ?? null),
    w.text('started_at', (row) => (row.startedAtMs === undefined ? null : timestamp(row.startedAtMs))),
    w.int('restarts', (row) => row.restarts),
    w.int('deaths', (row) => row.deaths),
    w.float('cpu_seconds', (row) => row.process?.cpuSeconds ?? null),
    w.int('memory_bytes', (row) => row.process?.residentBytes ?? null),
    w.float('event_loop_p99_ms', eventLoopP99),
    w.text('version', (row) => row.version ?? null),
  ],
  ({ sources }) => sources.workers(),
);
