/**
 * Plans one statement: may it run on a standby, may its answer be cached, what may it write, what does it change in the
 * session. One switch decides by the kind of statement; reach.ts and writes.ts look up the names. Called by make-plan.ts.
 */
import type { StatementFacts } from '../sql/facts.ts';
import { effectsOf, IN_FUNCTION, NOT_READ_YET } from './effects.ts';
import { displayName, isTemporarySchema, reachOf } from './reach.ts';
import type { BindContext } from './reach.ts';
import { Reach } from './reached.ts';
import { isAlikeOnStandby } from './standby.ts';
import { isCopyToStdout, hasTemporaryKeyword } from './text.ts';
import { WriteClosure, writeClosureOf } from './writes.ts';
import type { PinReason, SessionEffects, Tag } from './plan.ts';

export interface BoundStatement {
  readonly isRead: boolean;
  readonly why: string;
  readonly isAlikeOnStandby: boolean;
  readonly isPlainRead: boolean;
  readonly writes: readonly Tag[];
  readonly writesAll: boolean;
  readonly changesCatalog: boolean;
  readonly isCacheable: boolean;
  readonly cacheWhy: string;
  readonly reads: readonly Tag[];
  readonly effects: SessionEffects;
  /** A function that it runs calls currval() or lastval(). */
  readonly functionsAskSequences: boolean;
  readonly showsNames: boolean;
  /** Custom settings that the functions it calls read. */
  readonly asksSettings: readonly string[];
}

/** What a kind of statement does, whatever relations and functions it names. */
interface Kind {
  /** Why it is never a read; undefined: the relations and functions decide. */
  readonly refusal: string | undefined;
  /** It reads its relations and calls its functions, so they count. */
  readonly runs: boolean;
  /** Why it may write any table; undefined: it does not. */
  readonly writesAll: string | undefined;
  readonly changesCatalog: boolean;
}

const READ: Kind = { refusal: undefined, runs: true, writesAll: undefined, changesCatalog: false };

type StillKind =
  | 'explain'
  | 'transaction'
  | 'show'
  | 'set'
  | 'discard'
  | 'prepare'
  | 'deallocate'
  | 'listen'
  | 'unlisten'
  | 'load'
  | 'fetch'
  | 'close'
  | 'notify'
  | 'lock'
  | 'maintenance';

function kindOf(facts: StatementFacts, template: string): Kind {
  const { kind } = facts;
  switch (kind) {
    case 'select':
    case 'empty':
      return READ;
    case 'copy-to':
      return isCopyToStdout(template) ? READ : { ...READ, refusal: 'COPY to a file or program' };
    case 'insert':
    case 'update':
    case 'delete':
    case 'merge':
    case 'truncate':
    case 'copy-from':
    case 'refresh':
      return { ...READ, refusal: `${facts.verb} writes` };
    case 'declare':
      return { ...READ, refusal: 'opens a cursor' };
    case 'ddl':
      return ddl(facts, template);
    case 'grant':
      return { ...neverRead(`${facts.verb} changes the catalog`), changesCatalog: true };
    case 'call':
    case 'do':
      // What a procedure or DO block does is not known; migrations use DO for DDL, so it may also change the catalog.
      return {
        ...writesAnything(`${facts.verb} may do anything`),
        runs: true,
        changesCatalog: kind === 'do',
      };
    case 'execute':
      // The statement was prepared by another text, which may be a PREPARE inside a function.
      return writesAnything('EXECUTE of a statement prepared in SQL');
    case 'unknown':
      return { ...writesAnything('not parsed'), changesCatalog: !READS_OR_WRITES_DATA.test(facts.verb) };
    default:
      return stillKindOf(kind, facts);
  }
}

