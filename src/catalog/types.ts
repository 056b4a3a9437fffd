/**
 * What Weir knows of the system catalog of a database: relations, functions, types, defaults of sessions. Immutable;
 * replaced as a whole when the catalog changes. Types only; catalogs are made by catalog/read-catalog.ts.
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
   * The relations and functions in the query of a view or materialized view, or in the policies of a table; relations
   * below views are not included. Functions include those of operators and casts, but no immutable built-ins.
   */
  readonly viewRelations: readonly number[];
  readonly viewFunctions: readonly number[];
  /** Settings that it reads by current_setting('name'); such calls are not in viewFunctions. */
  readonly viewSettings: readonly string[];
  /** What else its own query or policies do. */
  readonly viewProblems: readonly ViewProblem[];
  /**
   * Relations that a write to any member of its tree can change directly by a foreign-key action (CASCADE, SET NULL, SET
   * DEFAULT). `updatesTo`: those with an ON UPDATE action.
   */
  readonly cascadesTo: readonly number[];
  readonly updatesTo: readonly number[];
  /** Every relation with a foreign key to a member of its tree: TRUNCATE ... CASCADE empties them. */
  readonly referencedBy: readonly number[];
  /**
   * Functions that run when a member of its tree is written: trigger functions, and volatile user functions in a column
   * default, a CHECK constraint or the domain of a column.
   */
  readonly triggerFunctions: readonly number[];
  /**
   * Other functions that run when a member of its tree is written: those of rules, and those of defaults, generated
   * columns, constraints, indexes, partition keys and domains that are not declared volatile.
   */
  readonly writeFunctions: readonly number[];
  /** It has rules besides the one that makes it a view. */
  readonly hasRules: boolean;
  /** A column default, CHECK constraint or rule of its tree calls currval() or lastval(). */
  readonly asksSequences: boolean;
  /** pg_catalog or information_schema. */
  readonly isSystem: boolean;
  /** A child whose rows a standby or the cache cannot answer for, in words: "has the unlogged child public.p1". */
  readonly treeProblem: string | undefined;
}

/**
 * What the query of a view does: converts text to a time ('now'), locks rows, has CURRENT_DATE or CURRENT_USER, has
 * TABLESAMPLE, calls nextval() by a default, converts to a volatile type, or to a type that looks up names (regclass).
 */
export type ViewProblem =
  'moment' | 'locks rows' | 'value function' | 'sample' | 'sequence' | 'volatile type' | 'catalog lookup';

export type Volatility = 'immutable' | 'stable' | 'volatile';

export interface CatalogFunction {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly volatility: Volatility;
  readonly language: string;
  /** How many arguments a call may have, defaults considered. With VARIADIC, maxArgs is Infinity. */
  readonly minArgs: number;
  readonly maxArgs: number;
  readonly isProcedure: boolean;
  readonly isSystem: boolean;
  /** A trigger function that is known to change nothing but its own row (NEW). */
  readonly isHarmless: boolean;
  /** Volatile, and its source has words of DDL or dynamic SQL: calling it may change the catalog. */
  readonly mayDefine: boolean;
  /** Its source has words for settings, temporary tables, locks or other state that it may leave in the session. */
  readonly leavesState: boolean;
  /** Its source calls currval() or lastval(). */
  readonly asksSequences: boolean;
  /** Custom settings ("app.tenant") that its source reads by current_setting(). */
  readonly asksSettings: readonly string[];
  /** Its source, in SQL or PL/pgSQL; undefined: it has none, is in another language, or is too long. */
  readonly body: string | undefined;
  /** Functions that run with it but are not in its body: those of an aggregate, and in defaults of arguments. */
  readonly parts: readonly number[];
}

/** The functions that initdb made. They are most of all and hardly ever change, so the next reading may keep them. */
export interface SystemFunctions {
  /** Changes with any of them. */
  readonly version: string;
  readonly all: readonly CatalogFunction[];
}

