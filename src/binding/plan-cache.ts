/**
 * Caches the plans of one catalog by facts object and search path. Entries may be dropped at any time: the plan is then
 * made again. binder.ts holds it weakly, so that it is freed together with a replaced catalog.
 */
import type { QueryFacts } from '../sql/facts.ts';
import type { Catalog } from '../catalog/types.ts';
import { parseSearchPath } from './search-path.ts';
import type { Plan } from './plan.ts';

/** Plans kept per facts object: sessions with different search paths share templates. */
const PLANS_PER_FACTS = 16;
/** Limit of distinct search paths, and of users of each. */
const PATHS_KEPT = 1000;

/** Schemas in order. One object per distinct list, so that paths can be compared by identity. */
export interface Path {
  readonly schemas: readonly string[];
}

/** The last plan is kept in fields of its own, so that the common case only compares two strings. */
interface Entry {
  searchPath: string | undefined;
  user: string;
  plan: Plan;
  readonly kept: { readonly path: Path; readonly plan: Plan }[];
}

const NO_PATH: Path = { schemas: [] };

export class PlanCache {
  readonly #catalog: Catalog | undefined;
  readonly #make: (facts: QueryFacts, path: Path) => Plan;
  readonly #entries = new WeakMap<QueryFacts, Entry>();
  readonly #paths = new Map<string | undefined, Map<string, Path>>();
  readonly #canonical = new Map<string, Path>();

  /** @param make makes a plan that is not in the cache; must not throw */
  constructor(catalog: Catalog | undefined, make: (facts: QueryFacts, path: Path) => Plan) {
    this.#catalog = catalog;
    this.#make = make;
  }

  plan(facts: QueryFacts, searchPath: string | undefined, user: string): Plan {
    const entry = this.#entries.get(facts);
    if (entry !== undefined && entry.searchPath === searchPath && entry.user === user) return entry.plan;
    const path = this.#pathOf(searchPath, user);
    const kept = entry?.kept ?? [];
    let plan = kept.find((old) => old.path === path)?.plan;
    if (plan === undefined) {
      plan = this.#make(facts, path);
      kept.push({ path, plan });
      if (kept.length > PLANS_PER_FACTS) kept.shift();
    }
    if (entry === undefined) this.#entries.set(facts, { searchPath, user, plan, kept });
    else {
      entry.searchPath = searchPath;
      entry.user = user;
      entry.plan = plan;
    }
    return plan;
  }

  forget(facts: QueryFacts): void {
    this.#entries.delete(facts);
  }

  #pathOf(searchPath: string | undefined, user: string): Path {
    const catalog = this.#catalog;
    if (catalog === undefined) return NO_PATH;
    const known = this.#paths.get(searchPath)?.get(user);
    if (known !== undefined) return known;
    const schemas = parseSearchPath(searchPath ?? catalog.searchPathOf(user), user) ?? [];
    // Users without a schema of their own share the path, and so its plans.
    const path = this.#canonicalPath(schemas.filter((schema) => schema !== user || catalog.hasSchema(schema)));
    if (this.#paths.size >= PATHS_KEPT) this.#paths.clear();
    let users = this.#paths.get(searchPath);
    if (users === undefined || users.size >= PATHS_KEPT) this.#paths.set(searchPath, (users = new Map()));
    users.set(user, path);
    return path;
  }

  #canonicalPath(schemas: readonly string[]): Path {
    const key = schemas.join('\0');
    let path = this.#canonical.get(key);
    if (path === undefined) {
      if (this.#canonical.size >= PATHS_KEPT) this.#canonical.clear();
      this.#canonical.set(key, (path = { schemas }));
    }
    return path;
  }
}
