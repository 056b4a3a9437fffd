/**
 * What can be known about a statement from its text alone. sql/ fills it in, binding/ looks its names up in a catalog, and
 * session/ follows its effects. Immutable, and shared by all texts with the same template. Names are as written, not
 * resolved.
 */

export type StatementKind =
  | 'select' // SELECT, VALUES, TABLE, WITH ... SELECT without data-modifying parts
  | 'insert'
  | 'update'
  | 'delete'
  | 'merge'
  | 'truncate'
  | 'copy-from'
  | 'copy-to'
  | 'explain' // without ANALYZE; with it, the facts are those of the explained statement
  | 'ddl' // CREATE ALTER DROP COMMENT SECURITY LABEL REINDEX ...: everything that changes the catalog
  | 'grant' // GRANT, REVOKE, policies, roles
  | 'refresh' // REFRESH MATERIALIZED VIEW
  | 'maintenance' // VACUUM ANALYZE CLUSTER CHECKPOINT, COPY ... TO a file or program of the server
  | 'transaction'
  | 'set' // SET, RESET
  | 'show'
  | 'prepare'
  | 'execute'
  | 'deallocate'
  | 'discard'
  | 'declare'
  | 'fetch' // FETCH, MOVE
  | 'close'
  | 'listen'
  | 'unlisten'
  | 'notify'
  | 'lock'
  | 'call'
  | 'do'
  | 'load'
  | 'empty'
  | 'unknown'; // not parsed: too long, a syntax error, or newer than the parser

export type TransactionVerb =
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'savepoint'
  | 'release'
  | 'rollback-to'
  | 'prepare-transaction'
  | 'commit-prepared'
  | 'rollback-prepared'
  | 'set-transaction';

/** A relation as written. `schema` undefined: to be found through the search_path. */
export interface RelationName {
  readonly schema: string | undefined;
  readonly name: string;
}

/**
 * A function call as written; `args` is the number of arguments as pg_proc counts them: 0 for `*`, 1 for VARIADIC and
 * its array, those of WITHIN GROUP (ORDER BY ...) behind the direct ones.
 */
export interface FunctionCall extends RelationName {
  readonly args: number;
  /** First argument of set_config, current_setting, nextval, setval, currval and pg_notify when it is a string constant. */
  readonly firstConstant: string | undefined;
}

/**
 * SET, RESET, SET LOCAL, SET ROLE ..., set_config() with constant arguments at the top level of a SELECT that yields
 * one row. Calls of set_config in `functions` beyond the number of settings could not be followed. Not in here: the
 * parameters of the running transaction (transaction_isolation ...), which are a SET TRANSACTION.
 */
export interface SettingChange {
  /** Lower case; "role", "session_authorization", "timezone", "search_path" in their canonical names. */
  readonly name: string;
  /** Ready to be put behind `SET name =`, i.e. quoted as needed; undefined: RESET / SET ... TO DEFAULT. */
  readonly value: string | undefined;
  /** The plain value (a single argument without its quotes; lists joined with ", "). */
  readonly plain: string | undefined;
  readonly isLocal: boolean;
}

/** An argument of set_config(): a constant as text (null: NULL), or the number of a parameter, whose value comes in Bind. */
export type SettingArgument = string | null | number;

/** A call of set_config() of which some argument comes in Bind. */
export interface BoundSetting {
  readonly name: SettingArgument;
  readonly value: SettingArgument;
  readonly isLocal: SettingArgument;
}

/** Where the value of an expression comes from, if it may be text. `any`: unknown. */
export interface TextSource {
  readonly kind: 'any' | 'call' | 'column' | 'operator' | 'type';
  readonly name: string;
}

/** A conversion to `type` of a value that may be text and is neither a constant nor a parameter. */
export interface TextCast {
  readonly type: string;
  readonly source: TextSource;
}

export type CursorHold = 'hold' | 'no-hold';

