/**
 * Looks up every name of a statement in the catalog: the relations it reads, also through views and policies, and every
 * function that may be called. Collects the reasons why it is not a read and why its answer must not be cached.
 * writes.ts looks up the tables it writes. Called by statement.ts.
 */
import type { FunctionCall, RelationName, StatementFacts, TextCast, TextSource } from '../sql/facts.ts';
import type { Catalog, CatalogFunction, CatalogRelation } from '../catalog/types.ts';
import type { Bodies } from './bodies.ts';
import { follow, followText } from './follow.ts';
import type { FollowContext } from './follow.ts';
import { judgeFunction, mayChangeSession, refusalOfSetting, showsNames } from './functions.ts';
import { Reach } from './reached.ts';
import { isReplicatedCatalog, onlySets } from './standby.ts';
import { isWholeText } from './text.ts';

/** What binding needs besides the facts; one per (catalog, path). */
export interface BindContext {
  readonly catalog: Catalog;
  readonly bodies: Bodies;
  /** Schemas in order; empty if the search path is not known. */
  readonly path: readonly string[];
  /** routing.read_only_functions: "name" or "schema.name". */
  readonly readOnlyFunctions: ReadonlySet<string>;
  readonly cacheTables: ReadonlySet<string>;
  /** The text without its literals, for what the facts do not tell (text.ts). */
  readonly template: string;
  /** There was DDL after the catalog was read, so objects missing from it may exist by now. */
  readonly isAfterDdl: boolean;
}

export function reachOf(facts: StatementFacts, context: BindContext): Reach {
  const reach = new Reach();
  for (const name of facts.reads) reachName(name, context, reach);
  for (const call of facts.functions) reachCall(call, facts.kind === 'call', context, reach);
  reachOperators(facts.operators, context, reach);
  reachCasts(facts.casts, context, reach);
  for (const cast of facts.textCasts) reachTextCast(cast, facts, context, reach);
  reachColumns(context, reach);
  if (facts.body !== undefined) followText(facts.body, followContextOf(context, reach, '', true));
  const { assignmentFunctions, hiddenFunctions } = context.catalog;
  // PL/pgSQL applies assignment casts, so the body of a function may run them too.
  const isAssigning = facts.writes.length > 0 || reach.followed.size > 0;
  reachAll(isAssigning ? assignmentFunctions : hiddenFunctions, context, reach, 'may call it without its name: ');
  if (facts.valueFunctions.length > 0) reach.refuseCache(`asks for ${facts.valueFunctions.join(', ')}`);
  if (facts.isArbitrary) reach.refuseCache('depends on the clock or on chance');
  return reach;
}

function reachName(name: RelationName, context: BindContext, reach: Reach): void {
  const found = context.catalog.findRelations(name.schema, name.name, context.path);
  if (found.length === 0) {
    reach.refuse(`reads unknown relation ${displayName(name)}`);
    reach.noteUnknownName();
  }
  for (const relation of found) reachRelation(relation, context, reach);
}

/** Adds a relation, and what its rule or policies read. */
export function reachRelation(relation: CatalogRelation, context: BindContext, reach: Reach): void {
  if (reach.relations.has(relation.oid)) return;
  reach.relations.set(relation.oid, relation);
  const name = `${relation.schema}.${relation.name}`;
  reach.asks.preparedNames ||= relation.isSystem && relation.name === 'pg_prepared_statements';
  const kindProblem = problemOfKind(relation);
  if (kindProblem !== undefined) reach.refuse(`reads ${kindProblem} ${name}`, isReplicatedCatalog(relation));
  if (relation.treeProblem !== undefined) reach.refuse(`reads ${name}, which ${relation.treeProblem}`);
  if (relation.hasRowSecurity) reach.refuseCache(`${name} has row security`);
  // A materialized view is read as it was stored; only REFRESH runs its query.
  if (relation.kind === 'matview') return;
  reachRule(relation, context, reach);
}

