/**
 * Reads pg_class, and per relation its view query, foreign keys, triggers, rules and policies. The members of a partition
 * or inheritance tree share their facts, because a statement on one member may reach every other.
 * Called by read-catalog.ts.
 */
import type { Functions } from './functions.ts';
import { createInterner, FIRST_USER_OID, num, parseTokens, pushTo, str } from './rows.ts';
import type { Expression, Row } from './rows.ts';
import { findTrees } from './trees.ts';
import type { Trees } from './trees.ts';
import type { CatalogRelation, RelationKind, ViewProblem } from './types.ts';
import type { Types } from './casts.ts';

export interface RelationRows {
  readonly relations: readonly Row[];
  readonly parents: readonly Row[];
  readonly views: readonly Row[];
  readonly viewDependencies: readonly Row[];
  readonly rules: readonly Row[];
  readonly policies: readonly Row[];
  readonly foreignKeys: readonly Row[];
  readonly triggers: readonly Row[];
  readonly defaults: readonly Row[];
  /** Row types that contain a type with a volatile check or input function; and these functions. */
  readonly volatileRowTypes: ReadonlySet<number>;
  readonly volatileTypeFunctions: readonly number[];
  /** Row types that contain a domain whose check calls user functions; and these functions. */
  readonly checkedRowTypes: ReadonlySet<number>;
  readonly checkFunctions: readonly number[];
}

const KINDS: Readonly<Record<string, RelationKind>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'matview',
  S: 'sequence',
  f: 'foreign',
};

const NONE: readonly number[] = [];
const NO_PROBLEMS: readonly ViewProblem[] = [];
const NO_SETTINGS: readonly string[] = [];

/** OIDs of currval() and lastval(). */
const ASKING: ReadonlySet<number> = new Set([1575, 2559]);

/** Facts about relations, by the OID of the relation or by the OID of the root of its tree. */
interface RelationFacts {
  readonly viewRelations: Map<number, number[]>;
  readonly viewFunctions: Map<number, number[]>;
  readonly viewProblems: Map<number, ViewProblem[]>;
  readonly viewSettings: Map<number, string[]>;
  /** By root. */
  readonly cascades: Map<number, number[]>;
  readonly updates: Map<number, number[]>;
  readonly references: Map<number, number[]>;
  readonly triggers: Map<number, number[]>;
  readonly onWrite: Map<number, number[]>;
  readonly rules: ReadonlySet<number>;
  /** By root. */
  readonly asking: Set<number>;
}

export function readRelations(
  rows: RelationRows,
  functions: Functions,
  types: Types,
): ReadonlyMap<number, CatalogRelation> {
  const trees = findTrees(rows.relations, rows.parents);
  const facts: RelationFacts = {
    viewRelations: new Map(),
    viewFunctions: new Map(),
    viewProblems: new Map(),
    viewSettings: new Map(),
    cascades: new Map(),
    updates: new Map(),
    references: new Map(),
    triggers: new Map(),
    onWrite: new Map(),
    rules: new Set(rows.rules.map((row) => num(row, 'relation'))),
    asking: new Set(
      rows.rules.filter((row) => num(row, 'asking') === 1).map((row) => trees.rootOf(num(row, 'relation'))),
    ),
  };
  addExpressions(rows, facts, functions, types);
  addForeignKeys(rows.foreignKeys, facts, trees);
  addTriggers(rows, facts, trees, functions);

  const intern = createInterner();
  const byOid = new Map<number, CatalogRelation>();
  for (const row of rows.relations) {
    const relation = toRelation(row, facts, trees, intern);
    byOid.set(relation.oid, relation);
  }
  return byOid;
}

function toRelation(row: Row, facts: RelationFacts, trees: Trees, intern: (text: string) => string): CatalogRelation {
  const oid = num(row, 'oid');
  const schema = intern(str(row, 'schema'));
  const root = trees.rootOf(oid);
  const persistence = str(row, 'persistence');
  return {
    oid,
    schema,
    name: intern(str(row, 'name')),
    kind: KINDS[str(row, 'kind')] ?? 'other',
    persistence: persistence === 'p' ? 'permanent' : persistence === 'u' ? 'unlogged' : 'temporary',
    hasRowSecurity: num(row, 'rls') === 1,
    root,
    viewRelations: facts.viewRelations.get(oid) ?? NONE,
    viewFunctions: facts.viewFunctions.get(oid) ?? NONE,
    viewProblems: facts.viewProblems.get(oid) ?? NO_PROBLEMS,
    viewSettings: facts.viewSettings.get(oid) ?? NO_SETTINGS,
    cascadesTo: facts.cascades.get(root) ?? NONE,
    updatesTo: facts.updates.get(root) ?? NONE,
    referencedBy: facts.references.get(root) ?? NONE,
    triggerFunctions: facts.triggers.get(root) ?? NONE,
    writeFunctions: facts.onWrite.get(root) ?? NONE,
    hasRules: facts.rules.has(oid),
    asksSequences: facts.asking.has(root),
    isSystem: schema === 'pg_catalog' || schema === 'information_schema',
    treeProblem: trees.problemBelow(oid),
  };
}

