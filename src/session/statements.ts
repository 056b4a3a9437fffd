/**
 * Prepared statements of the extended protocol: one name on the servers for each distinct (text, parameter types),
 * whatever the clients call it. The book is shared by all sessions of the process; a session keeps a small map.
 */
import type { Classified } from '../sql/facts.ts';

export interface Statement {
  /** Its name on every server that has it; '' for an unnamed one. */
  readonly serverName: string;
  readonly sql: Buffer;
  /** Int16 count and the OIDs, as in Parse. */
  readonly types: Buffer;
  readonly classified: Classified;
}

/** Statements that nobody uses any more are kept for the next client that prepares them, up to this many. */
const keptUnused = 5_000;

interface Entry {
  readonly statement: Statement;
  readonly key: string;
  users: number;
}

export class StatementBook {
  private readonly entries = new Map<string, Entry>();
  private readonly byStatement = new WeakMap<Statement, Entry>();
  private unused = 0;
  private lastId = 0;

  get size(): number {
    return this.entries.size;
  }

  /** The statement for this text and these types, now with one user more. The buffers are copied. */
  enter(sql: Buffer, types: Buffer, classify: (sql: Buffer) => Classified): Statement {
    const key = `${types.toString('latin1')}|${sql.toString('latin1')}`;
    let entry = this.entries.get(key);
    if (entry === undefined) {
      const own = Buffer.from(sql);
      const statement: Statement = {
        serverName: `weir_${++this.lastId}`,
        sql: own,
        types: Buffer.from(types),
        classified: classify(own),
      };
      entry = { statement, key, users: 0 };
      this.entries.set(key, entry);
      this.byStatement.set(statement, entry);
    } else if (entry.users === 0) {
      this.unused--;
    }
    entry.users++;
    return entry.statement;
  }

  /** One user less. */
  leave(statement: Statement): void {
    const entry = this.byStatement.get(statement);
    if (entry === undefined || entry.users === 0) return;
    if (--entry.users > 0) return;
    this.unused++;
    if (this.unused <= keptUnused) return;
    for (const old of this.entries.values()) {
      if (old.users > 0) continue;
      this.entries.delete(old.key);
      this.unused--;
      if (this.unused <= keptUnused / 2) return;
    }
  }

  /** For SHOW PREPARED. */
  *list(): Iterable<{ statement: Statement; users: number }> {
    for (const entry of this.entries.values()) yield { statement: entry.statement, users: entry.users };
  }
}
