/**
 * The part of a database's system catalog that decisions need, read once and kept until it changes.
 * Pure data with look-ups; made by catalog/read-catalog.ts. OIDs are numbers.
 */

export type RelationKind =
  'table' | 'partitioned' | 'view' | 'matview' | 'index' | 'sequence' | 'foreign' | 'composite' | 'toast' | 'other';

export interface CatalogRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  readonly persistence: 'permanent' | 'unlogged' | 'temporary';
  readonly hasRowSecurity: boolean;
  /** Root of its partition or inheritance tree (itself if it has no parent). */
  readonly root: number;
  /**
   * For views and materialized views: relations and functions that the rule depends on, not expanded further. For tables
   * with row security: the same of their policies. Functions include those behind operators and casts; immutable
   * built-in ones are left out.
   */
  readonly viewRelations: readonly number[];
  readonly viewFunctions: readonly number[];
  /** Settings whose value it asks for, by current_setting('name'); such calls are not in viewFunctions. */
  readonly viewSettings: readonly string[];
  /** What a view does besides, in its own text. */
  readonly viewProblems: readonly ViewProblem[];
  /**
   * Relations that a write to any member of its tree can change through foreign-key actions (CASCADE, SET NULL, SET
   * DEFAULT), directly. `updatesTo` is the part with an ON UPDATE action.
   */
  readonly cascadesTo: readonly number[];
  readonly updatesTo: readonly number[];
  /** Every relation with a foreign key to a member of its tree: what TRUNCATE ... CASCADE empties. */
  readonly referencedBy: readonly number[];
  /**
   * Functions that run by themselves when a member of its tree is written: user triggers, and user functions that are
   * volatile and called by a column default, a CHECK constraint or a domain of a column.
   */
  readonly triggerFunctions: readonly number[];
  /**
   * Other functions that run when a member of its tree is written: those, not volatile by their declaration, of
   * defaults, generated columns, constraints, indexes, partition keys and domains; and those of rules.
   */
  readonly writeFunctions: readonly number[];
  /** It has rules other than a view's own. */
  readonly hasRules: boolean;
  /** A column default, CHECK constraint or rule of its tree calls currval() or lastval(). */
  readonly asksSequences: boolean;
  /** pg_catalog or information_schema. */
  readonly isSystem: boolean;
  /** Why reading it also reads something that a standby or a cache cannot answer: "has the unlogged partition public.p1". */
  readonly treeProblem: string | undefined;
}

/** A view's text locks rows, asks for CURRENT_DATE, CURRENT_USER ..., samples, advances a sequence, or casts to a type whose check is volatile. */
export type ViewProblem =
  'moment' | 'locks rows' | 'value function' | 'sample' | 'sequence' | 'volatile type' | 'catalog lookup';

export type Volatility = 'immutable' | 'stable' | 'volatile';

export interface CatalogFunction {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly volatility: Volatility;
  readonly language: string;
  /** Least and most arguments it takes (defaults; VARIADIC: maxArgs = Infinity). */
  readonly minArgs: number;
  readonly maxArgs: number;
  readonly isProcedure: boolean;
  readonly isSystem: boolean;
  /** A trigger function proven to change nothing but its own row (NEW). */
  readonly isHarmless: boolean;
  /** Volatile, and its source has words of DDL or of dynamic SQL in it: calling it may change the catalog. */
  readonly mayDefine: boolean;
  /** Volatile, and its source speaks of settings, temporary tables, locks or the like that it may leave in the session. */
  readonly leavesState: boolean;
  /** Its source speaks of currval() or lastval(). */
  readonly asksSequences: boolean;
  /** Custom settings ("app.tenant") that its source asks for by current_setting(). */
  readonly asksSettings: readonly string[];
  /** Its source in SQL or PL/pgSQL; undefined: it has none, is in another language, or is too long to be looked into. */
  readonly body: string | undefined;
  /** Functions that it runs without a word of it in its body: of an aggregate, and in the defaults of its arguments. */
  readonly parts: readonly number[];
}