/** Queries of views and expressions of policies: both run when the relation is read. */
function addExpressions(rows: RelationRows, facts: RelationFacts, functions: Functions, types: Types): void {
  const relations = new Map<number, Set<number>>();
  const called = new Map<number, Set<number>>();
  const setOf = (map: Map<number, Set<number>>, key: number): Set<number> => {
    let set = map.get(key);
    if (set === undefined) map.set(key, (set = new Set()));
    return set;
  };
  for (const row of [...rows.views, ...rows.policies]) {
    const oid = num(row, 'relation');
    const expression = parseTokens(str(row, 'tokens'));
    for (const target of expression.relations) if (target !== oid) setOf(relations, oid).add(target);
    for (const target of expression.functions) setOf(called, oid).add(target);
    for (const setting of expression.settings) pushTo(facts.viewSettings, oid, setting);
    for (const problem of problemsOf(expression, types)) pushTo(facts.viewProblems, oid, problem);
  }
  for (const row of rows.viewDependencies) {
    setOf(num(row, 'function') === 1 ? called : relations, num(row, 'relation')).add(num(row, 'target'));
  }
  for (const [oid, set] of relations) facts.viewRelations.set(oid, [...set]);
  for (const [oid, set] of called) {
    const relevant = [...set].filter((target) => {
      const found = functions.byOid.get(target);
      return found === undefined || !found.isSystem || found.volatility !== 'immutable' || found.name.startsWith('pg_');
    });
    if (relevant.length > 0) facts.viewFunctions.set(oid, relevant);
  }
}

function problemsOf(expression: Expression, types: Types): readonly ViewProblem[] {
  const problems = new Set(expression.problems);
  for (const oid of expression.types) {
    const facts = types.byOid.get(oid);
    // Array types are not in `types`; the elements of a user array may be of a domain.
    if (facts === undefined ? oid >= FIRST_USER_OID : facts.volatility === 'volatile') problems.add('volatile type');
    else if (facts !== undefined && !facts.isKeyed) problems.add('catalog lookup');
    if (types.moments.has(oid)) problems.add('moment');
  }
  return [...problems];
}

function addForeignKeys(rows: readonly Row[], facts: RelationFacts, trees: Trees): void {
  const add = (map: Map<number, number[]>, parent: number, child: number): void => {
    if (!(map.get(parent) ?? NONE).includes(child)) pushTo(map, parent, child);
  };
  for (const row of rows) {
    // By roots, because a foreign key of a partitioned table is repeated on each of its partitions.
    const child = trees.rootOf(num(row, 'child'));
    const parent = trees.rootOf(num(row, 'parent'));
    add(facts.references, parent, child);
    if (num(row, 'updates') === 1) add(facts.updates, parent, child);
    if (num(row, 'updates') === 1 || num(row, 'deletes') === 1) add(facts.cascades, parent, child);
  }
}

function addTriggers(rows: RelationRows, facts: RelationFacts, trees: Trees, functions: Functions): void {
  const add = (map: Map<number, number[]>, relation: number, called: number): void => {
    const root = trees.rootOf(relation);
    if (!(map.get(root) ?? NONE).includes(called)) pushTo(map, root, called);
  };
  for (const row of rows.triggers) add(facts.triggers, num(row, 'relation'), num(row, 'function'));
  for (const row of rows.defaults) {
    for (const oid of parseTokens(str(row, 'tokens')).functions) {
      const isUser = oid >= FIRST_USER_OID;
      if (ASKING.has(oid)) facts.asking.add(trees.rootOf(num(row, 'relation')));
      else if (isUser && (functions.byOid.get(oid)?.volatility ?? 'volatile') === 'volatile')
        add(facts.triggers, num(row, 'relation'), oid);
      else add(facts.onWrite, num(row, 'relation'), oid);
    }
  }
  for (const row of rows.rules) {
    for (const oid of parseTokens(str(row, 'tokens')).functions)
      if (!ASKING.has(oid)) add(facts.onWrite, num(row, 'relation'), oid);
  }
  if (rows.volatileRowTypes.size + rows.checkedRowTypes.size === 0) return;
  for (const row of rows.relations) {
    if (rows.volatileRowTypes.has(num(row, 'type')))
      for (const oid of rows.volatileTypeFunctions) add(facts.triggers, num(row, 'oid'), oid);
    if (rows.checkedRowTypes.has(num(row, 'type')))
      for (const oid of rows.checkFunctions) add(facts.onWrite, num(row, 'oid'), oid);
  }
}