export interface StatementFacts {
  readonly kind: StatementKind;
  /** First keyword(s), upper case, for people: "SELECT", "CREATE TABLE", "WITH ... INSERT". */
  readonly verb: string;
  /** Relations read anywhere in it (FROM, subqueries, CTEs' bodies; CTE names themselves are not relations). */
  readonly reads: readonly RelationName[];
  /** Relations that it writes by name: targets of DML anywhere (also in CTEs), TRUNCATE, COPY FROM, SELECT INTO, REFRESH, DDL targets where named. */
  readonly writes: readonly RelationName[];
  readonly functions: readonly FunctionCall[];
  /** Operator names as written (without OPERATOR() schema), only those that are not plain comparison of the core. */
  readonly operators: readonly string[];
  /** Type names that values are cast to, e.g. "timestamptz", "regclass", "public.mood". */
  readonly casts: readonly string[];
  /** Conversions whose input was not checked for words such as 'now'; also f(x), which may mean x::f. */
  readonly textCasts: readonly TextCast[];
  /** FOR UPDATE / NO KEY UPDATE / SHARE / KEY SHARE anywhere. */
  readonly hasLocking: boolean;
  /**
   * CURRENT_DATE, CURRENT_TIMESTAMP, LOCALTIME, CURRENT_USER, SESSION_USER ...: upper case names, sorted. A constant
   * such as 'now' or 'today' counts as CURRENT_TIMESTAMP: the type of a column can make it one without any cast.
   */
  readonly valueFunctions: readonly string[];
  /** TABLESAMPLE, or anything else that makes a result arbitrary by construction. */
  readonly isArbitrary: boolean;
  readonly transaction: TransactionVerb | undefined;
  /** BEGIN READ ONLY / START TRANSACTION READ ONLY, but not SERIALIZABLE, which a hot standby does not have. */
  readonly beginsReadOnly: boolean;
  /** BEGIN / SET TRANSACTION ISOLATION LEVEL as written, lower case, if any. */
  readonly isolation: 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable' | undefined;
  /** COMMIT AND CHAIN, ROLLBACK AND CHAIN. */
  readonly chains: boolean;
  readonly settings: readonly SettingChange[];
  /** All calls of set_config() in it, if each can be followed once its parameters are known; undefined: no parameters. */
  readonly boundSettings: readonly BoundSetting[] | undefined;
  /** A call of set_config() that is not in `settings` may set one of READING_PARAMETERS (settings.ts). */
  readonly hidesSettings: boolean;
  /** RESET ALL. */
  readonly resetsAll: boolean;
  readonly discards: 'all' | 'plans' | 'temp' | 'sequences' | undefined;
  /** SHOW x: the name, lower case. */
  readonly shows: string | undefined;
  /** Names for PREPARE / EXECUTE / DEALLOCATE (undefined with kind deallocate: ALL), DECLARE / FETCH / CLOSE, LISTEN / UNLISTEN ("*"), NOTIFY, SAVEPOINT, ALTER ROLE / DATABASE / SYSTEM ... SET. */
  readonly name: string | undefined;
  /** The prepared statement that EXECUTE runs: by itself, in EXPLAIN, or in CREATE TABLE AS. */
  readonly executes: string | undefined;
  readonly cursor: CursorHold | undefined;
  /** CREATE TEMP ..., SELECT INTO TEMP, or a write to pg_temp. */
  readonly createsTemporary: boolean;
  /** CREATE TEMP ... ON COMMIT DROP. */
  readonly dropsOnCommit: boolean;
  /** A DO block whose text has words for settings, temporary tables, locks and the like, which it may leave in the session. */
  readonly leavesState: boolean;
  /** The text of a DO block in PL/pgSQL. */
  readonly body: string | undefined;
  /** EXPLAIN of any form: its answer is a plan, never cached. */
  readonly isExplain: boolean;
}

/** A comment at the beginning or end of a text: `weir: route=replica cache=30s tags=user:42,users`. */
export interface Hints {
  readonly route: 'auto' | 'primary' | 'replica' | undefined;
  readonly consistency: 'eventual' | 'session' | 'strict' | undefined;
  /** 'on', 'off', or a time to live in milliseconds. */
  readonly cache: 'on' | 'off' | number | undefined;
  readonly priority: 'high' | 'normal' | 'low' | undefined;
  /** For load_balance_hosts = hash. */
  readonly key: string | undefined;
  readonly tags: readonly string[];
  /** What was wrong in the comment, in words; such a hint is ignored and the reason says so. */
  readonly problem: string | undefined;
}

/** The facts of one Query message or one Parse text. */
export interface QueryFacts {
  /** The text without literals and comments: identifies it in statistics. At most 2,000 characters. */
  readonly template: string;
  /** Never empty: a text without a statement is one of kind 'empty'. */
  readonly statements: readonly StatementFacts[];
  /** Why the text was not parsed; it is then one statement of kind 'unknown'. */
  readonly unparsed: string | undefined;
  /** The first word of a text that could not be read (unread-texts.ts), if it has one: the facts are those of another text. */
  readonly unreadVerb?: string;
}

export interface Classified {
  /** The same object for every text with the same template (so it can key a WeakMap). */
  readonly facts: QueryFacts;
  readonly hints: Hints | undefined;
}

export interface Classifier {
  /** `sql` are the bytes of the text without the terminating zero. Never throws. */
  classify(sql: Buffer): Classified;
  /** @param share of their size that its caches may use from now on. @returns the bytes given back, roughly */
  keepShare(share: number): number;
}

/** Classifies texts that cannot be read (unread-texts.ts). */
export interface UnreadClassifier {
  /** @param sql the whole text */
  of(sql: Buffer): Classified;
  /** @param beginning of a text that is being streamed */
  ofPiece(beginning: Buffer): Classified;
}
