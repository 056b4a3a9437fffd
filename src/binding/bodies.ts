/**
 * What the body of a function may call and read: every function, relation, type and operator of the catalog whose name
 * occurs in the body. Schemas are ignored, because the search path of the body is known only when it runs. A body is
 * read at its first use, once per catalog. Does not judge what it finds: follow.ts and reach.ts do.
 */
import { readBody } from '../sql/body-words.ts';
import type { Catalog, CatalogFunction, CatalogRelation } from '../catalog/types.ts';

export interface Called {
  readonly found: CatalogFunction;
  /** The first argument of the call, if that is a string constant. */
  readonly constant: string | undefined;
}

export interface Callees {
  readonly functions: readonly Called[];
  readonly relations: readonly CatalogRelation[];
  /** Why the body may do more than is listed here, in words: "runs dynamic SQL". */
  readonly problem: string | undefined;
}

/** If more relations than this share a name in the body, the body counts as one that may read any relation. */
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

  /** @param body the source of a function or of a DO block */
  ofText(body: string): Callees {
    const functions = new Map<string, Called>();
    const relations = new Set<CatalogRelation>();
    const words = readBody(body);
    let { problem } = words;
    for (const [name, constants] of words.calls) {
      for (const found of this.#catalog.functionsNamed(name)) {
        if (isImmutableBuiltin(found)) continue;
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
    // A function in C has no source to read: functions.ts judges it by its declared volatility.
    if (language === 'c' || language === 'internal') return NOTHING;
    if (language !== 'sql' && language !== 'plpgsql') return { ...NOTHING, problem: `is written in ${language}` };
    if (body === undefined) return { ...NOTHING, problem: 'has a body that is too long to be looked into' };
    return this.ofText(body);
  }

  /** Functions that the body calls without `name(...)`: by an operator, a type, or as a column (`row.name`). */
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
    if (found !== undefined && !isImmutableBuiltin(found)) functions.set(`${oid} `, { found, constant: undefined });
  }
}

/** A built-in whose result depends on its arguments alone: it changes nothing for the caller. */
function isImmutableBuiltin({ isSystem, volatility, name }: CatalogFunction): boolean {
  return isSystem && volatility === 'immutable' && !name.startsWith('pg_');
}
