/**
 * SHOW MEMORY: what each process of this Weir may have and uses, and what was done while it was short.
 */
import { shedReasons, type MemoryFigures } from '../memory/types.ts';
import type { WorkerFigures } from '../observability/types.ts';
import { columnsOf, show, type ShowColumn } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const w = columnsOf<WorkerFigures>();

/** NULL for a worker that is gone or has not answered. */
function of<V>(value: (memory: MemoryFigures) => V): (row: WorkerFigures) => V | null {
  return ({ memory }) => (memory === undefined ? null : value(memory));
}

const columns: readonly ShowColumn<WorkerFigures>[] = [
  w.int('worker', (row) => row.number),
  w.text(
    'state',
    of((memory) => memory.state),
  ),
  w.float(
    'share',
    of((memory) => memory.share),
  ),
  w.int(
    'used_bytes',
    of((memory) => memory.usedBytes),
  ),
  w.int(
    'limit_bytes',
    of((memory) => memory.limitBytes),
  ),
  w.text(
    'limit_from',
    of((memory) => memory.limitFrom),
  ),
  w.int(
    'resident_bytes',
    of((memory) => memory.residentBytes),
  ),
  w.int(
    'heap_bytes',
    of((memory) => memory.heapUsedBytes),
  ),
  w.int(
    'heap_limit_bytes',
    of((memory) => memory.heapLimitBytes),
  ),
  w.float(
    'caches',
    of((memory) => memory.cacheShare),
  ),
  w.int(
    'waiting_clients',
    of((memory) => memory.waitingClients),
  ),
  w.int(
    'refused_clients',
    of((memory) => memory.refusedClients),
  ),
  ...shedReasons.map((reason) =>
    w.int(
      `shed_${reason}`,
      of((memory) => memory.shedClients[reason]),
    ),
  ),
];

export const showMemory: ConsoleCommand = show<WorkerFigures>(
  'MEMORY',
  'every process: the memory it may have and uses, how far caches have shrunk, and the clients ended for it',
  columns,
  ({ sources }) => sources.workers(),
);