/** ALTER ROLE ... SET and ALTER DATABASE ... SET. Names in lower case, values as set_config() takes them. */
export interface SessionDefaults {
  /** Equal for equal ones. */
  readonly key: string;
  /** What sessions of that user begin with. */
  of(user: string): ReadonlyMap<string, string>;
  /** Of the names in use, those that every client may SET, with what a session has for want of such a default, if known. */
  readonly plain: ReadonlyMap<string, string | undefined>;
}

export interface Catalog {
  /** Prefix of every tag of this database, the same in every Weir: system identifier and database OID. */
  readonly tagPrefix: string;
  /** Grows with each reading in this process. */
  readonly version: number;
  /** The search_path that a new session gets, as PostgreSQL prints it, when its role has none of its own. */
  readonly defaultSearchPath: string;
  /** The search_path that a new session of `user` gets: ALTER ROLE ... SET search_path, else the default. */
  searchPathOf(user: string): string;
  readonly sessionDefaults: SessionDefaults;
  /** Some relation or function lives in it. */
  hasSchema(schema: string): boolean;
  relationByOid(oid: number): CatalogRelation | undefined;
  /** The first match along the path (pg_catalog first unless named), or by schema. */
  findRelation(schema: string | undefined, name: string, searchPath: readonly string[]): CatalogRelation | undefined;
  /**
   * Every match along the path, in its order: PostgreSQL passes over schemas that the role may not use, and who may use
   * what is not known here, so all of them have to be reckoned with.
   */
  findRelations(schema: string | undefined, name: string, searchPath: readonly string[]): readonly CatalogRelation[];
  /** All candidates with the name that take so many arguments, along the path or in the schema. */
  findFunctions(
    schema: string | undefined,
    name: string,
    args: number,
    searchPath: readonly string[],
  ): readonly CatalogFunction[];
  functionByOid(oid: number): CatalogFunction | undefined;
  /** Everything of that name in whatever schema: what a body may mean by it, whose search path nobody knows. */
  relationsNamed(name: string): readonly CatalogRelation[];
  functionsNamed(name: string): readonly CatalogFunction[];
  /** User functions that run when a value is made one of a type of that name: casts, and checks of domains. */
  functionsOfType(name: string): readonly number[];
  /** Names of operators that are not PostgreSQL's own, with the functions behind them. */
  readonly userOperators: ReadonlyMap<string, readonly number[]>;
  /** Worst volatility over all operators of that name; undefined: no such operator. */
  operatorVolatility(name: string): Volatility | undefined;
  /** The same over operators that are not PostgreSQL's own; undefined: none. */
  userOperatorVolatility(name: string): Volatility | undefined;
  /** Worst volatility of casts to that type and of its input function; undefined: no such type. */
  castVolatility(typeName: string, searchPath: readonly string[]): Volatility | undefined;
  /** Values of that type are made from nothing but their input and settings that a cache key has (enums: the catalog). */
  isKeyedCast(typeName: string, searchPath: readonly string[]): boolean;
  /** Text that becomes a value of that type may mean another one each time ('now'). */
  isMomentCast(typeName: string, searchPath: readonly string[]): boolean;
  /** The type is PostgreSQL's own and has nothing of text. */
  isPlainCast(typeName: string, searchPath: readonly string[]): boolean;
  /** There are columns of that name, and none of them, in any relation, may hold text. */
  isPlainColumn(name: string): boolean;
  /**
   * User functions that PostgreSQL may call although no text names them: behind comparison and LIKE operators, operator
   * classes, implicit casts and casts to json; but immutable ones in C. `assignmentFunctions`: also those behind assignment casts (on writes).
   */
  readonly hiddenFunctions: readonly CatalogFunction[];
  readonly assignmentFunctions: readonly CatalogFunction[];
  /** User functions, not in C, that `row.name` may call (one argument, a composite type). */
  readonly columnFunctions: readonly CatalogFunction[];
  /** What could not be read and what is assumed instead, in words. */
  readonly notes: readonly string[];
  /** Name for people: "public.users". */
  nameOf(oid: number): string;
}
