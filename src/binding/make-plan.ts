/**
 * Makes the Plan of a text from the plans of its statements. While the catalog is not known, every statement is planned as
 * a write. The fields about transactions are decided here, from the text alone. Called by binder.ts.
 */
import type { QueryFacts, StatementFacts } from '../sql/facts.ts';
import { READING_PARAMETERS } from '../sql/settings.ts';
import { TEMPLATE_MAX } from '../sql/template.ts';
import { effectsOf, hasAnyEffect, IN_FUNCTION, NO_EFFECTS, NOT_READ_YET, uniteEffects } from './effects.ts';
import type { BindContext } from './reach.ts';
import { customSettingsOf } from './settings.ts';
import { asksSequences, mayAdvanceSequences } from './sequences.ts';
import { isAlikeOnStandby } from './standby.ts';
import { bindStatement, readsNames } from './statement.ts';
import type { BoundStatement } from './statement.ts';
import type { PinReason, Plan, SessionEffects, Tag } from './plan.ts';

/** May the statement change how later ones are resolved or parsed (search_path, role, string syntax)? */
function changesReading(facts: StatementFacts): boolean {
  const { settings, resetsAll, discards, hidesSettings } = facts;
  return hidesSettings || resetsAll || discards === 'all' || settings.some(({ name }) => READING_PARAMETERS.has(name));
}

/** A text with several statements has the effects of all of them, and is a read only if every one is. */
export function makePlan(facts: QueryFacts, context: BindContext): Plan {
  const { statements } = facts;
  // After a statement that changes the search path, an unqualified name may mean a relation of any schema.
  const changed = statements.findIndex(changesReading);
  const bound = statements.map((statement, i) =>
    bindStatement(statement, changed >= 0 && i > changed ? { ...context, path: [] } : context),
  );
  const defines = bound.findIndex((one) => one.changesCatalog);
  const pinsAfterDdl = defines < 0 ? [] : pinsOfUnknown(statements.slice(defines + 1));
  const only = bound.length === 1 ? bound[0] : undefined;
  const isRead = bound.length > 0 && bound.every((one) => one.isRead);
  const cacheWhy = only === undefined ? 'several statements in one text' : only.cacheWhy;
  const plan: Plan = {
    ...factsOfText(facts, isRead),
    catalog: context.catalog,
    isRead,
    why: whyOf(facts, bound),
    isAlikeOnStandby: bound.length > 0 && bound.every((one) => one.isAlikeOnStandby),
    isPlainRead: only?.isPlainRead ?? false,
    writes: uniqueTags(bound.flatMap((one) => one.writes)),
    writesAll: bound.length === 0 || bound.some((one) => one.writesAll),
    changesCatalog: bound.some((one) => one.changesCatalog),
    reads: isRead ? uniqueTags(bound.flatMap((one) => one.reads)) : [],
    isCacheable: only?.isCacheable ?? false,
    cacheWhy,
    ...withEffects(
      statements,
      bound.map((one) => one.effects),
    ),
    ...sequencesOf(
      statements,
      (i) => bound[i]?.effects.isSuspect === true,
      (i) => bound[i]?.functionsAskSequences === true,
    ),
    showsNames: bound.some((one) => one.showsNames),
    customSettings: customSettingsOf(statements, (i) => bound[i]?.asksSettings ?? []),
  };
  return withPins(plan, pinsAfterDdl);
}

function sequencesOf(
  statements: readonly StatementFacts[],
  isSuspect: (i: number) => boolean,
  functionsAskSequences: (i: number) => boolean,
): Pick<Plan, 'mayAdvanceSequences' | 'asksSequences' | 'asksByName'> {
  const asksByName = statements.some(asksSequences);
  return {
    mayAdvanceSequences: statements.some((one, i) => mayAdvanceSequences(one, isSuspect(i))),
    asksSequences: asksByName || statements.some((_, i) => functionsAskSequences(i)),
    asksByName,
  };
}

/** The fields that follow from the text alone, mostly about transactions. */
function factsOfText(
  facts: QueryFacts,
  isRead: boolean,
): Pick<
  Plan,
  'facts' | 'transaction' | 'mayCommit' | 'begins' | 'beginsReadOnly' | 'isolatesSnapshot' | 'mayCopyIn' | 'namesPid'
