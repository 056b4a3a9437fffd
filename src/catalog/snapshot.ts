/**
 * Makes an immutable Catalog from the rows that were read: look-ups by OID, and by name along a search path.
 * Called by read-catalog.ts, and by tests with small catalogs of their own.
 */
import type { Operators, TypeFacts, Types } from './casts.ts';
import type { Functions } from './functions.ts';
import { pushTo, worst } from './rows.ts';
import type { Catalog, CatalogFunction, CatalogRelation, SessionDefaults, Volatility } from './types.ts';

export interface CatalogParts {
  readonly tagPrefix: string;
  readonly version: number;
  /** The search_path of sessions without a default by role or database. */
  readonly searchPath: string;
  readonly sessionDefaults: SessionDefaults;
  readonly relations: ReadonlyMap<number, CatalogRelation>;
  readonly functions: Functions;
  readonly types: Types;
  /** Names of columns that hold no text in any relation. */
  readonly plainColumns: ReadonlySet<string>;
  /** Relations whose row type contains a type with a volatile check or input function. */
  readonly volatileRowTypes: ReadonlySet<number>;
  /** Types, and relations by their row type, that contain a domain whose check calls user functions. */
  readonly checkedTypes: ReadonlySet<number>;
  readonly checkedRowTypes: ReadonlySet<number>;
  readonly operators: Operators;
  readonly hiddenFunctions: readonly CatalogFunction[];
  readonly assignmentFunctions: readonly CatalogFunction[];
  readonly notes: readonly string[];
}

/** Type names of the SQL standard, with the names that pg_type has for them. */
const TYPE_ALIASES: Readonly<Record<string, string>> = {
  int: 'int4',
  integer: 'int4',
  smallint: 'int2',
  bigint: 'int8',
  real: 'float4',
  float: 'float8',
  'double precision': 'float8',
  decimal: 'numeric',
  dec: 'numeric',
  boolean: 'bool',
  character: 'bpchar',
  'character varying': 'varchar',
  'bit varying': 'varbit',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  'time without time zone': 'time',
  'time with time zone': 'timetz',
};

type ByName<T> = ReadonlyMap<string, ReadonlyMap<string, T>>;

export function createCatalog(parts: CatalogParts): Catalog {
  const { functions, operators, sessionDefaults, types } = parts;
  const relations = indexRelations(parts.relations);
  return {
    tagPrefix: parts.tagPrefix,
    version: parts.version,
    // No user has the empty name, so this gives the defaults of all roles.
    defaultSearchPath: sessionDefaults.of('').get('search_path') ?? parts.searchPath,
    hiddenFunctions: parts.hiddenFunctions,
    assignmentFunctions: parts.assignmentFunctions,
    columnFunctions: functions.columnFunctions,
    systemFunctions: functions.system,
    notes: parts.notes,
    searchPathOf: (user) => sessionDefaults.of(user).get('search_path') ?? parts.searchPath,
    sessionDefaults,
    hasSchema: (schema) => relations.has(schema) || functions.byName.has(schema) || types.byName.has(schema),
    ...relationLookUps(parts, relations),
    ...functionLookUps(parts),
    ...byNameAlone(parts),
    userOperators: operators.functions,
    operatorVolatility: (name) => operators.all.get(name),
    userOperatorVolatility: (name) => operators.user.get(name),
    ...castLookUps(parts, relations),
    isPlainColumn: (name) => parts.plainColumns.has(name),
    nameOf(oid) {
      const relation = parts.relations.get(oid) ?? functions.byOid.get(oid);
      return relation === undefined ? `oid ${oid}` : `${relation.schema}.${relation.name}`;
    },
  };
}

function relationLookUps(
  parts: CatalogParts,
  relations: ByName<CatalogRelation>,
): Pick<Catalog, 'relationByOid' | 'findRelations' | 'findRelation'> {
  const findRelations: Catalog['findRelations'] = (schema, name, searchPath) => {
    const found: CatalogRelation[] = [];
    for (const place of schema === undefined ? withSystem(searchPath) : [schema]) {
      const relation = relations.get(place)?.get(name);
      if (relation !== undefined) found.push(relation);
    }
    return found;
  };
  return {
    relationByOid: (oid) => parts.relations.get(oid),
    findRelations,
    findRelation: (schema, name, searchPath) => findRelations(schema, name, searchPath)[0],
  };
}

function functionLookUps({ functions }: CatalogParts): Pick<Catalog, 'functionByOid' | 'findFunctions'> {
  return {
    functionByOid: (oid) => functions.byOid.get(oid),
    findFunctions(schema, name, args, searchPath) {
      const found: CatalogFunction[] = [];
      for (const place of schema === undefined ? withSystem(searchPath) : [schema]) {
        for (const candidate of functions.byName.get(place)?.get(name) ?? []) {
          if (args >= candidate.minArgs && args <= candidate.maxArgs) found.push(candidate);
        }
      }
      return found;
    },
  };
}