/** The Kind of statements that neither compute rows nor change what other sessions see. */
function stillKindOf(kind: StillKind, facts: StatementFacts): Kind {
  switch (kind) {
    case 'explain':
      return neverRead('EXPLAIN shows the plan of the node it runs on');
    case 'transaction':
      // COMMIT PREPARED makes the writes of another session visible.
      return facts.transaction === 'commit-prepared'
        ? writesAnything('COMMIT PREPARED of unknown writes')
        : neverRead(facts.verb);
    case 'show':
      return neverRead('SHOW answers for the server that the session is on');
    case 'set':
    case 'discard':
    case 'prepare':
    case 'deallocate':
    case 'listen':
    case 'unlisten':
    case 'load':
      return neverRead(`${facts.verb} changes the session`);
    case 'fetch':
    case 'close':
      return neverRead(`${facts.verb} uses a cursor`);
    case 'notify':
    case 'lock':
      return neverRead(`${facts.verb} runs on the primary`);
    case 'maintenance':
      // VACUUM and similar commands change no row. COPY (query) TO a file runs its query.
      return { ...neverRead(`${facts.verb} runs on the primary`), runs: facts.verb.startsWith('COPY') };
  }
}

/** Not a read; it neither reads its relations nor calls its functions. */
function neverRead(refusal: string): Kind {
  return { refusal, runs: false, writesAll: undefined, changesCatalog: false };
}

/** Not a read; it may write any table. */
function writesAnything(refusal: string): Kind {
  return { refusal, runs: false, writesAll: refusal, changesCatalog: false };
}

/**
 * First words of an unparsed text that has no DDL. A text of several statements may have DDL further on; Weir then sees
 * the changed catalog only at its next check of the schema.
 */
