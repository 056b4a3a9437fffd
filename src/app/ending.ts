/**
 * The end of a Weir, whatever hangs: what is still under way when its time is over is counted and cut, and what is stopped
 * behind it is waited for a few seconds in all. Called by lifecycle.ts.
 */
import type { Clients } from './clients.ts';
import type { Directory } from './directory.ts';

/** For everything behind the last client: connections that are closed, cancels on their way, Redis, HTTP. */
const stopMs = 3_000;

/** How many hang on it still. */
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

/** One after the other, but none of them for longer than all may take together. */
export class Stops {
  /** What had not ended when the time was over. */
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
    // What fails when nobody waits for it any more is of no interest.
    task.catch(() => undefined);
    if ((await Promise.race([task, this.over])) === 'late') this.late.push(what);
  }

  done(): void {
    clearTimeout(this.timer);
  }
}
