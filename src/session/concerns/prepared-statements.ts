/**
 * The prepared statements and portals of a client, by the client's own names: what each name means now, and how to
 * undo a change if the message that made it was not executed. Names on servers: request/prepared/names.ts.
 */
import { TxStatus } from '../../protocol/codes.ts';
import type { Plan } from '../../binding/plan.ts';
import type { Classified, StatementFacts } from '../../sql/facts.ts';
import { hasTimeWord } from '../../sql/time-words.ts';
import { arrive, otherCatalog, packStatements, statementsIn, type PackedStatements } from '../packed-statements.ts';
import type { Reading } from '../reading.ts';
import { isDescribedByNames, maySpeakOfNames, type Borrowed, type Statement } from '../statements.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';
import { UnnamedStatement } from './unnamed-statement.ts';
import type { Writes } from './writes.ts';

/** What it needs of its session in addition. */
interface Owner extends ConcernOwner {
  readonly identity: { readonly user: string };
  readonly concerns: { readonly writes: Writes };
  classify(sql: Buffer, reading?: Reading): Classified;
}

/**
 * A statement that the server knows by the client's own name; `empty`: a placeholder, because only the name was
 * needed.
 */
type OwnName = 'real' | 'empty';

const noStatements: ReadonlyMap<string, Statement> = new Map();

export class PreparedStatements implements Concern {
  private readonly owner: Owner;
  readonly unnamed: UnnamedStatement;
  private statements: Map<string, Statement> | undefined;
  private borrowed: Map<string, Borrowed> | undefined;
  /** Plans of the portals of the current batch or transaction. */
  private portals: Map<string, Plan> | undefined;
  private evicted: Set<string> | undefined;
  /** Statements that the session's server knows by the client's own names: SQL PREPARE and what EXECUTE needed. */
  private ownNames: Map<string, OwnName> | undefined;
  private isUnsure = false;

  constructor(owner: Owner) {
    this.owner = owner;
    this.unnamed = new UnnamedStatement(owner);
  }

  /** A Parse or Close of a statement is in flight: until its answer the meaning of a name is not certain. */
  get hasNamesInFlight(): boolean {
    return this.isUnsure;
  }

  /** Parse or Close of a statement is about to be sent. */
  namesSent(): void {
    this.isUnsure = true;
  }

  /* ---- named statements ---- */

  /** The client's prepared statements by its own names. */
  get all(): ReadonlyMap<string, Statement> {
    return this.statements ?? noStatements;
  }

  /** @returns undefined also for '' (the unnamed statement) */
  named(name: string): Statement | undefined {
    return this.statements?.get(name);
  }

  /**
   * @returns the statement that another client has already prepared with this text and may be shared; undefined: none
   */
  known(sql: Buffer, types: Buffer): Statement | undefined {
    return this.owner.services.book.find(sql, types, this.sharingKey(sql));
  }

  /** @param name as used by the client; '' is the unnamed statement */
  get(name: string): Statement | undefined {
    return name === '' ? this.unnamed.statement : this.statements?.get(name);
  }

  enter(name: string, sql: Buffer, types: Buffer): Statement {
    const { book } = this.owner.services;
    const statement = book.enter(sql, types, this.sharingKey(sql), this.owner.state.live, (text) =>
      this.owner.classify(text),
    );
    (this.statements ??= new Map()).set(name, statement);
    return statement;
  }

  /** Enters the statement of that name again, as if the client prepared it now. */
  renew(name: string): void {
    const statement = this.leave(name);
    if (statement !== undefined) this.enter(name, statement.sql, statement.types);
  }

  /**
   * @returns the key of the clients that may share a statement prepared now; undefined: its meaning depends on this
   * session
   */
  private sharingKey(sql: Buffer): string | undefined {
    if (this.owner.state.isPinned || this.owner.concerns.writes.changesCatalog || hasTimeWord(sql)) return undefined;
    if (maySpeakOfNames(sql) && isDescribedByNames(this.owner.classify(sql))) return undefined;
    const { database, identity, services, state } = this.owner;
    // A name in the text may mean another table, or none, for a user without rights on its schema.
    const who = `${database.name}|${database.serverUser(identity.user)}|${state.live.forCacheKey}`;
    return services.book.sceneOf(database.topology.catalog(), who);
  }

  leave(name: string): Statement | undefined {
    const statement = this.statements?.get(name);
    if (statement === undefined) return undefined;
    this.statements?.delete(name);
    this.borrowed?.delete(name);
    this.owner.services.book.leave(statement);
    return statement;
  }

  /** Call if the statement's Parse was not executed. */
  forget(name: string, statement: Statement): void {
    if (this.statements?.get(name) === statement) this.leave(name);
  }

  /** Call if the statement's Close was not executed. */
  restore(name: string, statement: Statement): void {
    (this.statements ??= new Map()).set(name, statement);
    this.owner.services.book.keep(statement);
  }

