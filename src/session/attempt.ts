/** One attempt to have a request answered by a server: what belongs to it alone. Each new attempt begins with a new one. */
import type { WriteGuard } from '../cache/types.ts';
import type { Borrowed, Statement } from './statements.ts';

export class Attempt {
  sentAtMs = 0;
  /** Answers held back until it is clear that it need not run again. */
  held: Buffer[] | undefined;
  /**
   * `unparsable`: neither Weir's parser nor the server's understood the text. So it is a typing error, and not a new kind of CALL
   * that may have committed something.
   */
  private failure: 'none' | 'failed' | 'unparsable' = 'none';
  guard: WriteGuard | undefined;
  /** WriteSet.extent when it was made. */
  guardedWrites = 0;
  /** Something was committed in it, or with it. */
  hasCommitted = false;
  /** Place of the first of its plans that was executed after the last end of a transaction in it. */
  openFrom = 0;
  /** It has executed one of its plans more than once, so the order of the plans is not the order of what was executed. */
  hasRepeated = false;
  /** Statements of a Query that have completed. */
  statementIndex = 0;
  /** Named statements that its Parse messages have entered, in case it has to run again. */
  entered: (readonly [name: string, statement: Statement])[] | undefined;
  /** By name, the statements of which its Bind or Describe is the first use since the client has them (prepared/borrowed.ts). */
  borrowed: Map<string, Borrowed> | undefined;
  /** Statements that it uses and that its server had to be given first. */
  prepared: Set<Statement> | undefined;
  /** It terminates its own server (own-pid.ts): that loses the client its connection, as without Weir. */
  endsSession = false;

  get hasError(): boolean {
    return this.failure !== 'none';
  }

  get isUnparsable(): boolean {
    return this.failure === 'unparsable';
  }

  failed(): void {
    if (this.failure === 'none') this.failure = 'failed';
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
