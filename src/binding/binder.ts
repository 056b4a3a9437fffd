/**
 * Binds the facts of a text to a catalog: the Plan that routing, cache and session decide by. Right before fast: what is
 * not known counts as a write. Plans are kept (plan-cache.ts), so that a repeated template costs one look-up.
 *
 * Temporary tables: a name that the catalog knows may be shadowed by a session's own temporary table. The session pins
 * its server when it makes one and from then on must not ask for reads elsewhere or from the cache.
 */
import type { QueryFacts } from '../sql/facts.ts';
import type { Catalog } from '../catalog/types.ts';
import { Bodies } from './bodies.ts';
import { PlanCache } from './plan-cache.ts';
import type { Path } from './plan-cache.ts';
import { asLearnedWrite, planWithoutCatalog, unite } from './make-plan.ts';
import type { Binder, Plan } from './plan.ts';

export interface BinderOptions {
  /** routing.read_only_functions: "name" or "schema.name", with or without an argument list. */
  readonly readOnlyFunctions: readonly string[];
  /** cache.tables: "name" or "schema.name"; empty: all. */
  readonly cacheTables: readonly string[];
}

/** One binder serves any number of databases; `user` is the effective role ("$user" in a search path). */
export function createBinder(options: BinderOptions): Binder {
  const vouched = new Set(options.readOnlyFunctions.map(plainName));
  const cacheTables = new Set(options.cacheTables.map(plainName));
  const learned = new WeakSet<QueryFacts>();
  // Weak on both sides: a catalog that was replaced takes its plans with it, also those of templates not used again.
  const caches = new WeakMap<Catalog, PlanCache>();
  let living: WeakRef<PlanCache>[] = [];
  const withoutCatalog = new PlanCache(undefined, planWithoutCatalog);
  let lastCatalog: Catalog | undefined;
  let last = withoutCatalog;

  function cacheOf(catalog: Catalog | undefined): PlanCache {
    if (catalog === undefined) return withoutCatalog;
    let cache = caches.get(catalog);
    if (cache === undefined) {
      const bodies = new Bodies(catalog);
      cache = new PlanCache(catalog, (facts, path) => planOf(facts, bodies, catalog, path));
      caches.set(catalog, cache);
      living = [...living.filter((ref) => ref.deref() !== undefined), new WeakRef(cache)];
    }
    return cache;
  }

  /** A mistake in here must not take a client down: then the statement goes to the primary as a write of everything. */
  function planOf(facts: QueryFacts, bodies: Bodies, catalog: Catalog, path: Path): Plan {
    try {
      const { template } = facts;
      const plan = unite(facts, { catalog, bodies, path: path.schemas, vouched, cacheTables, template });
      return learned.has(facts) ? asLearnedWrite(plan) : plan;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return { ...planWithoutCatalog(facts), catalog, why: `cannot be bound: ${problem}`, cacheWhy: 'cannot be bound' };
    }
  }

  return {
    bind(facts, catalog, searchPath, user) {
      if (catalog !== lastCatalog) {
        lastCatalog = catalog;
        last = cacheOf(catalog);
      }
      return last.plan(facts, searchPath, user);
    },
    learnWrite(facts) {
      learned.add(facts);
      for (const ref of living) ref.deref()?.forget(facts);
    },
  };
}

function plainName(name: string): string {
  return name.replace(/\(.*$/, '').replaceAll('"', '').trim();
}
