/**
 * The tables that a statement may write: those it names, those that foreign-key actions reach from there, and every table
 * if a trigger or rule runs that cannot be analyzed. One table too many costs cache hits; one too few lets the cache return
 * stale rows. Called by statement.ts.
 */
import type { RelationName, StatementFacts } from '../sql/facts.ts';
import type { CatalogRelation } from '../catalog/types.ts';
import { follow } from './follow.ts';
import { isPureContrib } from './functions.ts';
import { displayName, isTemporarySchema, isDeclaredReadOnly, reachOids, reachRule, followContextOf } from './reach.ts';
import type { BindContext } from './reach.ts';
import type { Reach } from './reached.ts';
import { isWholeText } from './text.ts';

export class WriteClosure {
  /** OIDs of the written tables; of a partition or child table, the OID of the root of its tree. */
  readonly roots = new Set<number>();
  /** Why every table may be written; undefined: `roots` are all. */
  all: string | undefined;

  addAll(reason: string): void {
    this.all ??= reason;
  }
}

/** Which foreign-key actions a write can fire. INSERT and COPY FROM fire none. */
type KeyActions = 'nothing' | 'updates' | 'deletes' | 'truncate';

/** Decided by keywords of the text. A keyword that is there for another reason only adds tables. */
function keyActionsOf(facts: StatementFacts, template: string): KeyActions {
  const isCut = !isWholeText(template);
  switch (facts.kind) {
    case 'truncate':
      return isCut || /\bcascade\b/i.test(template) ? 'truncate' : 'nothing';
    case 'refresh':
    case 'copy-from':
      return 'nothing';
    default:
      if (isCut || /\b(?:delete|merge)\b/i.test(template)) return 'deletes';
      return /\b(?:update|conflict)\b/i.test(template) ? 'updates' : 'nothing';
  }
}

/** @param reach receives what the triggers and defaults of the written tables may change in the session */
export function writeClosureOf(facts: StatementFacts, context: BindContext, reach: Reach): WriteClosure {
  const closure = new WriteClosure();
  const actions = keyActionsOf(facts, context.template);
  for (const name of facts.writes) writeName(name, facts, actions, context, reach, closure);
  if (reach.writesAll !== undefined) closure.addAll(reach.writesAll);
  return closure;
}

function writeName(
  name: RelationName,
  facts: StatementFacts,
  actions: KeyActions,
  context: BindContext,
  reach: Reach,
  closure: WriteClosure,
): void {
  // No other session sees a temporary table, so no cached answer depends on it.
  if (name.schema !== undefined && isTemporarySchema(name.schema)) return;
  const found = context.catalog.findRelations(name.schema, name.name, context.path);
  if (found.length === 0) {
    closure.addAll(`writes unknown relation ${displayName(name)}`);
    reach.noteUnknownName();
  }
  for (const relation of found) {
    if (facts.kind === 'refresh') reachRule(relation, context, reach);
    writeRelation(relation, actions, context, reach, closure);
  }
}

/** Walks the foreign keys from `start`. An action may be ON UPDATE or ON DELETE, so later steps count as deletes. */
function writeRelation(
  start: CatalogRelation,
  actions: KeyActions,
  context: BindContext,
  reach: Reach,
  closure: WriteClosure,
): void {
  const { catalog } = context;
  const seen = new Set<string>([`${start.oid} ${actions}`]);
  const queue: { readonly relation: CatalogRelation; readonly actions: KeyActions }[] = [{ relation: start, actions }];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const { relation } = at;
    if (relation.isSystem) closure.addAll(`writes system catalog ${relation.name}`);
    if (relation.hasRules) {
      closure.addAll(`${relation.schema}.${relation.name} has rules`);
      reach.isSuspect = true;
    }
    fireTriggers(relation, context, reach, closure);
    // A write runs the query of a view and the policies of a table, too.
    if (relation.kind === 'view' || relation.hasRowSecurity) reachRule(relation, context, reach);
    if (relation.kind === 'view') {
      // An updatable view: the write goes to one relation of its query. All of them are added; that is safe.
      push(relation.viewRelations, at.actions);
      continue;
    }
    closure.roots.add(relation.root);
    if (at.actions === 'truncate') push(relation.referencedBy, 'truncate');
    else if (at.actions === 'updates') push(relation.updatesTo, 'deletes');
    else if (at.actions === 'deletes') push(relation.cascadesTo, 'deletes');
  }

  function push(oids: readonly number[], next: KeyActions): void {
    for (const oid of oids) {
      const step = `${oid} ${next}`;
      if (seen.has(step)) continue;
      seen.add(step);
      const relation = catalog.relationByOid(oid);
      if (relation === undefined) closure.addAll(`writes unknown relation ${oid}`);
      else queue.push({ relation, actions: next });
    }
  }
}

function fireTriggers(relation: CatalogRelation, context: BindContext, reach: Reach, closure: WriteClosure): void {
  reach.asks.sequences ||= relation.asksSequences;
  for (const oid of relation.triggerFunctions) {
    const found = context.catalog.functionByOid(oid);
    reach.asks.sequences ||= found?.asksSequences === true;
    if (found !== undefined && (found.isHarmless || isDeclaredReadOnly(found, context.readOnlyFunctions))) continue;
    // A column default such as uuid_generate_v4().
    if (found !== undefined && isPureContrib(found)) continue;
    closure.addAll(`${relation.schema}.${relation.name} runs ${context.catalog.nameOf(oid)}()`);
    reach.isSuspect = true;
    if (found === undefined) continue;
    reach.leavesState ||= found.leavesState;
    follow(found, followContextOf(context, reach, `${relation.schema}.${relation.name} `, false));
  }
  reachOids(relation.writeFunctions, context, reach, `${relation.schema}.${relation.name} `);
}
