/**
 * What a function runs in its turn: by the words of its body every function, relation, type and operator that is called
 * so in any schema, because a body's search path is known only to its run. Read when it is first asked for, once per
 * catalog. Pure look-ups; what they mean for a statement is decided by reach.ts.
 */
import { readBody } from '../sql/body-words.ts';
import type { Catalog, CatalogFunction, CatalogRelation } from '../catalog/types.ts';

export interface Called {
  readonly found: CatalogFunction;
  /** The string that is its first argument, if it is one. */
  readonly constant: string | undefined;
}

export interface Callees {
  readonly functions: readonly Called[];
  readonly relations: readonly CatalogRelation[];
  /** Why it may do more than that: "runs dynamic SQL". */
  readonly problem: string | undefined;
}

/** More relations of one name than this, and a body with that name counts as one that reads anything. */
const MAX_NAMESAKES = 50;

const NOTHING: Callees = { functions: [], relations: [], problem: undefined };

export class Bodies {
  readonly #catalog: Catalog;
  readonly #known = new Map<number, Callees>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  of(found: CatalogFunction): Callees {
    if (found.isSystem) return NOTHING;
    let callees = this.#known.get(found.oid);
    if (callees === undefined) this.#known.set(found.oid, (callees = this.#read(found)));
    return callees;
  }

  /** Of a DO block. */
  ofText(body: string): Callees {
    const functions = new Map<string, Called>();
    const relations = new Set<CatalogRelation>();
    const words = readBody(body);
    let { problem } = words;
    for (const [name, constants] of words.calls) {
      for (const found of this.#catalog.functionsNamed(name)) {
        if (isQuiet(found)) continue;
        for (const constant of constants) functions.set(`${found.oid} ${constant ?? ''}`, { found, constant });
      }
    }
    for (const oid of this.#unnamed(words.names, words.operators)) this.#add(oid, functions);
    for (const name of words.names) {
      const namesakes = this.#catalog
        .relationsNamed(name)
        .filter(({ schema }) => schema !== 'information_schema' || words.names.has('information_schema'));
      if (namesakes.length > MAX_NAMESAKES) problem ??= `speaks of ${name}, of which there are many`;
      else for (const relation of namesakes) relations.add(relation);
    }
    return { functions: [...functions.values()], relations: [...relations], problem };
  }

  #read(found: CatalogFunction): Callees {
    const parts = new Map<string, Called>();
    for (const oid of found.parts) this.#add(oid, parts);
    const own = this.#readOwn(found);
    return parts.size === 0 ? own : { ...own, functions: [...own.functions, ...parts.values()] };
  }

  #readOwn({ language, body }: CatalogFunction): Callees {
    // In C: by what it declares.
    if (language === 'c' || language === 'internal') return NOTHING;
    if (language !== 'sql' && language !== 'plpgsql') return { ...NOTHING, problem: `is written in ${language}` };
    if (body === undefined) return { ...NOTHING, problem: 'has a body that is too long to be looked into' };
    return this.ofText(body);
  }

  /** Functions behind operators and types, and those that look like a column. */
  *#unnamed(names: ReadonlySet<string>, operators: ReadonlySet<string>): Generator<number> {
    const { userOperators, columnFunctions } = this.#catalog;
    for (const [name, oids] of userOperators) {
      for (const run of operators) if (run.includes(name)) yield* oids;
    }
    for (const name of names) yield* this.#catalog.functionsOfType(name);
    for (const { name, oid } of columnFunctions) if (names.has(name)) yield oid;
  }

  #add(oid: number, functions: Map<string, Called>): void {
    const found = this.#catalog.functionByOid(oid);
    if (found !== undefined && !isQuiet(found)) functions.set(`${oid} `, { found, constant: undefined });
  }
}

/** PostgreSQL's own, and a matter of its arguments alone. */
function isQuiet({ isSystem, volatility, name }: CatalogFunction): boolean {
  return isSystem && volatility === 'immutable' && !name.startsWith('pg_');
}
