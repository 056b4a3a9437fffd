/**
 * Binds the facts of a text to a catalog: the Plan that routing, cache and session decide by. Right before fast: what is
 * not known counts as a write. Plans are kept per facts object, so that a repeated template costs one look-up.
 *
 * Temporary tables: a name that the catalog knows may be shadowed by a session's own temporary table. The session pins
 * its server when it makes one and from then on must not ask for reads elsewhere or from the cache.
 */
import type { QueryFacts, StatementFacts } from '../sql/facts.ts';
import type { Catalog } from '../topology/catalog-types.ts';
import { effectsOf, hasAnyEffect, uniteEffects } from './bind-effects.ts';
import { parseSearchPath } from './bind-path.ts';
import type { BindContext } from './bind-reach.ts';
import { bindStatement } from './bind-statement.ts';
import type { BoundStatement } from './bind-statement.ts';
import type { Binder, Plan, Tag } from './plan.ts';

export interface BinderOptions {
  /** routing.read_only_functions: "name" or "schema.name", with or without an argument list. */
  readonly readOnlyFunctions: readonly string[];
  /** cache.tables: "name" or "schema.name"; empty: all. */
  readonly cacheTables: readonly string[];
}

/** Plans kept per facts object: sessions with different search paths share templates. */
const PLANS_PER_FACTS = 16;
/** Distinct (search_path, user) kept per catalog. */
const PATHS_PER_CATALOG = 1000;

interface Path {
  readonly schemas: readonly string[];
}

interface Kept {
  readonly path: Path;
  readonly plan: Plan;
}

/** The newest plan lies open so that the common case compares three fields. */
interface Entry {
  catalog: Catalog | undefined;
  searchPath: string | undefined;
  user: string;
  plan: Plan;
  kept: Kept[];
}

export function createBinder(options: BinderOptions): Binder {
  const vouched = new Set(options.readOnlyFunctions.map(plainName));
  const cacheTables = new Set(options.cacheTables.map(plainName));
  const entries = new WeakMap<QueryFacts, Entry>();
  const learned = new WeakSet<QueryFacts>();
  const paths = new WeakMap<Catalog, Map<string | undefined, Map<string, Path>>>();
  const canonical = new WeakMap<Catalog, Map<string, Path>>();
  const noPath: Path = { schemas: [] };

  function pathOf(catalog: Catalog | undefined, searchPath: string | undefined, user: string): Path {
    if (catalog === undefined) return noPath;
    let known = paths.get(catalog);
    if (known === undefined) paths.set(catalog, (known = new Map()));
    let users = known.get(searchPath);
    if (users === undefined) known.set(searchPath, (users = new Map()));
    const found = users.get(user);
    if (found !== undefined) return found;
    const schemas = parseSearchPath(searchPath ?? catalog.searchPathOf(user), user) ?? [];
    // Users without a schema of their own share the path, and so its plans.
    const path = canonicalPath(
      catalog,
      schemas.filter((schema) => schema !== user || catalog.hasSchema(schema)),
    );
    if (users.size >= PATHS_PER_CATALOG) users.clear();
    if (known.size >= PATHS_PER_CATALOG) known.clear();
    users.set(user, path);
    return path;
  }

  /** One object per distinct list of schemas: plans are kept by it. */
  function canonicalPath(catalog: Catalog, schemas: readonly string[]): Path {
    let known = canonical.get(catalog);
    if (known === undefined) canonical.set(catalog, (known = new Map()));
    const key = schemas.join('\0');
    const path = known.get(key) ?? { schemas };
    if (known.size >= PATHS_PER_CATALOG) known.clear();
    known.set(key, path);
    return path;
  }

  function planOf(facts: QueryFacts, catalog: Catalog | undefined, path: Path): Plan {
    if (catalog === undefined) return planWithoutCatalog(facts);
    const context: BindContext = { catalog, path: path.schemas, vouched, cacheTables, template: facts.template };
    const plan = unite(facts, catalog, context);
    return learned.has(facts) ? asLearnedWrite(plan) : plan;
  }

  return {
    bind(facts, catalog, searchPath, user) {
      const entry = entries.get(facts);
      if (entry !== undefined && entry.catalog === catalog && entry.searchPath === searchPath && entry.user === user) {
        return entry.plan;
      }
      const path = pathOf(catalog, searchPath, user);
      // Plans of a catalog that was replaced are of no use to anybody.
      const kept = entry !== undefined && entry.catalog === catalog ? entry.kept : [];
      let plan = kept.find((old) => old.path === path)?.plan;
      if (plan === undefined) {
        plan = neverThrows(facts, catalog, () => planOf(facts, catalog, path));
        kept.push({ path, plan });
        if (kept.length > PLANS_PER_FACTS) kept.shift();
      }
      if (entry === undefined) entries.set(facts, { catalog, searchPath, user, plan, kept });
      else Object.assign(entry, { catalog, searchPath, user, plan, kept });
      return plan;
    },
    learnWrite(facts) {
      learned.add(facts);
      entries.delete(facts);
    },
  };
}