/** Adds what the query of a view, or a row security policy, reads and calls. */
export function reachRule(relation: CatalogRelation, context: BindContext, reach: Reach): void {
  const { catalog } = context;
  const name = `${relation.schema}.${relation.name}`;
  for (const problem of relation.viewProblems) {
    if (problem === 'locks rows' || problem === 'sequence' || problem === 'volatile type')
      reach.refuse(`${name}: ${problem}`);
    else reach.refuseCache(`${name}: ${problem}`);
    if (problem === 'volatile type') reach.writesAll ??= `${name}: ${problem}`;
  }
  for (const setting of relation.viewSettings) {
    const refusal = refusalOfSetting(setting);
    if (refusal !== undefined) reach.refuse(`${name} ${refusal}`);
    reach.refuseCache(`${name} asks for the setting ${setting}`);
  }
  for (const oid of relation.viewRelations) {
    const below = catalog.relationByOid(oid);
    if (below === undefined) reach.refuse(`${name} reads unknown relation ${oid}`);
    else reachRelation(below, context, reach);
  }
  reachOids(relation.viewFunctions, context, reach, `${name} `);
}

/** Adds functions that run although the text does not call them. */
export function reachOids(oids: readonly number[], context: BindContext, reach: Reach, prefix: string): void {
  for (const oid of oids) {
    const found = context.catalog.functionByOid(oid);
    if (found !== undefined) reachAll([found], context, reach, prefix);
    else {
      reach.refuse(`${prefix}calls unknown function ${oid}`);
      reach.isSuspect = true;
      reach.noteUnknownName();
    }
  }
}

function reachAll(all: readonly CatalogFunction[], context: BindContext, reach: Reach, prefix: string): void {
  for (const found of all) {
    if (mayChangeSession(found)) reach.isSuspect = true;
    reachFunction(found, context, reach, undefined, prefix);
  }
}

function problemOfKind(relation: CatalogRelation): string | undefined {
  if (relation.isSystem) return 'system catalog';
  if (relation.persistence !== 'permanent') return `${relation.persistence} table`;
  switch (relation.kind) {
    case 'table':
    case 'partitioned':
    case 'view':
    case 'matview':
      return undefined;
    case 'foreign':
      return 'foreign table';
    default:
      return relation.kind;
  }
}

function reachCall(call: FunctionCall, isCall: boolean, context: BindContext, reach: Reach): void {
  const found = context.catalog
    .findFunctions(call.schema, call.name, call.args, context.path)
    .filter((candidate) => isCall || !candidate.isProcedure);
  // f(x) may also be a cast to a type of that name.
  const castName = call.schema === undefined ? call.name : `${call.schema}.${call.name}`;
  if (call.args === 1 && context.catalog.castVolatility(castName, context.path) === 'volatile') {
    reach.refuse(`casts to ${castName}, which is volatile`);
    reach.writesAll ??= `casts to ${castName}, which is volatile`;
  }
  if (call.args === 1) reachOids(context.catalog.functionsOfType(call.name), context, reach, '');
  if (found.length === 0) {
    const what = `calls unknown function ${displayName(call)}() with ${call.args} arguments`;
    reach.refuse(what);
    reach.writesAll ??= what;
    reach.isSuspect = true;
    reach.unknown = 'a function';
  }
  for (const candidate of found) {
    reachFunction(candidate, context, reach, call.firstConstant, '', true);
    if (candidate.asksSettings.length > 0) reach.asks.settings = [...reach.asks.settings, ...candidate.asksSettings];
  }
}

/**
 * Adds one function, and what its body runs.
 * @param constant its first argument, if that is a string constant
 * @param prefix the beginning of every reason
 * @param isCalledByText the text itself calls it
 */
export function reachFunction(
  found: CatalogFunction,
  context: BindContext,
  reach: Reach,
  constant: string | undefined,
  prefix: string,
  isCalledByText = false,
): void {
  const judgement = judgeFunction(found, isDeclaredReadOnly(found, context.readOnlyFunctions), constant);
  if (judgement.refusal !== undefined) reach.refuse(prefix + judgement.refusal, onlySets(found, constant));
  if (!judgement.isKeyed) reach.refuseCache(`${prefix}calls ${found.schema}.${found.name}(), which is not immutable`);
  if (judgement.writes) reach.writesAll ??= prefix + (judgement.refusal ?? '');
  reach.isSuspect ||= judgement.isSuspect;
  reach.mayDefine ||= judgement.mayDefine;
  reach.leavesState ||= judgement.leavesState;
  reach.asks.sequences ||= found.asksSequences;
  reach.asks.preparedNames ||= showsNames(found);
  follow(found, followContextOf(context, reach, prefix, isCalledByText));
}

