/**
 * The facts of one statement while they are being collected, and how they become StatementFacts. Names are collected in
 * draft-names.ts, settings in draft-settings.ts. Made and filled in by the extract-*.ts files only.
 */
import { DraftNames } from './draft-names.ts';
import { DraftSettings } from './draft-settings.ts';
import type { CursorHold, StatementFacts, StatementKind, TransactionVerb } from './facts.ts';

type Isolation = StatementFacts['isolation'];

const ISOLATION_LEVELS: ReadonlySet<string> = new Set([
  'read uncommitted',
  'read committed',
  'repeatable read',
  'serializable',
]);

/** The text uses something that this version cannot judge: the whole text becomes one unknown statement. */
export class UnsupportedSyntax extends Error {}

/** A statement such as BEGIN, COMMIT or SET TRANSACTION. */
export interface TransactionDraft {
  readonly verb: TransactionVerb;
  readonly isReadOnly: boolean;
  readonly isChained: boolean;
}

/** A DO block. */
export interface BlockDraft {
  readonly text: string | undefined;
  readonly leavesState: boolean;
}

/** What a SELECT, or a SELECT inside of another statement, has besides names. */
export class QueryDraft {
  /** FOR UPDATE, FOR SHARE and the like, at any place. */
  hasLocking = false;
  /** TABLESAMPLE. */
  isArbitrary = false;
  /** SELECT ... INTO, at any place. */
  hasInto = false;
  /** Kinds of the parts that modify data: outermost first, then in the order of the text. */
  readonly modifies: StatementKind[] = [];
}

/** Whether a table is created as temporary. */
export class TemporaryTableDraft {
  isCreated = false;
  /** ON COMMIT DROP. */
  isDroppedOnCommit = false;
}

export class Draft {
  kind: StatementKind = 'unknown';
  verb = '';
  /** Of a prepared statement, cursor, channel or savepoint. */
  name: string | undefined;
  /** The prepared statement that EXECUTE runs. */
  executes: string | undefined;
  cursor: CursorHold | undefined;
  discards: StatementFacts['discards'];
  shows: string | undefined;
  isExplain = false;
  isolation: Isolation;
  /** Only for statements about transactions. */
  transaction: TransactionDraft | undefined;
  /** Only for DO. */
  block: BlockDraft | undefined;
  readonly names = new DraftNames();
  readonly settings = new DraftSettings();
  readonly query = new QueryDraft();
  readonly temporary = new TemporaryTableDraft();

  addWrite(schema: string | undefined, name: string): void {
    this.names.addWrite(schema, name);
    if (schema !== undefined && isTemporarySchema(schema)) this.temporary.isCreated = true;
  }

  setIsolation(level: string): void {
    const lower = level.trim().toLowerCase().replace(/\s+/g, ' ');
    // Another word is an error on the server. Until the server says so, the strictest level counts.
    this.isolation = ISOLATION_LEVELS.has(lower) ? (lower as NonNullable<Isolation>) : 'serializable';
  }

  /** EXPLAIN without ANALYZE: the statement is planned and not run, so it writes and sets nothing. */
  onlyPlans(): void {
    this.settings.clear();
    this.names.writesBecomeReads();
    this.query.hasInto = this.temporary.isCreated = this.temporary.isDroppedOnCommit = false;
  }

  finish(): StatementFacts {
    const { names, settings, query, temporary, transaction, block } = this;
    const found = names.finish();
    const runs = this.kind !== 'explain' && this.kind !== 'prepare';
    return {
      kind: this.kind,
      verb: this.verb,
      reads: found.reads,
      writes: found.writes,
      functions: found.functions,
      operators: found.operators,
      casts: found.casts,
      textCasts: found.textCasts,
      hasLocking: query.hasLocking,
      valueFunctions: found.valueFunctions,
      isArbitrary: query.isArbitrary,
      transaction: transaction?.verb,
      beginsReadOnly: transaction?.verb === 'begin' && transaction.isReadOnly,
      isolation: this.isolation,
      chains: transaction?.isChained === true,
      settings: settings.changes,
      boundSettings: settings.bound,
      hidesSettings: runs && settings.isIncomplete(names.callsOf('set_config')),
      resetsAll: settings.resetsAll,
      discards: this.discards,
      shows: this.shows,
      name: this.name,
      executes: this.executes,
      cursor: this.cursor,
      createsTemporary: temporary.isCreated,
      dropsOnCommit: temporary.isDroppedOnCommit,
      leavesState: block?.leavesState === true,
      body: block?.text,
      isExplain: this.isExplain,
    };
  }
}

/** pg_temp and the session's own pg_temp_3. */
export function isTemporarySchema(schema: string): boolean {
  return /^pg_temp(?:_\d+)?$/.test(schema);
}

/** A statement of which only the first keyword is known ('' = none). */
export function unknownStatement(kind: 'unknown' | 'empty', verb: string): StatementFacts {
  const draft = new Draft();
  draft.kind = kind;
  draft.verb = verb;
  return draft.finish();
}