function plainName(name: string): string {
  return name.replace(/\(.*$/, '').replaceAll('"', '').trim();
}

/** A mistake in here must not take a client down: the statement goes to the primary and everything counts as written. */
function neverThrows(facts: QueryFacts, catalog: Catalog | undefined, make: () => Plan): Plan {
  try {
    return make();
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { ...planWithoutCatalog(facts), catalog, why: `cannot be bound: ${problem}`, cacheWhy: 'cannot be bound' };
  }
}

function unite(facts: QueryFacts, catalog: Catalog, context: BindContext): Plan {
  const { statements } = facts;
  const bound = statements.map((statement) => bindStatement(statement, context));
  const only = bound.length === 1 ? bound[0] : undefined;
  const isRead = bound.length > 0 && bound.every((one) => one.isRead);
  const cacheWhy = only === undefined ? 'several statements in one text' : only.cacheWhy;
  return {
    ...shapeOf(facts, isRead),
    catalog,
    isRead,
    why: whyOf(facts, bound),
    isPlainRead: only?.isPlainRead ?? false,
    writes: uniqueTags(bound.flatMap((one) => one.writes)),
    writesAll: bound.length === 0 || bound.some((one) => one.writesAll),
    changesCatalog: bound.some((one) => one.changesCatalog),
    reads: only?.reads ?? [],
    isCacheable: only?.isCacheable ?? false,
    cacheWhy,
    ...withEffects(bound.map((one) => one.effects)),
  };
}

/** What only the text decides: transactions. */
function shapeOf(
  facts: QueryFacts,
  isRead: boolean,
): Pick<Plan, 'facts' | 'transaction' | 'mayCommit' | 'begins' | 'beginsReadOnly' | 'isolatesSnapshot'> {
  const { statements } = facts;
  return {
    facts,
    transaction: statements.length === 1 ? statements[0]?.transaction : undefined,
    mayCommit: !isRead && (statements.length === 0 || statements.some(mayCommit)),
    begins: statements.some((one) => one.transaction === 'begin' || one.chains),
    beginsReadOnly: statements.length === 1 && statements.every(beginsReadOnly),
    isolatesSnapshot: statements.some(isolatesSnapshot),
  };
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

/** A standby has no SERIALIZABLE. */
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

function withEffects(all: readonly BoundStatement['effects'][]): Pick<Plan, 'effects' | 'hasEffects'> {
  const effects = uniteEffects(all);
  return { effects, hasEffects: hasAnyEffect(effects) };
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

/** The catalog has not been read (or is being read again): views and functions could be anything. */
function planWithoutCatalog(facts: QueryFacts): Plan {
  const { statements } = facts;
  const writesAll = statements.length === 0 || statements.some((one) => !LEAVES_TABLES_ALONE.has(one.kind));
  return {
    ...shapeOf(facts, false),
    catalog: undefined,
    isRead: false,
    why: 'the catalog of the database is not known yet',
    isPlainRead: false,
    writes: [],
    writesAll: writesAll || statements.some((one) => one.transaction === 'commit-prepared'),
    changesCatalog: statements.some(
      (one) => one.kind === 'ddl' || one.kind === 'grant' || one.kind === 'unknown' || one.kind === 'do',
    ),
    reads: [],
    isCacheable: false,
    cacheWhy: 'the catalog of the database is not known yet',
    ...withEffects(statements.map((one) => effectsOf(one, mayRunAnything(one), facts.template))),
  };
}

const LEAVES_TABLES_ALONE: ReadonlySet<StatementFacts['kind']> = new Set([
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

/** Calls and triggers of unknown effect on the session. */
function mayRunAnything(facts: StatementFacts): boolean {
  switch (facts.kind) {
    case 'call':
    case 'do':
    case 'execute':
      return true;
    default:
      return !LEAVES_TABLES_ALONE.has(facts.kind) && (facts.functions.length > 0 || facts.writes.length > 0);
  }
}

/** A replica refused it (25006) although nothing in the catalog says so: what it writes is unknown, too. */
function asLearnedWrite(plan: Plan): Plan {
  const why = 'a replica refused this statement as a write (25006)';
  return {
    ...plan,
    isRead: false,
    why,
    isPlainRead: false,
    writesAll: true,
    reads: [],
    isCacheable: false,
    cacheWhy: why,
  };
}