export function followContextOf(
  context: BindContext,
  reach: Reach,
  prefix: string,
  isCalledByText: boolean,
): FollowContext {
  return {
    bodies: context.bodies,
    reach,
    isDeclaredReadOnly: (found) => isDeclaredReadOnly(found, context.readOnlyFunctions),
    reachRelation: (relation) => reachRelation(relation, context, reach),
    prefix,
    isCalledByText,
  };
}

function reachOperators(operators: readonly string[], context: BindContext, reach: Reach): void {
  const { catalog } = context;
  for (const name of operators) {
    reachOids(catalog.userOperators.get(name) ?? [], context, reach, `${name} `);
    const volatility = catalog.operatorVolatility(name);
    if (volatility === undefined || volatility === 'volatile') {
      const what = volatility === undefined ? `uses unknown operator ${name}` : `uses volatile operator ${name}`;
      reach.refuse(what);
      reach.writesAll ??= what;
      reach.isSuspect = true;
      if (volatility === undefined) reach.noteUnknownName();
    }
    const own = catalog.userOperatorVolatility(name);
    if (own !== undefined && own !== 'immutable') reach.refuseCache(`uses ${own} operator ${name}`);
  }
}

function reachCasts(casts: readonly string[], context: BindContext, reach: Reach): void {
  for (const name of casts) {
    reachOids(context.catalog.functionsOfType(bareName(name)), context, reach, `cast to ${name} `);
    const volatility = context.catalog.castVolatility(name, context.path);
    if (volatility === undefined) {
      reach.refuse(`casts to unknown type ${name}`);
      reach.noteUnknownName();
    }
    if (volatility === 'volatile') {
      reach.refuse(`casts to ${name}, which is volatile`);
      reach.writesAll ??= `casts to ${name}, which is volatile`;
    }
    if (!context.catalog.isKeyedCast(name, context.path)) reach.refuseCache(`casts to ${name}`);
  }
}

/** A cast of text to a date or time type: the text may be 'now' or 'today', so the answer must not be cached. */
function reachTextCast({ type, source }: TextCast, facts: StatementFacts, context: BindContext, reach: Reach): void {
  const { catalog, path } = context;
  if (!catalog.isMomentCast(type, path)) return;
  if (!isPlain(source, facts, context))
    reach.refuseCache(`makes ${type} of ${source.name || 'an expression'}, which may be text such as 'now'`);
}

function isPlain({ kind, name }: TextSource, facts: StatementFacts, { catalog, path }: BindContext): boolean {
  switch (kind) {
    case 'any':
      return false;
    case 'column':
      return catalog.isPlainColumn(name);
    case 'type':
      return catalog.isPlainCast(name, path);
    case 'operator':
      return catalog.userOperatorVolatility(name) === undefined;
    case 'call':
      return facts.functions
        .filter((call) => call.name === name)
        .every((call) => catalog.findFunctions(call.schema, name, call.args, path).every((found) => found.isSystem));
  }
}

function bareName(type: string): string {
  return type.slice(type.lastIndexOf('.') + 1);
}

/** `row.name` can call name(row). Adds each such function whose name is in the text, or may be. */
function reachColumns(context: BindContext, reach: Reach): void {
  const { columnFunctions } = context.catalog;
  if (columnFunctions.length === 0) return;
  const text = context.template.toLowerCase();
  const isReadable = isWholeText(text) && !text.includes('u&"');
  for (const found of columnFunctions) {
    if (isReadable && !found.name.includes('"') && !text.includes(found.name.toLowerCase())) continue;
    reachFunction(found, context, reach, undefined, 'may call it as a column: ', true);
  }
}

export function isDeclaredReadOnly(
  found: { readonly schema: string; readonly name: string },
  readOnlyFunctions: ReadonlySet<string>,
): boolean {
  return (
    readOnlyFunctions.size > 0 &&
    (readOnlyFunctions.has(found.name) || readOnlyFunctions.has(`${found.schema}.${found.name}`))
  );
}

/** pg_temp, or the schema that it is an alias of, such as pg_temp_3. */
export function isTemporarySchema(schema: string): boolean {
  return /^pg_temp(?:_\d+)?$/.test(schema);
}

export function displayName(name: RelationName): string {
  return name.schema === undefined ? name.name : `${name.schema}.${name.name}`;
}
