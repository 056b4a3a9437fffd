/** One attempt to have a request answered by a server: what belongs to it alone. Each new attempt begins with a new one. */
import type { WriteGuard } from '../cache/types.ts';
import type { Borrowed, Statement } from './statements.ts';

export class Attempt {
  sentAtMs = 0;
  /** Answers held back until it is clear that it need not run again. */
  held: Buffer[] | undefined;
  /** `unparsable`: neither Weir's parser nor the server's understood it: a typing error, not a new kind of CALL that may have committed. */
  private failure: 'none' | 'failed' | 'unparsable' = 'none';
  guard: WriteGuard | undefined;
  /** WriteSet.extent when it was made. */
  guardedWrites = 0;
  /** Something was committed in it, or with it. */
  hasCommitted = false;
  /** The first of its plans that is behind the last end of a transaction in it. */
  openFrom = 0;
  /** It has executed a plan once more: where that stands among the others says nothing. */
  hasRepeated = false;
  /** Statements of a Query that have completed. */
  statementIndex = 0;
  /** Named statements that its Parse messages have entered, in case it has to run again. */
  entered: (readonly [name: string, statement: Statement])[] | undefined;
  /** Statements that its Bind or Describe was the first to use since the client was given them (prepared/borrowed.ts), by name. */
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