/** Defaults by ALTER ROLE ... SET and ALTER DATABASE ... SET. Names in lower case, values as set_config() takes them. */
export interface SessionDefaults {
  /** Two objects with the same key have the same defaults. */
  readonly key: string;
  /** The defaults of a new session of that user. */
  of(user: string): ReadonlyMap<string, string>;
  /** The settings with a default that every client may SET, and the value of a session without the default, if known. */
  readonly plain: ReadonlyMap<string, string | undefined>;
}

export interface Catalog {
  /** Prefix of every cache tag of this database, the same in every Weir process: system identifier and database OID. */
  readonly tagPrefix: string;
  /** Grows with each reading of the catalog in this process. */
  readonly version: number;
  /** The search_path of a new session whose role has no default of its own, as PostgreSQL prints it. */
  readonly defaultSearchPath: string;
  /** The search_path of a new session of `user`: by ALTER ROLE ... SET search_path, else the default. */
  searchPathOf(user: string): string;
  readonly sessionDefaults: SessionDefaults;
  /** The schema has a relation, function or type. */
  hasSchema(schema: string): boolean;
  relationByOid(oid: number): CatalogRelation | undefined;
  /** The first match along the path (pg_catalog first unless named), or by schema. */
  findRelation(schema: string | undefined, name: string, searchPath: readonly string[]): CatalogRelation | undefined;
  /**
   * Every match along the path, in its order. PostgreSQL skips schemas on which the role has no USAGE privilege, and
   * privileges are not known here, so each match may be the one that is meant.
   */
  findRelations(schema: string | undefined, name: string, searchPath: readonly string[]): readonly CatalogRelation[];
  /** Every function of that name that takes `args` arguments, in the schema or along the path. */
  findFunctions(
    schema: string | undefined,
    name: string,
    args: number,
    searchPath: readonly string[],
  ): readonly CatalogFunction[];
  functionByOid(oid: number): CatalogFunction | undefined;
  /** Everything of that name in any schema, for function bodies, whose search path is known only when they run. */
  relationsNamed(name: string): readonly CatalogRelation[];
  functionsNamed(name: string): readonly CatalogFunction[];
  /** User functions that run when a value is converted to a type of that name: of casts, and of checks of domains. */
  functionsOfType(name: string): readonly number[];
  /** Names of user-defined operators, with their functions. */
  readonly userOperators: ReadonlyMap<string, readonly number[]>;
  /** The worst volatility of all operators of that name; undefined: no such operator. */
  operatorVolatility(name: string): Volatility | undefined;
  /** The worst volatility of the user-defined operators of that name; undefined: no such operator. */
  userOperatorVolatility(name: string): Volatility | undefined;
  /** The worst volatility of the casts to that type and of its input function; undefined: no such type. */
  castVolatility(typeName: string, searchPath: readonly string[]): Volatility | undefined;
  /** A value of that type depends only on its input, on settings in the cache key and, for enums, on the catalog. */
  isKeyedCast(typeName: string, searchPath: readonly string[]): boolean;
  /** The same text may give another value of that type at another time ('now'). */
  isMomentCast(typeName: string, searchPath: readonly string[]): boolean;
  /** The type is built-in and neither text nor made of it. */
  isPlainCast(typeName: string, searchPath: readonly string[]): boolean;
  /** There are columns of that name, and none of them, in any relation, holds text. */
  isPlainColumn(name: string): boolean;
  /**
   * User functions that PostgreSQL may call although the text does not name them: those of comparison and LIKE operators,
   * operator classes, implicit casts and casts to json. Without immutable ones in C.
   */
  readonly hiddenFunctions: readonly CatalogFunction[];
  /** hiddenFunctions and the functions of assignment casts, which a write may call. */
  readonly assignmentFunctions: readonly CatalogFunction[];
  /** User functions that `row.name` may call (one argument, of a composite type). Without immutable ones in C. */
  readonly columnFunctions: readonly CatalogFunction[];
  readonly systemFunctions: SystemFunctions;
  /** What could not be read, in words. */
  readonly notes: readonly string[];
  /** Name to show: "public.users". */
  nameOf(oid: number): string;
}
