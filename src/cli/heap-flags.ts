/**
 * Flags for V8 with which Weir takes less memory. By default, V8 lets the heap of each process grow as if it had the machine to
 * itself. Measured by `npm run bench -- --only workers-idle`; they cost no throughput that can be measured. A version of V8 that does
 * not know one says so, and goes on. Called by serve.ts, supervise.ts and worker.ts.
 */
import { setFlagsFromString } from 'node:v8';

/** Space for objects that have just been made, in MB: V8 reads that when the process starts. */
const smallYoungGeneration = '--max-semi-space-size=2';

/** What node is to be started with for a worker, unless the operator has chosen something else. */
export function execArgvOfWorker(
  execArgv: readonly string[] = process.execArgv,
  nodeOptions = process.env['NODE_OPTIONS'] ?? '',
): string[] {
  const isChosen = `${execArgv.join(' ')} ${nodeOptions}`.includes('semi-space-size');
  return isChosen ? [...execArgv] : [...execArgv, smallYoungGeneration];
}

/**
 * V8 shall not optimize libpg-query while it runs: that takes 30 MB, which are not given back, and makes the parser a fifth faster,
 * which only statements of a kind that was not seen before would notice. Call it before that is loaded.
 */
export function keepParserSmall(): void {
  setFlagsFromString('--liftoff-only');
}

/** Clients stay for long: a heap that may double keeps garbage for hours. */
export function keepWorkerSmall(): void {
  keepParserSmall();
  setFlagsFromString('--heap-growing-percent=20');
}

/** Messages and sockets that a supervisor passes on are garbage at once: its space for new objects need not grow. */
export function keepSupervisorSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