> {
  const { statements } = facts;
  return {
    facts,
    transaction: statements.length === 1 ? statements[0]?.transaction : undefined,
    mayCommit: !isRead && (statements.length === 0 || statements.some(mayCommitAt)),
    begins: statements.some((one) => one.transaction === 'begin' || one.chains),
    // session/concerns/opening.ts repeats the template to begin again on the primary, so it must be complete.
    beginsReadOnly: statements.length === 1 && statements.every(beginsReadOnly) && facts.template.length < TEMPLATE_MAX,
    isolatesSnapshot: statements.some(isolatesSnapshot),
    mayCopyIn: facts.unparsed !== undefined || statements.some(mayCopyIn),
    namesPid: statements.some(({ functions }) => functions.some(({ name }) => TAKES_PID.has(name))),
  };
}

/** Functions whose first argument is the process ID of a backend. */
const TAKES_PID: ReadonlySet<string> = new Set([
  'pg_blocking_pids',
  'pg_cancel_backend',
  'pg_log_backend_memory_contexts',
  'pg_safe_snapshot_blocking_pids',
  'pg_terminate_backend',
]);

/** sql/unread-texts.ts uses a DO in place of a text that cannot be read, so a DO counts as well. */
function mayCopyIn({ verb, kind }: StatementFacts): boolean {
  return verb === 'COPY FROM' || kind === 'unknown' || kind === 'do';
}

/** Statements after a ROLLBACK in the same text run in an implicit transaction that commits at the end of the text. */
function mayCommitAt(facts: StatementFacts, at: number, all: readonly StatementFacts[]): boolean {
  return mayCommit(facts) || (facts.transaction === 'rollback' && at < all.length - 1);
}

function mayCommit(facts: StatementFacts): boolean {
  switch (facts.kind) {
    case 'call':
    case 'do':
    case 'unknown':
      return true;
    default:
      return (
        facts.transaction === 'commit' ||
        facts.transaction === 'prepare-transaction' ||
        facts.transaction === 'commit-prepared'
      );
  }
}

/** Not SERIALIZABLE: a standby refuses it (manual, "Serializable Isolation Level"). */
function beginsReadOnly(facts: StatementFacts): boolean {
  return facts.transaction === 'begin' && facts.beginsReadOnly && facts.isolation !== 'serializable';
}

function isolatesSnapshot(facts: StatementFacts): boolean {
  const isolating = (level: string | undefined): boolean => level === 'repeatable read' || level === 'serializable';
  return (
    isolating(facts.isolation) ||
    facts.settings.some(({ name, plain }) => name.endsWith('transaction_isolation') && isolating(plain?.toLowerCase()))
  );
}

function withEffects(
  statements: readonly StatementFacts[],
  all: readonly BoundStatement['effects'][],
): Pick<Plan, 'effects' | 'hasEffects' | 'changesReading'> {
  const effects = uniteEffects(all);
  const isHidden = statements.some((one) => one.hidesSettings || one.boundSettings !== undefined);
  return {
    effects,
    hasEffects: isHidden || hasAnyEffect(effects),
    changesReading: statements.some(changesReading),
  };
}

function whyOf(facts: QueryFacts, bound: readonly BoundStatement[]): string {
  if (facts.unparsed !== undefined) return `not parsed: ${facts.unparsed}`;
  const at = bound.findIndex((one) => !one.isRead);
  const why = bound[at]?.why;
  if (why === undefined) return 'read';
  return bound.length === 1 ? why : `statement ${at + 1}: ${why}`;
}

function uniqueTags(tags: readonly Tag[]): readonly Tag[] {
  return tags.length < 2 ? tags : [...new Set(tags)].sort();
}

/** Pins of statements after uncommitted DDL, which may have created or changed the functions that they run. */
function pinsOfUnknown(statements: readonly StatementFacts[]): PinReason[] {
  const mayPin = statements.some((one) => one.kind !== 'ddl' && one.kind !== 'maintenance' && mayLeaveTraces(one));
  return mayPin ? [NOT_READ_YET] : [];
}

