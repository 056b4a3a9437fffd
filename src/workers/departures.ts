/**
 * The old workers of a rolling restart, on their way out: each gives away the clients that can be moved. The others (TLS,
 * replication, the console) stay with it until all workers are replaced, so that they have to connect again only once; so do those
 * whose transaction or log-in lasts too long, and they are given away if it ends by then. Made by fleet.ts.
 */
import type { Log } from '../observability/types.ts';
import { answerOf } from './ask.ts';
import type { Emptied } from './messages.ts';
import type { WorkerProcess } from './worker-process.ts';

type Leaver = Pick<WorkerProcess, 'number' | 'state' | 'empty' | 'part' | 'end' | 'kill'>;

export interface DepartureOptions {
  readonly log: Log;
  /** How long a worker waits for its clients to come to rest: shutdown_timeout. */
  emptyWithinMs(): number;
  /** How long a worker may take to end when it has been told. */
  endWithinMs(): number;
  /** Weir itself does not end. */
  isServing(): boolean;
}

const nobody: Emptied = { late: 0, silent: 0, stay: 0 };
/** Time for each client that is ended: of many, all within shutdown_timeout. */
export const msForEach = 100;
/** A worker that has not answered so long after it should have is stuck. */
const slackMs = 10_000;

export class Departures {
  private readonly options: DepartureOptions;
  private readonly staying: { readonly worker: Leaver; readonly clients: number }[] = [];
  private readonly endings: Promise<void>[] = [];

  constructor(options: DepartureOptions) {
    this.options = options;
  }

  /** Call it when another worker has taken its place. Resolves when its clients have gone over, as far as they can. */
  async empty(worker: Leaver): Promise<void> {
    const { log, emptyWithinMs } = this.options;
    const withinMs = emptyWithinMs();
    const answer = await answerOf(worker.empty(withinMs), withinMs + slackMs);
    const { late, silent, stay } = answer.kind === 'answer' ? answer.value : nobody;
    if (late > 0) log('warn', 'restart_cut', `${late} clients of worker ${worker.number} did not come to rest in time`);
    // Those who were late, or log in later, can still be moved until all workers are replaced.
    if (stay > 0 || late > 0 || silent > 0) this.staying.push({ worker, clients: stay });
    else this.endings.push(this.end(worker));
  }

  /** Ends those who stayed, spread out over time. Resolves to how many clients had to connect again, when all workers are gone. */
  async finish(): Promise<number> {
    const staying = this.staying.splice(0);
    const total = staying.reduce((sum, { clients }) => sum + clients, 0);
    const graceMs = this.options.emptyWithinMs();
    const overMs = Math.min(graceMs, total * msForEach);
    const ended = await Promise.all(staying.map(({ worker }) => this.part(worker, overMs, graceMs)));
    await Promise.all(this.endings.splice(0));
    return ended.reduce((sum, count) => sum + count, 0);
  }

  private async part(worker: Leaver, overMs: number, graceMs: number): Promise<number> {
    const answer = await answerOf(worker.part({ overMs, graceMs }), overMs + graceMs + slackMs);
    await this.end(worker);
    return answer.kind === 'answer' ? answer.value : 0;
  }

  private async end(worker: Leaver): Promise<void> {
    // Weir itself ends, and has told it how.
    if (!this.options.isServing() || worker.state === 'gone') return;
    const answer = await answerOf(worker.end('wait-for-servers'), this.options.endWithinMs());
    if (answer.kind === 'silent') worker.kill('did not answer');
  }
}
