/**
 * One attempt to have a request answered by a server: the state that a further attempt does not take over.
 */
import type { WriteGuard } from '../cache/types.ts';
import type { Plan } from '../binding/plan.ts';
import type { Borrowed, Statement } from './statements.ts';

export interface Completed {
  readonly plan: Plan;
  /** Its number in the text of the plan. */
  readonly at: number;
  readonly rows: number;
  readonly hasError: boolean;
}

/** How far a request of several statements has come, or what its error was; only while statements are watched. */
export class Progress {
  /** When the server began with `completed`, and when the last of them was answered (monotonic ms). */
  sinceMs: number;
  atMs: number;
  /** What its first statement has waited; 0 once that is counted. */
  waitMs = 0;
  /** Statements that have completed, and those of them that are not counted yet: they were answered together. */
  count = 0;
  readonly completed: Completed[] = [];
  /** The bytes in which the answer of the last one came. */
  chunk: Buffer | undefined;
  /** The last one. */
  plan: Plan | undefined;
  /** The server has waited for more of the batch before any statement of it had completed. */
  hasPaused = false;
  /** Of its error. */
  sqlstate: string | undefined;

  constructor(sinceMs: number) {
    this.sinceMs = this.atMs = sinceMs;
  }
}

export class Attempt {
  sentAtMs = 0;
  /** Answers held back until it is certain that the request need not run again. */
  held: Buffer[] | undefined;
  /**
   * `unparsable`: neither Weir's parser nor the server's understood the text. Then it is a syntax error, and not a
   * statement unknown to Weir that may have committed something.
   */
  private failure: 'none' | 'failed' | 'unparsable' | 'unserved' = 'none';
  guard: WriteGuard | undefined;
  /** WriteSet.extent when `guard` was made. */
  guardedWrites = 0;
  /** The server has committed something in this attempt, or with its end. */
  hasCommitted = false;
  /** Index of the first plan executed after the last transaction end in this attempt. */
  openFrom = 0;
  /** It has executed a plan more than once, so the order of the plans is not the order of execution. */
  hasRepeated = false;
  /** Statements of a Query that have completed. */
  statementIndex = 0;
  /** Named statements that its Parse messages have entered, to be removed if it has to run again. */
  entered: (readonly [name: string, statement: Statement])[] | undefined;
  /**
   * By name: statements that its Bind or Describe uses for the first time since the client got them
   * (prepared/borrowed.ts).
   */
  borrowed: Map<string, Borrowed> | undefined;
  /** Statements that Weir had to prepare on its server for it. */
  prepared: Set<Statement> | undefined;
  /** It terminates its own backend (own-pid.ts): then the client loses its connection, as without Weir. */
  endsSession = false;
  /** Rows of its only statement; counted while statements are watched (request/statement-ends.ts). */
  rows = 0;
  progress: Progress | undefined;

  get hasError(): boolean {
    return this.failure !== 'none';
  }

  get isUnparsable(): boolean {
    return this.failure === 'unparsable';
  }

  /** It failed for a reason that is not its own (request/unserved.ts). */
  get isUnserved(): boolean {
    return this.failure === 'unserved';
  }

  failed(isUnserved = false): void {
    if (this.failure === 'none') this.failure = isUnserved ? 'unserved' : 'failed';
  }

  noteUnparsable(): void {
    this.failure = 'unparsable';
  }

  noteEntered(name: string, statement: Statement): void {
    (this.entered ??= []).push([name, statement]);
  }

  notePrepared(statement: Statement): void {
    (this.prepared ??= new Set()).add(statement);
  }
}
