/**
 * Prepared statements of the extended protocol. Statements with equal text, parameter types and scene (catalog state,
 * user, settings) share one name on the servers, whatever clients call them. One StatementBook for all sessions of the
 * process.
 */
import { randomUUID } from 'node:crypto';
import type { Description } from '../protocol/description.ts';
import type { Classified, StatementKind } from '../sql/facts.ts';
import type { Settings } from './settings.ts';

export interface Statement {
  /** Its name on every server that has it; '' for an unnamed one. */
  readonly serverName: string;
  readonly sql: Buffer;
  /** Int16 count and the OIDs, as in Parse. */
  readonly types: Buffer;
  readonly classified: Classified;
  /**
   * The settings with which it was first prepared. Those that decide how a text is read apply wherever it is prepared
   * again.
   */
  readonly settings: Settings;
  /** Its description where it was first prepared, once known; it must be the same wherever it is prepared again. */
  description?: Description;
  /** For an unnamed statement whose Parse was not executed: the unnamed statement before it. */
  instead?: { readonly statement: Statement | undefined };
}

/** FETCH and EXECUTE depend on the client's own cursor or statement of that name, so they are not shared. */
const describedByNames: ReadonlySet<StatementKind> = new Set(['fetch', 'execute']);

export function isDescribedByNames({ facts }: Classified): boolean {
  return describedByNames.has(facts.statements[0]?.kind ?? 'unknown');
}

/** A quick test before isDescribedByNames: most texts contain none of these words. */
export function maySpeakOfNames(sql: Buffer): boolean {
  return /\b(?:fetch|move|execute)\b/i.test(sql.toString('latin1'));
}

/** The state of the catalog when a client got a statement that another client had prepared (prepared/borrowed.ts). */
export interface Borrowed {
  readonly ddlHere: number;
  readonly catalogMark: string;
}

/** Maximum number of unused statements, kept for the next client that prepares them. */
const keptUnused = 5_000;
/** Maximum size of their texts in bytes. */
const keptUnusedBytes = 16 * 1024 * 1024;

interface Entry {
  readonly statement: Statement;
  /** undefined: not shared with other clients. */
  readonly key: string | undefined;
  users: number;
}

function keyOf(sql: Buffer, types: Buffer, scene: string | undefined): string | undefined {
  return scene === undefined ? undefined : `${scene}|${types.toString('latin1')}|${sql.toString('latin1')}`;
}

export class StatementBook {
  private readonly entries = new Map<string, Entry>();
  private readonly byStatement = new WeakMap<Statement, Entry>();
  private readonly catalogIds = new WeakMap<object, number>();
  private unused = 0;
  private unusedBytes = 0;
  /** Less than 1 while memory is short. */
  private keptShare = 1;
  /** Identifies this book among those of other processes, whose names of statements are the same. */
  readonly id = randomUUID();
  private lastId = 0;
  private lastCatalogId = 0;
  private epoch = 0;
  /** Number of DDL commits by clients of this Weir. Only for these is the order relative to a Parse known. */
  ddlHere = 0;

  get size(): number {
    return this.entries.size;
  }

  /** The catalog may have changed: statements prepared before stay with their clients and are not given to others. */
  catalogChanged(): void {
    this.epoch++;
  }

  /** A client of this Weir has committed DDL. */
  ddlDone(): void {
    this.ddlHere++;
    this.catalogChanged();
  }

  /**
   * @returns an identifier of the catalog's state, which differs after every change, even one that may not have
   * happened
   */
  catalogMark(catalog: object | undefined): string {
    let id = 0;
    if (catalog !== undefined) {
      id = this.catalogIds.get(catalog) ?? ++this.lastCatalogId;
      this.catalogIds.set(catalog, id);
    }
    return `${this.epoch}.${id}`;
  }

  /**
   * @param settings the user and settings on which the meaning of a text depends
   * @returns the key of the clients that can share a statement: PostgreSQL resolves names and reads constants at Parse
   */
  sceneOf(catalog: object | undefined, settings: string): string {
    return `${this.catalogMark(catalog)}|${settings}`;
  }

  /** @returns the statement that `enter` would return if it exists already */
  find(sql: Buffer, types: Buffer, scene: string | undefined): Statement | undefined {
    const key = keyOf(sql, types, scene);
    return key === undefined ? undefined : this.entries.get(key)?.statement;
  }

  /**
   * Returns the statement for this text and these types, and counts one user more. Copies the buffers.
   * @param scene from sceneOf(); undefined: not to be shared
   */
  enter(
    sql: Buffer,
    types: Buffer,
    scene: string | undefined,
    settings: Settings,
    classify: (sql: Buffer) => Classified,
  ): Statement {
    const key = keyOf(sql, types, scene);
    let entry = key === undefined ? undefined : this.entries.get(key);
    if (entry === undefined) {
      const own = Buffer.from(sql);
      const statement: Statement = {
        serverName: `weir_${++this.lastId}`,
        sql: own,
        types: Buffer.from(types),
        classified: classify(own),
        settings,
      };
      entry = { statement, key, users: 0 };
      if (key !== undefined) this.entries.set(key, entry);
      this.byStatement.set(statement, entry);
    } else if (entry.users === 0) {
      this.count(entry, -1);
    }
    entry.users++;
    return entry.statement;
  }

  /** Counts a former user again. */
  keep(statement: Statement): void {
    const entry = this.byStatement.get(statement);
    if (entry === undefined) return;
    if (entry.users++ === 0 && this.isListed(entry)) this.count(entry, -1);
  }

  private isListed(entry: Entry): boolean {
    return entry.key !== undefined && this.entries.get(entry.key) === entry;
  }

  /** Counts one user less. */
  leave(statement: Statement): void {
    const entry = this.byStatement.get(statement);
    if (entry === undefined || entry.users === 0) return;
    if (--entry.users > 0 || !this.isListed(entry)) return;
    this.count(entry, 1);
    if (!this.isWithin(this.keptShare)) this.dropUnused(this.keptShare / 2);
  }

  /** How many clients have the statement. */
  usersOf(statement: Statement): number {
    return this.byStatement.get(statement)?.users ?? 0;
  }

  /** @param share of unused statements that are kept from now on. @returns the bytes given back */
  keepShare(share: number): number {
    const before = this.unusedBytes;
    this.keptShare = share;
    if (!this.isWithin(share)) this.dropUnused(share);
    return before - this.unusedBytes;
  }

  private isWithin(share: number): boolean {
    return this.unused <= keptUnused * share && this.unusedBytes <= keptUnusedBytes * share;
  }

  private dropUnused(share: number): void {
    for (const [key, old] of this.entries) {
      if (old.users > 0) continue;
      this.entries.delete(key);
      this.count(old, -1);
      if (this.isWithin(share)) return;
    }
  }

  /** Adds to the count of unused statements. */
  private count({ statement }: Entry, one: 1 | -1): void {
    this.unused += one;
    this.unusedBytes += one * statement.sql.length;
  }
}