function castLookUps(
  { types, volatileRowTypes }: CatalogParts,
  relations: ByName<CatalogRelation>,
): Pick<Catalog, 'castVolatility' | 'isKeyedCast' | 'isMomentCast' | 'isPlainCast'> {
  /** Every type of that name along the path, as in findRelations(). */
  const findTypes = (typeName: string, searchPath: readonly string[]): readonly (TypeFacts | CatalogRelation)[] => {
    const { schema, name } = splitTypeName(typeName);
    const found: (TypeFacts | CatalogRelation)[] = [];
    for (const candidate of [name, TYPE_ALIASES[name], name.startsWith('_') ? name.slice(1) : undefined]) {
      if (candidate === undefined) continue;
      for (const place of schema === undefined ? withSystem(searchPath) : [schema]) {
        const type = types.byName.get(place)?.get(candidate) ?? relations.get(place)?.get(candidate);
        if (type !== undefined) found.push(type);
      }
    }
    return found;
  };
  const volatilityOf = (found: TypeFacts | CatalogRelation): Volatility => {
    if (!isRowType(found)) return found.volatility;
    return volatileRowTypes.has(found.oid) ? 'volatile' : 'stable';
  };
  return {
    castVolatility(typeName, searchPath) {
      let volatility: Volatility | undefined;
      for (const found of findTypes(typeName, searchPath)) {
        volatility = worst(volatility ?? 'immutable', volatilityOf(found));
      }
      return volatility;
    },
    isKeyedCast(typeName, searchPath) {
      const found = findTypes(typeName, searchPath);
      return found.length > 0 && found.every((type) => !isRowType(type) && type.isKeyed);
    },
    isMomentCast: (typeName, searchPath) =>
      findTypes(typeName, searchPath).some((type) => isRowType(type) || type.isMoment),
    isPlainCast(typeName, searchPath) {
      const found = findTypes(typeName, searchPath);
      return found.length > 0 && found.every((type) => !isRowType(type) && type.isPlain);
    },
  };
}

/** Look-ups by name in all schemas. Their indexes are built at the first use. */
function byNameAlone(parts: CatalogParts): Pick<Catalog, 'relationsNamed' | 'functionsNamed' | 'functionsOfType'> {
  let relations: Map<string, CatalogRelation[]> | undefined;
  let functions: Map<string, CatalogFunction[]> | undefined;
  let types: Map<string, number[]> | undefined;
  return {
    relationsNamed: (name) => (relations ??= groupByName(parts.relations.values())).get(name) ?? [],
    functionsNamed: (name) => (functions ??= groupByName(parts.functions.byOid.values())).get(name) ?? [],
    functionsOfType: (name) => (types ??= typeFunctions(parts)).get(name) ?? [],
  };
}

function groupByName<T extends { readonly name: string }>(all: Iterable<T>): Map<string, T[]> {
  const byName = new Map<string, T[]>();
  for (const one of all) pushTo(byName, one.name, one);
  return byName;
}

function typeFunctions({ types, relations, checkedTypes, checkedRowTypes }: CatalogParts): Map<string, number[]> {
  const found = new Map<string, number[]>();
  if (types.casting.size + types.checking.size === 0) return found;
  const checks = [...types.checking.values()].flat();
  for (const names of types.byName.values()) {
    for (const [name, { oid }] of names) {
      for (const called of types.casting.get(oid) ?? []) pushTo(found, name, called);
      if (checkedTypes.has(oid)) for (const called of checks) pushTo(found, name, called);
    }
  }
  for (const oid of checkedRowTypes) {
    const name = relations.get(oid)?.name;
    if (name !== undefined) for (const called of checks) pushTo(found, name, called);
  }
  return found;
}

function indexRelations(byOid: ReadonlyMap<number, CatalogRelation>): ByName<CatalogRelation> {
  const index = new Map<string, Map<string, CatalogRelation>>();
  for (const relation of byOid.values()) {
    let names = index.get(relation.schema);
    if (names === undefined) index.set(relation.schema, (names = new Map()));
    names.set(relation.name, relation);
  }
  return index;
}

/** pg_catalog is searched first unless the path names it. */
function withSystem(searchPath: readonly string[]): readonly string[] {
  return searchPath.includes('pg_catalog') ? searchPath : ['pg_catalog', ...searchPath];
}

/** "public.mood[]", "numeric(10,2)" -> schema and name. */
function splitTypeName(typeName: string): { readonly schema: string | undefined; readonly name: string } {
  const bare = typeName
    .replace(/(?:\[\d*\])+$/, '')
    .replace(/\s*\([^)]*\)/, '')
    .trim();
  const dot = bare.indexOf('.');
  return dot < 0 ? { schema: undefined, name: bare } : { schema: bare.slice(0, dot), name: bare.slice(dot + 1) };
}

function isRowType(type: TypeFacts | CatalogRelation): type is CatalogRelation {
  return 'kind' in type;
}