/** The plan after DDL in the session's own open transaction, whose new objects are in no catalog yet. */
export function planAfterOwnDdl(facts: QueryFacts): Plan {
  return withPins(planWithoutCatalog(facts), pinsOfUnknown(facts.statements));
}

/**
 * The plan after DDL, until the catalog has been read again.
 * @param last the plan by the last catalog, whose functions, triggers and views are nearly always unchanged
 */
export function planAfterDdl(facts: QueryFacts, last: Plan): Plan {
  const mayPin = last.effects.pins.some((reason) => reason === IN_FUNCTION || reason === NOT_READ_YET);
  return withPins(planWithoutCatalog(facts), mayPin ? [NOT_READ_YET] : []);
}

function withPins(plan: Plan, pins: readonly PinReason[]): Plan {
  if (pins.length === 0) return plan;
  const effects = uniteEffects([plan.effects, { ...NO_EFFECTS, pins }]);
  return { ...plan, effects, hasEffects: true };
}

/** The plan while the catalog is not known: a view or function may do anything, so every statement is a write. */
export function planWithoutCatalog(facts: QueryFacts): Plan {
  const { statements } = facts;
  const mayRun = (i: number): boolean => mayRunAnything(statements[i] as StatementFacts);
  const effects = statements.map((one) => effectsOf(one, mayLeaveTraces(one), facts.template));
  const writesAll = statements.length === 0 || statements.some((one) => !WRITES_NO_TABLE.has(one.kind));
  return {
    ...factsOfText(facts, false),
    catalog: undefined,
    isRead: false,
    why: 'the catalog of the database is not known yet',
    isAlikeOnStandby: statements.every((one, i) =>
      isAlikeOnStandby(one, facts.template, effects[i] as SessionEffects, undefined),
    ),
    isPlainRead: false,
    writes: [],
    writesAll: writesAll || statements.some((one) => one.transaction === 'commit-prepared'),
    changesCatalog: statements.some(
      (one) => one.kind === 'ddl' || one.kind === 'grant' || one.kind === 'unknown' || one.kind === 'do',
    ),
    reads: [],
    isCacheable: false,
    cacheWhy: 'the catalog of the database is not known yet',
    ...withEffects(statements, effects),
    ...sequencesOf(statements, mayRun, mayRun),
    showsNames: statements.some(readsNames),
    customSettings: customSettingsOf(statements, (i) => (mayRun(i) ? 'any' : [])),
  };
}

const WRITES_NO_TABLE: ReadonlySet<StatementFacts['kind']> = new Set([
  'explain',
  'grant',
  'maintenance',
  'transaction',
  'set',
  'show',
  'prepare',
  'deallocate',
  'discard',
  'fetch',
  'close',
  'listen',
  'unlisten',
  'notify',
  'lock',
  'load',
  'empty',
] as const);

/** May the statement run functions or triggers whose effect on the session is unknown? */
function mayRunAnything(facts: StatementFacts): boolean {
  switch (facts.kind) {
    case 'call':
    case 'do':
    case 'execute':
      return true;
    default:
      return !WRITES_NO_TABLE.has(facts.kind) && (facts.functions.length > 0 || facts.writes.length > 0);
  }
}

/** May the statement change session state by functions, also those called by triggers, views, operators and casts? */
function mayLeaveTraces(facts: StatementFacts): boolean {
  if (mayRunAnything(facts) || facts.kind === 'ddl' || facts.kind === 'maintenance') return true;
  const isRun = facts.kind === 'explain' || !WRITES_NO_TABLE.has(facts.kind);
  const { reads, operators, casts, functions } = facts;
  return isRun && reads.length + operators.length + casts.length + functions.length > 0;
}

/** The plan of a statement that a replica refused as a write (SQLSTATE 25006), although the binder took it for a read. */
export function asLearnedWrite(plan: Plan): Plan {
  const why = 'a replica refused this statement as a write (25006)';
  return {
    ...plan,
    isRead: false,
    why,
    isAlikeOnStandby: false,
    isPlainRead: false,
    writesAll: true,
    reads: [],
    isCacheable: false,
    cacheWhy: why,
  };
}
