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
import { hasAnyEffect, NOT_READ_YET } from './effects.ts';
import { asLearnedWrite, makePlan, planAfterDdl, planAfterOwnDdl, planWithoutCatalog } from './make-plan.ts';
import type { Binder, PinReason, Plan } from './plan.ts';

export interface BinderOptions {
  /** routing.read_only_functions: "name" or "schema.name", with or without an argument list. */
  readonly readOnlyFunctions: readonly string[];
  /** cache.tables: "name" or "schema.name"; empty: all. */
  readonly cacheTables: readonly string[];
}

/** One binder serves any number of databases. In bind(), `user` is the effective role: "$user" in a search path. */
export function createBinder(options: BinderOptions): Binder {
  return new PlanMaker(options);
}

class PlanMaker implements Binder {
  readonly #readOnlyFunctions: ReadonlySet<string>;
  readonly #cacheTables: ReadonlySet<string>;
  readonly #learnedWrites = new WeakSet<QueryFacts>();
  readonly #unknown = new WeakSet<QueryFacts>();
  // Weak maps, so that the plans of a replaced catalog are freed with it, including those of templates not used again.
  readonly #caches = new WeakMap<Catalog, PlanCache>();
  readonly #cachesAfterDdl = new WeakMap<Catalog, PlanCache>();
  #liveCaches: WeakRef<PlanCache>[] = [];
  readonly #withoutCatalog = new PlanCache(undefined, planWithoutCatalog);
  readonly #afterOwnDdl = new PlanCache(undefined, planAfterOwnDdl);
  #lastCatalog: Catalog | undefined;
  #last = this.#withoutCatalog;

  constructor({ readOnlyFunctions, cacheTables }: BinderOptions) {
    this.#readOnlyFunctions = new Set(readOnlyFunctions.map(plainName));
    this.#cacheTables = new Set(cacheTables.map(plainName));
  }

  bind(facts: QueryFacts, catalog: Catalog | undefined, searchPath: string | undefined, user: string): Plan {
    if (catalog !== this.#lastCatalog) {
      this.#lastCatalog = catalog;
      this.#last = this.#cacheOf(catalog);
    }
    return this.#last.plan(facts, searchPath, user);
  }

  bindAfterDdl(facts: QueryFacts, last: Catalog | undefined, searchPath: string | undefined, user: string): Plan {
    return this.#cacheAfterDdl(last).plan(facts, searchPath, user);
  }

  learnUnknown(facts: QueryFacts): void {
    this.#learn(facts, this.#unknown);
  }

  learnWrite(facts: QueryFacts): void {
    this.#learn(facts, this.#learnedWrites);
  }

  /** Plans made before are made again. */
  #learn(facts: QueryFacts, among: WeakSet<QueryFacts>): void {
    among.add(facts);
    for (const ref of this.#liveCaches) ref.deref()?.forget(facts);
  }

  #cacheOf(catalog: Catalog | undefined): PlanCache {
    if (catalog === undefined) return this.#withoutCatalog;
    let cache = this.#caches.get(catalog);
    if (cache === undefined) {
      const bodies = new Bodies(catalog);
      cache = new PlanCache(catalog, (facts, path) => this.#plan(facts, path, bodies, catalog));
      this.#caches.set(catalog, cache);
      this.#liveCaches = [...this.#liveCaches.filter((ref) => ref.deref() !== undefined), new WeakRef(cache)];
    }
    return cache;
  }

  #cacheAfterDdl(last: Catalog | undefined): PlanCache {
    if (last === undefined) return this.#afterOwnDdl;
    let cache = this.#cachesAfterDdl.get(last);
    if (cache === undefined) {
      const bodies = new Bodies(last);
      cache = new PlanCache(last, (facts, path) => planAfterDdl(facts, this.#made(facts, path, bodies, last, true)));
      this.#cachesAfterDdl.set(last, cache);
    }
    return cache;
  }

  #plan(facts: QueryFacts, path: Path, bodies: Bodies, catalog: Catalog): Plan {
    const made = this.#made(facts, path, bodies, catalog, false);
    const plan = this.#unknown.has(facts) ? withoutPin(made, NOT_READ_YET) : made;
    return this.#learnedWrites.has(facts) ? asLearnedWrite(plan) : plan;
  }

  /** An exception in the binder must not end a client's session: the statement is then a write of every table. */
  #made(facts: QueryFacts, path: Path, bodies: Bodies, catalog: Catalog, isAfterDdl: boolean): Plan {
    const [readOnlyFunctions, cacheTables] = [this.#readOnlyFunctions, this.#cacheTables];
    const { template } = facts;
    try {
      const names = { catalog, bodies, path: path.schemas, readOnlyFunctions, cacheTables };
      return makePlan(facts, { ...names, template, isAfterDdl });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return { ...planWithoutCatalog(facts), catalog, why: `cannot be bound: ${problem}`, cacheWhy: 'cannot be bound' };
    }
  }
}

function withoutPin(plan: Plan, reason: PinReason): Plan {
  const effects = { ...plan.effects, pins: plan.effects.pins.filter((each) => each !== reason) };
  return { ...plan, effects, hasEffects: hasAnyEffect(effects) };
}

function plainName(name: string): string {
  return name.replace(/\(.*$/, '').replaceAll('"', '').trim();
}
