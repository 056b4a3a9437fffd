/**
 * The prepared statements and portals of a client, by the client's own names: what each name means now, and how that is taken
 * back if the message that changed it turns out not to have happened. What they are called on a server is
 * request/prepared/names.ts.
 */
import type { ServerConnection } from '../../backend/server.ts';
import type { Plan } from '../../binding/plan.ts';
import type { Classified, StatementFacts } from '../../sql/facts.ts';
import { hasTimeWord } from '../../sql/time-words.ts';
import type { Database, Services } from '../context.ts';
import type { SessionState } from '../state.ts';
import { isDescribedByNames, maySpeakOfNames, type Borrowed, type Statement } from '../statements.ts';

/** What it has to know of its session. */
interface Owner {
  readonly services: Services;
  readonly database: Database;
  readonly identity: { readonly user: string };
  readonly state: SessionState;
  readonly server: ServerConnection | undefined;
  readonly writes: { readonly changesCatalog: boolean } | undefined;
  classify(sql: Buffer): Classified;
}

export class PreparedStatements {
  private readonly owner: Owner;
  /** The client's prepared statements by its own names. */
  statements: Map<string, Statement> | undefined;
  /** Of those, the ones that no server was asked about for this client (prepared/borrowed.ts). */
  borrowed: Map<string, Borrowed> | undefined;
  unnamed: Statement | undefined;
  /** Identifies the Close that removed the unnamed statement; undefined again after a later Query. */
  unnamedClose: object | undefined;
  /** Plans of the portals of this batch or transaction. */
  portals: Map<string, Plan> | undefined;
  /** Names of statements to be closed on the server before the next Sync. */
  evicted: Set<string> | undefined;
  /**
   * Statements that the session's server knows by the client's own names: SQL PREPARE and what EXECUTE needed; `empty`
   * when only the name was needed.
   */
  ownNames: Map<string, 'real' | 'empty'> | undefined;
  /** Parse or Close of a statement is on its way: what a name means is not sure before its answer. */
  hasNamesInFlight = false;

  constructor(owner: Owner) {
    this.owner = owner;
  }

  unnamedFrom(sql: Buffer, types: Buffer): Statement {
    const own = Buffer.from(sql);
    const { live } = this.owner.state;
    return {
      serverName: '',
      sql: own,
      types: Buffer.from(types),
      classified: this.owner.classify(own),
      settings: live,
    };
  }

  /** The Parse of an unnamed statement was skipped or failed: `before` is the unnamed statement, unless a later Parse has replaced it. */
  neverParsed(statement: Statement, before: Statement | undefined): void {
    statement.instead = { statement: before };
    while (this.unnamed?.instead !== undefined) this.unnamed = this.unnamed.instead.statement;
  }

  /** The statement that others have for this text already. */
  known(sql: Buffer, types: Buffer): Statement | undefined {
    return this.owner.services.book.find(sql, types, this.sharingKey(sql));
  }

  /** What the client calls `name`. */
  get(name: string): Statement | undefined {
    return name === '' ? this.unnamed : this.statements?.get(name);
  }

  enter(name: string, sql: Buffer, types: Buffer): Statement {
    const { book } = this.owner.services;
    const statement = book.enter(sql, types, this.sharingKey(sql), this.owner.state.live, (text) =>
      this.owner.classify(text),
    );
    (this.statements ??= new Map()).set(name, statement);
    return statement;
  }

  /** The client has the statement of that name as if it prepared it now. */
  renew(name: string): void {
    const statement = this.leave(name);
    if (statement !== undefined) this.enter(name, statement.sql, statement.types);
  }

  /** With which clients a statement prepared now may be shared; undefined: with none, as what it means is this session's alone. */
  private sharingKey(sql: Buffer): string | undefined {
    if (this.owner.state.isPinned || this.owner.writes?.changesCatalog === true || hasTimeWord(sql)) return undefined;
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

  /** Its Parse did not happen. */
  forget(name: string, statement: Statement): void {
    if (this.statements?.get(name) === statement) this.leave(name);
  }

  /** Its Close did not happen. */
  restore(name: string, statement: Statement): void {
    (this.statements ??= new Map()).set(name, statement);
    this.owner.services.book.keep(statement);
  }

  /**
   * PREPARE, DEALLOCATE or DISCARD ALL in SQL: what the client's names mean from then on. Returns how to take it back,
   * undefined if it is none of these.
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
      if (own !== undefined) this.restoreOwnName(name, own);
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

  /** The server no longer has a statement of that name. */
  leaveOwnName(name: string): void {
    if (this.ownNames?.delete(name) === true && this.ownNames.size === 0) this.owner.state.unpin('PREPARE');
  }

  /** It still has one: the message that was to remove it did not run. */
  restoreOwnName(name: string, own: 'real' | 'empty'): void {
    (this.ownNames ??= new Map()).set(name, own);
    this.owner.state.pin('PREPARE');
  }
}
