/**
 * A rolling restart: replaces all workers one by one, and keeps what became of the last restarts for SHOW RESTARTS. There is at
 * most one at a time. How a worker is started and how it ends is fleet.ts. Made by the supervisor.
 */
import type { BegunRestart, RestartRow } from '../console/sources.ts';
import type { Log } from '../observability/types.ts';
import { WeirEnds } from './restarts.ts';

export interface RestartParts {
  /** How many there are; their numbers begin with 1. */
  readonly workers: number;
  /**
   * Starts the next supervisor, which starts the new workers. Rejects, with words for the operator.
   * @returns changed settings that stay as they are until Weir is started anew
   */
  prepare(): Promise<readonly string[]>;
  /** Replaces one. Rejects, with words for the operator, when none can be started in its place: the old one goes on. */
  replace(number: number): Promise<void>;
  /** Ends the old workers that still have clients. Resolves to how many clients had to connect again. */
  finish(): Promise<number>;
  /**
   * The next supervisor takes over. Rejects, with words for the operator, when it cannot: this one goes on.
   * @param isWanted false: not all workers are replaced
   */
  handOver(isWanted: boolean): Promise<void>;
  epochMs(): number;
  readonly log: Log;
  /** What the supervisor before has kept. */
  readonly rows?: readonly RestartRow[] | undefined;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

const mostKept = 10;

export class RollingRestart {
  private readonly parts: RestartParts;
  /** The newest first. */
  private readonly kept: Mutable<RestartRow>[];
  private running: Promise<RestartRow> | undefined;

  constructor(parts: RestartParts) {
    this.parts = parts;
    this.kept = (parts.rows ?? []).map((row) => ({ ...row }));
  }

  /** The last ones, the newest first. */
  rows(): readonly RestartRow[] {
    return this.kept.map((row) => ({ ...row }));
  }

  /** For the next supervisor, which has taken over when it reads this. */
  rowsAfter(): readonly RestartRow[] {
    const finishedAtMs = this.parts.epochMs();
    return this.kept.map((row) =>
      row.state === 'running' ? { ...row, state: 'done', isSupervisorReplaced: true, finishedAtMs } : { ...row },
    );
  }

  /** Begins one, or joins the one that is under way. `over` resolves to what became of it. */
  begin(): BegunRestart & { readonly over: Promise<RestartRow> } {
    const isJoined = this.running !== undefined;
    const over = (this.running ??= this.run(this.newRow()).finally(() => (this.running = undefined)));
    return { restart: { ...(this.kept[0] as RestartRow) }, isJoined, over };
  }

  private newRow(): Mutable<RestartRow> {
    const { parts, kept } = this;
    const row: Mutable<RestartRow> = {
      number: (kept[0]?.number ?? 0) + 1,
      state: 'running',
      workers: parts.workers,
      replaced: 0,
      isSupervisorReplaced: false,
      endedClients: 0,
      startedAtMs: parts.epochMs(),
      finishedAtMs: undefined,
      problem: undefined,
      kept: [],
    };
    kept.unshift(row);
    kept.splice(mostKept);
    return row;
  }

  private async run(row: Mutable<RestartRow>): Promise<RestartRow> {
    const { log, workers } = this.parts;
    log('info', 'restart', `the ${workers} workers are replaced one by one`, { restart: row.number });
    let problem: string | undefined;
    try {
      row.kept = await this.parts.prepare();
      for (let number = 1; number <= workers; number++) {
        await this.parts.replace(number);
        row.replaced++;
      }
    } catch (error) {
      problem = failure(row, error);
    }
    row.endedClients = await this.parts.finish();
    try {
      await this.parts.handOver(problem === undefined);
      row.isSupervisorReplaced = problem === undefined;
    } catch (error) {
      problem ??= `all ${workers} workers are replaced, but not the supervisor: ${wordsOf(error)}`;
    }
    row.problem = problem;
    row.state = problem === undefined ? 'done' : 'failed';
    const done = `the supervisor and all ${workers} workers are replaced`;
    if (problem === undefined) log('info', 'restart', done, { restart: row.number });
    else log('error', 'restart_failed', problem, { restart: row.number });
    row.finishedAtMs = this.parts.epochMs();
    return { ...row };
  }
}

function failure({ replaced, workers }: RestartRow, error: unknown): string {
  if (error instanceof WeirEnds) return `Weir ends: ${replaced} of ${workers} workers were replaced`;
  const what = replaced === 0 ? 'no worker is replaced' : `only ${replaced} of ${workers} workers are replaced`;
  return `${what}, the old ones go on: ${wordsOf(error)}`;
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
