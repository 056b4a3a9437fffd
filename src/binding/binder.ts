/**
 * Looks up the names of a query text in a catalog and makes the Plan that routing, cache and session decide by. What
 * the catalog does not know counts as a write. Plans are cached (plan-cache.ts): a repeated template costs one look-up.
 * Not aware of temporary tables, which can hide a table of the catalog: a session that creates one is pinned to its
 * server and must not route reads elsewhere or answer them from the cache.
 */
import type { QueryFacts } from '../sql/facts.ts';
import type { Catalog } from '../catalog/types.ts';
import { Bodies } from './bodies.ts';
import { PlanCache } from './plan-cache.ts';
import type { Path } from './plan-cache.ts';
import { asLearnedWrite, planWithoutCatalog, makePlan } from './make-plan.ts';
import type { Binder, Plan } from './plan.ts';

export interface BinderOptions {
  /** routing.read_only_functions: "name" or "schema.name", with or without an argument list. */
  readonly readOnlyFunctions: readonly string[];
  /** cache.tables: "name" or "schema.name"; empty: all. */
  readonly cacheTables: readonly string[];
}

/** One binder serves any number of databases. In bind(), `user` is the effective role: "$user" in a search path. */
export function createBinder(options: BinderOptions): Binder {
  const readOnlyFunctions = new Set(options.readOnlyFunctions.map(plainName));
  const cacheTables = new Set(options.cacheTables.map(plainName));
  const learned = new WeakSet<QueryFacts>();
  // Weak maps, so that the plans of a replaced catalog are freed with it, including those of templates not used again.
  const caches = new WeakMap<Catalog, PlanCache>();
  let liveCaches: WeakRef<PlanCache>[] = [];
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
      liveCaches = [...liveCaches.filter((ref) => ref.deref() !== undefined), new WeakRef(cache)];
    }
    return cache;
  }

  /** An exception in the binder must not end a client's session: the statement is then a write of every table. */
  function planOf(facts: QueryFacts, bodies: Bodies, catalog: Catalog, path: Path): Plan {
    try {
      const { template } = facts;
      const plan = makePlan(facts, { catalog, bodies, path: path.schemas, readOnlyFunctions, cacheTables, template });
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
      for (const ref of liveCaches) ref.deref()?.forget(facts);
    },
  };
}

function plainName(name: string): string {
  return name.replace(/\(.*$/, '').replaceAll('"', '').trim();
}
