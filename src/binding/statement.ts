/**
 * One statement against one catalog: may it run on a standby, may its answer be kept, what may it write, what does it
 * leave in the session. The decision table of statement kinds is here (one switch); names are looked up by
 * reach.ts and writes.ts. Called by binder.ts.
 */
import type { StatementFacts } from '../sql/facts.ts';
import { effectsOf } from './effects.ts';
import { displayName, isTemporarySchema, reachOf } from './reach.ts';
import type { BindContext } from './reach.ts';
import { Reach } from './reached.ts';
import { isAlikeOnStandby } from './standby.ts';
import { isCopyToStdout, saysTemporary } from './text.ts';
import { WriteClosure, writeClosureOf } from './writes.ts';
import type { SessionEffects, Tag } from './plan.ts';

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
  /** Something that it runs calls currval() or lastval(). */
  readonly asksWithin: boolean;
  readonly showsNames: boolean;
  /** Custom settings that the functions it calls ask for. */
  readonly asksSettings: readonly string[];
}

/** What running a statement of a kind can change, apart from what its names say. */
interface Kind {
  /** Why it is never a read; undefined: its parts decide. */
  readonly refusal: string | undefined;
  /** Its names and functions are run, so that they count. */
  readonly runs: boolean;
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
      return { ...still(`${facts.verb} changes the catalog`), changesCatalog: true };
    case 'call':
    case 'do':
      // A procedure is somebody's program, and DO is one that nobody can look up; migrations like it for DDL.
      return {
        ...unknown(`${facts.verb} may do anything`),
        runs: true,
        changesCatalog: kind === 'do',
      };
    case 'execute':
      // What it runs was named by PREPARE, perhaps by a text that nobody here has seen.
      return unknown('EXECUTE of a statement prepared in SQL');
    case 'unknown':
      return { ...unknown('not parsed'), changesCatalog: !READS_OR_WRITES_DATA.test(facts.verb) };
    default:
      return stillKindOf(kind, facts);
  }
}

/** Of what neither computes rows nor changes what others see. */
function stillKindOf(kind: StillKind, facts: StatementFacts): Kind {
  switch (kind) {
    case 'explain':
      return still('EXPLAIN shows the plan of the node it runs on');
    case 'transaction':
      // COMMIT PREPARED makes visible what some other session wrote.
      return facts.transaction === 'commit-prepared' ? unknown('COMMIT PREPARED of unknown writes') : still(facts.verb);
    case 'show':
      return still('SHOW answers for the server that the session is on');
    case 'set':
    case 'discard':
    case 'prepare':
    case 'deallocate':
    case 'listen':
    case 'unlisten':
    case 'load':
      return still(`${facts.verb} changes the session`);
    case 'fetch':
    case 'close':
      return still(`${facts.verb} uses a cursor`);
    case 'notify':
    case 'lock':
      return still(`${facts.verb} runs on the primary`);
    case 'maintenance':
      // VACUUM and the like change no row; COPY (query) TO a file runs its query.
      return { ...still(`${facts.verb} runs on the primary`), runs: facts.verb.startsWith('COPY') };
  }
}

/** Never a read, and its names are not run. */
function still(refusal: string): Kind {
  return { refusal, runs: false, writesAll: undefined, changesCatalog: false };
}

function unknown(refusal: string): Kind {
  return { refusal, runs: false, writesAll: refusal, changesCatalog: false };
}

/** Not parsed, but by its first word without DDL (a text of several statements may hold some: then it is missed until the next look). */
const READS_OR_WRITES_DATA = /^(?:\(|SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|TABLE|COPY|MERGE|EXPLAIN|SET|SHOW|FETCH)/i;

function ddl(facts: StatementFacts, template: string): Kind {
  // Temporary objects are nobody else's business; their queries still count (CREATE TEMP TABLE t AS SELECT f()).
  if (isTemporaryDefinition(facts, template)) return { ...READ, refusal: `${facts.verb} (temporary)` };
  return { ...unknown(`${facts.verb} changes the catalog`), runs: true, changesCatalog: true };
}

/**
 * The facts say "temporary" of anything that mentions pg_temp, also of `CREATE FUNCTION ... SET search_path = pg_temp`.
 * Only what is plainly a temporary relation may pass for something that leaves the catalog alone.
 */
function isTemporaryDefinition(facts: StatementFacts, template: string): boolean {
  if (
    !facts.createsTemporary ||
    !/(?:^|ANALYZE )(?:CREATE (?:TABLE|TABLE AS|SEQUENCE|VIEW)|SELECT INTO)$/.test(facts.verb)
  )
    return false;
  const isNamed = facts.writes.every(({ schema }) => schema !== undefined && isTemporarySchema(schema));
  return (isNamed && facts.writes.length > 0) || saysTemporary(template);
}

export function bindStatement(facts: StatementFacts, context: BindContext): BoundStatement {
  const kind = kindOf(facts, context.template);
  // EXPLAIN runs what the planner evaluates.
  const planned = facts.kind === 'explain' ? reachOf(facts, context) : undefined;
  const reach = kind.runs ? reachOf(facts, context) : new Reach();
  const closure = kind.runs && writesRows(facts) ? writeClosureOf(facts, context, reach) : new WriteClosure();
  if (kind.writesAll !== undefined) closure.addAll(kind.writesAll);
  if (reach.writesAll !== undefined) closure.addAll(reach.writesAll);

  const why = refusalOf(facts, kind) ?? reach.notRead;
  const isSuspect = (planned ?? reach).isSuspect || runsUnseen(facts, kind);
  const leavesState = (planned ?? reach).leavesState;
  const isSelect = facts.kind === 'select' && !facts.isExplain;
  const effects = effectsOf(facts, isSuspect, context.template, leavesState);
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
    reads: why === undefined && reach.relations.size > 0 ? readTags(reach, context) : [],
    effects,
    asksWithin: reach.asksSequences,
    showsNames: (planned ?? reach).showsNames || readsNames(facts),
    asksSettings: reach.asksSettings,
  };
}

/** Also of what is only prepared: EXECUTE will run it. */
export function readsNames({ reads, functions }: StatementFacts): boolean {
  return (
    reads.some(({ name }) => name === 'pg_prepared_statements') ||
    functions.some(({ name }) => name === 'pg_prepared_statement')
  );
}

/** Also indexes, defaults and constraints that are made or built anew call functions, and event triggers are some. */
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

/** The relations it names as written have rows changed, rather than being made or altered. */
function writesRows(facts: StatementFacts): boolean {
  return facts.kind !== 'ddl' && facts.kind !== 'grant' && facts.writes.length > 0;
}

/** Why it is not a read for what it is, whatever its names resolve to. */
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

/** '' when its answer may be kept. */
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

function readTags(reach: Reach, context: BindContext): readonly Tag[] {
  const roots = new Set<number>();
  for (const relation of reach.relations.values()) if (relation.kind !== 'view') roots.add(relation.root);
  const { tagPrefix } = context.catalog;
  return [...tagsOf(roots, context), `${tagPrefix}cat`, `${tagPrefix}all`].sort();
}

function tagsOf(roots: ReadonlySet<number>, context: BindContext): readonly Tag[] {
  return [...roots].map((oid) => `${context.catalog.tagPrefix}r${oid}`).sort();
}