const READS_OR_WRITES_DATA = /^(?:\(|SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|TABLE|COPY|MERGE|EXPLAIN|SET|SHOW|FETCH)/i;

function ddl(facts: StatementFacts, template: string): Kind {
  // No other session sees a temporary object. Its query counts all the same: CREATE TEMP TABLE t AS SELECT f().
  if (isTemporaryDefinition(facts, template)) return { ...READ, refusal: `${facts.verb} (temporary)` };
  return { ...writesAnything(`${facts.verb} changes the catalog`), runs: true, changesCatalog: true };
}

/**
 * It creates a temporary relation and changes nothing else in the catalog. `facts.createsTemporary` is not enough: it is
 * true of anything that mentions pg_temp, such as `CREATE FUNCTION ... SET search_path = pg_temp`.
 */
function isTemporaryDefinition(facts: StatementFacts, template: string): boolean {
  if (
    !facts.createsTemporary ||
    !/(?:^|ANALYZE )(?:CREATE (?:TABLE|TABLE AS|SEQUENCE|VIEW)|SELECT INTO)$/.test(facts.verb)
  )
    return false;
  const isNamed = facts.writes.every(({ schema }) => schema !== undefined && isTemporarySchema(schema));
  return (isNamed && facts.writes.length > 0) || hasTemporaryKeyword(template);
}

/** Plans one statement by looking up its names in the catalog of `context`. */
export function bindStatement(facts: StatementFacts, context: BindContext): BoundStatement {
  const kind = kindOf(facts, context.template);
  // The planner of an EXPLAIN evaluates functions, so they may change the session.
  const planned = facts.kind === 'explain' ? reachOf(facts, context) : undefined;
  const reach = kind.runs ? reachOf(facts, context) : new Reach();
  const closure = kind.runs && writesRows(facts) ? writeClosureOf(facts, context, reach) : new WriteClosure();
  if (kind.writesAll !== undefined) closure.addAll(kind.writesAll);
  if (reach.writesAll !== undefined) closure.addAll(reach.writesAll);

  const why = refusalOf(facts, kind) ?? reach.notRead;
  const isSuspect = (planned ?? reach).isSuspect || runsUnseen(facts, kind);
  const isSelect = facts.kind === 'select' && !facts.isExplain;
  const effects = effectsOf(facts, isSuspect, context.template, pinsOfReach(planned ?? reach, context));
  const cacheWhy = why ?? (isSelect ? cacheRefusal(reach, context) : `${facts.verb} is not a SELECT`);
  return {
    isRead: why === undefined,
    why: why ?? 'read',
    isAlikeOnStandby: why === undefined || isAlikeOnStandby(facts, context.template, effects, planned ?? reach),
    isPlainRead: why === undefined && isSelect,
    writes: tagsOf(closure.roots, context),
    writesAll: closure.all !== undefined,
    changesCatalog: kind.changesCatalog || reach.mayDefine,
    isCacheable: cacheWhy === '',
    cacheWhy,
    reads: why === undefined && dependsOnCatalog(facts, reach) ? readTags(reach, context) : [],
    effects,
    functionsAskSequences: reach.asks.sequences,
    showsNames: (planned ?? reach).asks.preparedNames || readsNames(facts),
    asksSettings: reach.asks.settings,
  };
}

/** Pins for session state that the statement's functions change, or that unknown functions may change. */
function pinsOfReach(reach: Reach, { isAfterDdl }: BindContext): PinReason[] {
  const { leavesState, unknown } = reach;
  const pins: PinReason[] = leavesState ? [IN_FUNCTION] : [];
  // A relation missing from the catalog is temporary, unless there was DDL after the catalog was read.
  if (unknown === 'a function' || (isAfterDdl && unknown === 'a name')) pins.push(NOT_READ_YET);
  return pins;
}

/** It names pg_prepared_statements. True of a PREPARE as well, because EXECUTE will run the statement. */
export function readsNames({ reads, functions }: StatementFacts): boolean {
  return (
    reads.some(({ name }) => name === 'pg_prepared_statements') ||
    functions.some(({ name }) => name === 'pg_prepared_statement')
  );
}

/** It runs functions that no catalog look-up finds: indexes, defaults and constraints that DDL builds, event triggers. */
function runsUnseen(facts: StatementFacts, kind: Kind): boolean {
  switch (facts.kind) {
    case 'call':
    case 'do':
    case 'execute':
      return true;
    case 'ddl':
      return kind.changesCatalog;
    case 'maintenance':
      return facts.verb !== 'CHECKPOINT';
    default:
      return false;
  }
}

/** It changes rows of the relations in `writes`, rather than creating or altering them. */
function writesRows(facts: StatementFacts): boolean {
  return facts.kind !== 'ddl' && facts.kind !== 'grant' && facts.writes.length > 0;
}

/** Why it is not a read, as far as the facts tell without the catalog. */
function refusalOf(facts: StatementFacts, kind: Kind): string | undefined {
  if (kind.runs && writesRows(facts)) return `writes ${displayName(facts.writes[0] ?? NO_NAME)}`;
  if (kind.refusal !== undefined) return kind.refusal;
  if (facts.hasLocking) return 'locks rows';
  if (facts.settings.length > 0) return 'changes a setting of the session';
  if (facts.createsTemporary) return 'makes something temporary';
  if (facts.cursor !== undefined) return 'opens a cursor';
  return undefined;
}

const NO_NAME = { schema: undefined, name: '' };

/** Why the answer of a read must not be cached; '' if it may be. */
function cacheRefusal(reach: Reach, context: BindContext): string {
  if (reach.notCacheable !== undefined) return reach.notCacheable;
  let hasTable = false;
  for (const relation of reach.relations.values()) {
    if (relation.kind === 'view') continue;
    hasTable = true;
    if (!isAllowed(relation.root, context) && !isAllowed(relation.oid, context)) {
      return `${relation.schema}.${relation.name} is not in cache.tables`;
    }
  }
  return hasTable ? '' : 'reads no table';
}

function isAllowed(oid: number, { cacheTables, catalog }: BindContext): boolean {
  if (cacheTables.size === 0) return true;
  const relation = catalog.relationByOid(oid);
  return (
    relation !== undefined && (cacheTables.has(relation.name) || cacheTables.has(`${relation.schema}.${relation.name}`))
  );
}

/** DDL can change the answer: a function, a type or an operator can be another one by now, as a table can. */
function dependsOnCatalog({ functions, operators, casts, textCasts }: StatementFacts, { relations }: Reach): boolean {
  return relations.size + functions.length + operators.length + casts.length + textCasts.length > 0;
}

function readTags(reach: Reach, context: BindContext): readonly Tag[] {
  const roots = new Set<number>();
  for (const relation of reach.relations.values()) if (relation.kind !== 'view') roots.add(relation.root);
  const { tagPrefix } = context.catalog;
  return [...tagsOf(roots, context), `${tagPrefix}cat`, `${tagPrefix}all`].sort();
}

function tagsOf(roots: ReadonlySet<number>, context: BindContext): readonly Tag[] {
  return [...roots].map((oid) => `${context.catalog.tagPrefix}r${oid}`).sort();
}
