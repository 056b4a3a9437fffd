/**
 * Prepared statements of the extended protocol: one name on the servers for each distinct (text, parameter types) in one
 * setting of the scene, whatever the clients call it. The book is shared by all sessions of the process; a session keeps
 * a small map.
 */
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
  /** Those in which it was first prepared: as far as they decide how a text is read, so it is wherever else it is prepared. */
  readonly settings: Settings;
  /** What it was where it was first prepared, as soon as that is known: wherever else it is prepared, it has to be that. */
  description?: Description;
  /** An unnamed one whose Parse did not happen: what there was before it. */
  instead?: { readonly statement: Statement | undefined };
}

/** FETCH and EXECUTE bring what the client's own cursor or statement of that name does: that is nobody else's. */
const describedByNames: ReadonlySet<StatementKind> = new Set(['fetch', 'execute']);

export function isDescribedByNames({ facts }: Classified): boolean {
  return describedByNames.has(facts.statements[0]?.kind ?? 'unknown');
}

/** Only such a text can be one: asked first, as most have no such word. */
export function maySpeakOfNames(sql: Buffer): boolean {
  return /\b(?:fetch|move|execute)\b/i.test(sql.toString('latin1'));
}

/** What the book knew of the catalog when a client was given a statement that others had prepared (prepared/borrowed.ts). */
export interface Borrowed {
  readonly ddlHere: number;
  readonly catalogMark: string;
}

/** Statements that nobody uses any more are kept for the next client that prepares them, up to this many. */
const keptUnused = 5_000;
/** And up to this many bytes of text. */
const keptUnusedBytes = 16 * 1024 * 1024;

interface Entry {
  readonly statement: Statement;
  /** undefined: its client's alone. */
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
  private lastId = 0;
  private lastCatalogId = 0;
  private epoch = 0;
  /** How often clients of this Weir have run DDL. Only of that is it known whether it came before or after a Parse. */
  ddlHere = 0;

  get size(): number {
    return this.entries.size;
  }

  /** The catalog may have changed: what was prepared before stays with who has it, and nobody else gets it. */
  catalogChanged(): void {
    this.epoch++;
  }

  /** A client of this Weir has committed DDL. */
  ddlDone(): void {
    this.ddlHere++;
    this.catalogChanged();
  }

  /** Identifies the state of the catalog: it is another one after every change, also after one that may not have happened. */
  catalogMark(catalog: object | undefined): string {
    let id = 0;
    if (catalog !== undefined) {
      id = this.catalogIds.get(catalog) ?? ++this.lastCatalogId;
      this.catalogIds.set(catalog, id);
    }
    return `${this.epoch}.${id}`;
  }

  /**
   * Between what clients the plan of a text can be shared: PostgreSQL resolves names and reads constants at Parse.
   * @param settings of whom and with which settings: all of it that can matter for that
   */
  sceneOf(catalog: object | undefined, settings: string): string {
    return `${this.catalogMark(catalog)}|${settings}`;
  }

  /** What `enter` would find. */
  find(sql: Buffer, types: Buffer, scene: string | undefined): Statement | undefined {
    const key = keyOf(sql, types, scene);
    return key === undefined ? undefined : this.entries.get(key)?.statement;
  }

  /**
   * The statement for this text and these types, now with one user more. The buffers are copied. `scene` undefined: not to
   * be shared.
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

  /** Its user of before has it again. */
  keep(statement: Statement): void {
    const entry = this.byStatement.get(statement);
    if (entry === undefined) return;
    if (entry.users++ === 0 && this.isListed(entry)) this.count(entry, -1);
  }

  private isListed(entry: Entry): boolean {
    return entry.key !== undefined && this.entries.get(entry.key) === entry;
  }

  /** One user less. */
  leave(statement: Statement): void {
    const entry = this.byStatement.get(statement);
    if (entry === undefined || entry.users === 0) return;
    if (--entry.users > 0 || !this.isListed(entry)) return;
    this.count(entry, 1);
    if (this.unused <= keptUnused && this.unusedBytes <= keptUnusedBytes) return;
    for (const [key, old] of this.entries) {
      if (old.users > 0) continue;
      this.entries.delete(key);
      this.count(old, -1);
      if (this.unused <= keptUnused / 2 && this.unusedBytes <= keptUnusedBytes / 2) return;
    }
  }

  /** One more, or one less, that nobody uses. */
  private count({ statement }: Entry, one: 1 | -1): void {
    this.unused += one;
    this.unusedBytes += one * statement.sql.length;
  }
}
