/**
 * The names in one statement, while they are being collected: relations, functions, operators, types. Each is kept once;
 * calls of set_config() are all kept, because draft-settings.ts compares their number with the settings that were understood.
 * Part of a Draft (draft.ts).
 */
import type { FunctionCall, RelationName, StatementFacts, TextCast, TextSource } from './facts.ts';

/** What PostgreSQL calls a column of a subquery that has no name of its own. */
const IMPLIED_NAMES =
  'array case coalesce exists greatest grouping json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_value least nullif row xmlconcat xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize'.split(
    ' ',
  );

type NameFacts = Pick<
  StatementFacts,
  'reads' | 'writes' | 'functions' | 'operators' | 'casts' | 'textCasts' | 'valueFunctions'
>;

export class DraftNames {
  /** An item in FROM has columns whose names are neither in the text nor in the tables. */
  hidesColumns = false;
  readonly #reads = new Map<string, RelationName>();
  readonly #writes = new Map<string, RelationName>();
  readonly #functions: FunctionCall[] = [];
  readonly #functionKeys = new Set<string>();
  readonly #operators = new Set<string>();
  readonly #casts = new Set<string>();
  readonly #textCasts = new Map<string, TextCast>();
  readonly #aliases = new Set<string>(IMPLIED_NAMES);
  readonly #valueFunctions = new Set<string>();

  addRead(schema: string | undefined, name: string): void {
    this.#reads.set(keyOf(schema, name), { schema, name });
  }

  addWrite(schema: string | undefined, name: string): void {
    this.#writes.set(keyOf(schema, name), { schema, name });
  }

  addCall(call: FunctionCall): void {
    const key = `${keyOf(call.schema, call.name)}\0${call.args}\0${call.firstConstant ?? '\0'}`;
    if (this.#functionKeys.has(key) && call.name !== 'set_config') return;
    this.#functionKeys.add(key);
    this.#functions.push(call);
  }

  callsOf(name: string): FunctionCall[] {
    return this.#functions.filter((call) => call.name === name);
  }

  addOperator(name: string): void {
    this.#operators.add(name);
  }

  addCast(type: string): void {
    this.#casts.add(type);
  }

  addTextCast(type: string, source: TextSource): void {
    this.#textCasts.set(`${type}\0${source.kind}\0${source.name}`, { type, source });
  }

  /** Adds a name that the statement itself defines: a column of that name may have any value. */
  addAlias(name: string): void {
    this.#aliases.add(name);
  }

  addValueFunction(name: string): void {
    this.#valueFunctions.add(name);
  }

  /** EXPLAIN without ANALYZE does not write: it only looks at the relations. */
  writesBecomeReads(): void {
    for (const [key, relation] of this.#writes) this.#reads.set(key, relation);
    this.#writes.clear();
  }

  finish(): NameFacts {
    return {
      reads: [...this.#reads.values()],
      writes: [...this.#writes.values()],
      functions: this.#functions,
      operators: [...this.#operators].sort(),
      casts: [...this.#casts].sort(),
      textCasts: this.#finishTextCasts(),
      valueFunctions: [...this.#valueFunctions].sort(),
    };
  }

  #finishTextCasts(): TextCast[] {
    return [...this.#textCasts.values()].map((cast) =>
      cast.source.kind === 'column' && (this.hidesColumns || this.#aliases.has(cast.source.name))
        ? { type: cast.type, source: { kind: 'any', name: cast.source.name } }
        : cast,
    );
  }
}

function keyOf(schema: string | undefined, name: string): string {
  return schema === undefined ? name : `${schema}\0${name}`;
}
