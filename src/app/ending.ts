/**
 * Bounds the shutdown, so that nothing that hangs can prevent it: counts the work still in flight, and limits the total time
 * that it waits for components to stop. Called by lifecycle.ts.
 */
import type { Clients } from './clients.ts';
import type { Directory } from './directory.ts';

/** Time for all that is stopped after the clients: server connections, CancelRequests in flight, Redis, HTTP. */
const stopMs = 3_000;

/** Counts what is still in flight. */
export function underWay(
  clients: Clients,
  directory: Directory,
): { clients: number; servers: number; statements: number } {
  let statements = 0;
  for (const session of clients.sessions()) if (session.inFlight.length > 0) statements++;
  let servers = 0;
  for (const database of directory.all()) for (const pool of database.pools()) servers += pool.inUse;
  return { clients: clients.count, servers, statements };
}

/** Waits for tasks one after the other, for stopMs in all. */
export class Stops {
  /** Names of the tasks that had not ended when the time was over. */
  readonly late: string[] = [];
  private readonly over: Promise<'late'>;
  private readonly timer: NodeJS.Timeout;

  constructor(ms = stopMs) {
    let end: (late: 'late') => void = () => undefined;
    this.over = new Promise((resolve) => (end = resolve));
    this.timer = setTimeout(() => end('late'), ms);
  }

  async stop(what: string, task: Promise<void> | undefined): Promise<void> {
    if (task === undefined) return;
    // A task that fails after the time limit must not cause an unhandled rejection.
    task.catch(() => undefined);
    if ((await Promise.race([task, this.over])) === 'late') this.late.push(what);
  }

  done(): void {
    clearTimeout(this.timer);
  }
}
