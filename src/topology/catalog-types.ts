/**
 * The part of a database's system catalog that decisions need, read once and kept until it changes.
 * Pure data with look-ups; made by topology/catalog.ts. OIDs are numbers.
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
  /** For views: relations and functions that its rule depends on, not expanded further. */
  readonly viewRelations: readonly number[];
  readonly viewFunctions: readonly number[];
  /** Relations that a write to this one can change through foreign-key actions (CASCADE, SET NULL, SET DEFAULT). */
  readonly cascadesTo: readonly number[];
  /** Functions of user triggers that fire on writes to it, and rules other than a view's own. */
  readonly triggerFunctions: readonly number[];
  readonly hasRules: boolean;
  /** pg_catalog or information_schema. */
  readonly isSystem: boolean;
}

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
}

export interface Catalog {
  /** Prefix of every tag of this database, the same in every Weir: system identifier and database OID. */
  readonly tagPrefix: string;
  /** Grows with each reading in this process. */
  readonly version: number;
  /** The search_path that a new session of `user` gets, as PostgreSQL prints it. */
  readonly defaultSearchPath: string;
  relationByOid(oid: number): CatalogRelation | undefined;
  /** The first match along the path (pg_catalog first unless named), or by schema. */
  findRelation(schema: string | undefined, name: string, searchPath: readonly string[]): CatalogRelation | undefined;
  /** All candidates with the name that take so many arguments, along the path or in the schema. */
  findFunctions(
    schema: string | undefined,
    name: string,
    args: number,
    searchPath: readonly string[],
  ): readonly CatalogFunction[];
  functionByOid(oid: number): CatalogFunction | undefined;
  /** Worst volatility over all operators of that name; undefined: no such operator. */
  operatorVolatility(name: string): Volatility | undefined;
  /** Worst volatility of casts to that type and of its input function; undefined: no such type. */
  castVolatility(typeName: string, searchPath: readonly string[]): Volatility | undefined;
  /** Name for people: "public.users". */
  nameOf(oid: number): string;
}
