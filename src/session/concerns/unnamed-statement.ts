/** The unnamed prepared statement of a client. Part of prepared-statements.ts. */
import type { Classified } from '../../sql/facts.ts';
import type { Reading } from '../reading.ts';
import type { SessionState } from '../state.ts';
import type { ArrivedStatement } from '../packed-statements.ts';
import type { Statement } from '../statements.ts';

/** What it needs of its session. */
interface Owner {
  readonly state: SessionState;
  classify(sql: Buffer, reading?: Reading): Classified;
}

export class UnnamedStatement {
  private readonly owner: Owner;
  private current: Statement | undefined;
  /** Identifies the Close that removed it; undefined again after a later Query. */
  private closedBy: object | undefined;

  constructor(owner: Owner) {
    this.owner = owner;
  }

  /** The current unnamed statement; undefined: there is none. */
  get statement(): Statement | undefined {
    return this.current;
  }

  parse(sql: Buffer, types: Buffer): Statement {
    const own = Buffer.from(sql);
    const { live } = this.owner.state;
    const classified = this.owner.classify(own);
    return (this.current = { serverName: '', sql: own, types: Buffer.from(types), classified, settings: live });
  }

  /** It was parsed in another process. */
  arrive({ sql, types, settings, description }: ArrivedStatement): void {
    const classified = this.owner.classify(sql, this.owner.state.readingIn(settings));
    this.current = { serverName: '', sql, types, classified, settings, ...(description && { description }) };
  }

  /**
   * The Parse of `statement` was skipped or failed: `before` is the unnamed statement, unless a later Parse has
   * replaced it.
   */
  neverParsed(statement: Statement, before: Statement | undefined): void {
    statement.instead = { statement: before };
    while (this.current?.instead !== undefined) this.current = this.current.instead.statement;
  }

  /** A simple Query removes the unnamed statement. */
  drop(): void {
    this.current = this.closedBy = undefined;
  }

  /** @returns a function that undoes the Close */
  close(): () => void {
    const { current: before, closedBy: closeBefore } = this;
    const close = (this.closedBy = {});
    this.current = undefined;
    return () => {
      // A later Query has removed the statement in any case.
      if (this.closedBy !== close) return;
      this.current ??= before;
      this.closedBy = closeBefore;
    };
  }
}