  /**
   * Applies a PREPARE, DEALLOCATE or DISCARD ALL in SQL to the client's names. @returns a function that undoes it;
   * undefined if the statement changes no name
   */
  changedBySql(facts: StatementFacts): (() => void) | undefined {
    const { kind, name } = facts;
    if (facts.discards === 'all' || (kind === 'deallocate' && name === undefined)) return this.leaveAll();
    if (name === undefined) return undefined;
    if (kind === 'prepare') {
      if (this.ownNames?.has(name) === true || this.statements?.has(name) === true) return undefined;
      (this.ownNames ??= new Map()).set(name, 'real');
      return () => this.leaveOwnName(name);
    }
    if (kind !== 'deallocate') return undefined;
    const statement = this.leave(name);
    const own = this.ownNames?.get(name);
    this.leaveOwnName(name);
    return () => {
      if (statement !== undefined) this.restore(name, statement);
      if (own !== undefined) this.setOwnName(name, own);
    };
  }

  private leaveAll(): () => void {
    const { statements, ownNames } = this;
    const { server } = this.owner;
    const prepared = server?.prepared.list() ?? [];
    for (const statement of statements?.values() ?? []) this.owner.services.book.leave(statement);
    this.statements = undefined;
    this.borrowed = undefined;
    this.ownNames = undefined;
    server?.prepared.clear();
    return () => {
      for (const [name, statement] of statements ?? []) this.restore(name, statement);
      this.ownNames = ownNames;
      for (const serverName of prepared) server?.prepared.restore(serverName);
    };
  }

  /* ---- statements that the client got without a question to a server (prepared/borrowed.ts) ---- */

  borrow(name: string, borrowed: Borrowed): void {
    (this.borrowed ??= new Map()).set(name, borrowed);
  }

  borrowedAs(name: string): Borrowed | undefined {
    return this.borrowed?.get(name);
  }

  /** The statement counts as prepared by the client itself from now on. */
  noLongerBorrowed(name: string): void {
    this.borrowed?.delete(name);
  }

  /* ---- portals ---- */

  bindPortal(name: string, plan: Plan): void {
    (this.portals ??= new Map()).set(name, plan);
  }

  /** The plan of a portal of the current batch or transaction. */
  portal(name: string): Plan | undefined {
    return this.portals?.get(name);
  }

  /* ---- names of statements to be closed on the server before the next Sync ---- */

  evict(serverName: string): void {
    (this.evicted ??= new Set()).add(serverName);
  }

  isEvicted(serverName: string): boolean {
    return this.evicted?.has(serverName) === true;
  }

  /** The statement is used again, so it is not closed. @returns false: it was not to be closed */
  keep(serverName: string): boolean {
    return this.evicted?.delete(serverName) === true;
  }

  /** @returns the names to be closed, and empties the set */
  takeEvicted(): ReadonlySet<string> | undefined {
    const { evicted } = this;
    this.evicted = undefined;
    return evicted;
  }

  /* ---- the client's own names on its server ---- */

  ownName(name: string): OwnName | undefined {
    return this.ownNames?.get(name);
  }

  /** The server no longer has a statement of that name. */
  leaveOwnName(name: string): void {
    if (this.ownNames?.delete(name) === true && this.ownNames.size === 0) this.owner.state.unpin('PREPARE');
  }

  /**
   * The server has a statement of that name from now on, or still has it because the message that was to remove it did
   * not run.
   */
  setOwnName(name: string, own: OwnName): void {
    (this.ownNames ??= new Map()).set(name, own);
    this.owner.state.pin('PREPARE');
  }

  /* ---- moments ---- */

  beforeSend(request: Request): void {
    if (request.names.makes) this.isUnsure = true;
  }

  beforeMore(request: Request): void {
    if (request.names.makes) this.isUnsure = true;
  }

  statementDone(facts: StatementFacts, _tag: string, isQuery: boolean): void {
    if (isQuery) this.changedBySql(facts);
  }

  readyForQuery(_unit: Request, status: number): void {
    if (this.owner.inFlight.length > 0) return;
    this.isUnsure = false;
    // A portal lasts until the end of its transaction, across any number of Syncs.
    if (status === TxStatus.Idle) this.portals = undefined;
  }

  runsAgain(): void {
    this.isUnsure = false;
  }

  serverLeft(): void {
    this.portals = undefined;
  }

  serverForgotten(): void {
    this.evicted = undefined;
  }

  holdsUp(): string | undefined {
    if (this.isUnsure) return 'the answer to a Parse or Close';
    return this.ownNames === undefined || this.ownNames.size === 0 ? undefined : 'statements that its server knows';
  }

  pack(): PackedStatements | undefined {
    return packStatements(this.owner.services.book, this.all, this.unnamed.statement, this.borrowed);
  }

  unpack(packed: unknown): void {
    const { book } = this.owner.services;
    const { named, unnamed, borrowed } = statementsIn(packed);
    for (const each of named) {
      const reading = this.owner.state.readingIn(each.settings);
      const statement = arrive(book, each, (text) => this.owner.classify(text, reading));
      (this.statements ??= new Map()).set(each.name, statement);
    }
    if (unnamed !== undefined) this.unnamed.arrive(unnamed);
    for (const name of borrowed) this.borrow(name, { ddlHere: book.ddlHere, catalogMark: otherCatalog });
  }

  closed(): void {
    for (const statement of this.all.values()) this.owner.services.book.leave(statement);
    this.statements = undefined;
  }
}
