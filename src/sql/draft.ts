/**
 * The facts of one statement while they are being collected, and the finished StatementFacts. Repeated relations,
 * functions, operators and casts are kept once; set_config() calls are all kept, so that whoever follows settings can
 * compare their number with the settings that were understood. Used by the extraction only.
 */
import type {
  BoundSetting,
  CursorHold,
  FunctionCall,
  RelationName,
  SettingChange,
  StatementFacts,
  StatementKind,
  TextCast,
  TextSource,
  TransactionVerb,
} from './facts.ts';
import { canonicalName, READING_PARAMETERS } from './settings.ts';

type Isolation = StatementFacts['isolation'];

const ISOLATION_LEVELS: ReadonlySet<string> = new Set([
  'read uncommitted',
  'read committed',
  'repeatable read',
  'serializable',
]);

/** What the text uses that this version cannot judge: the whole text becomes one unknown statement. */
export class UnsupportedSyntax extends Error {}

/** What PostgreSQL calls a column of a subquery that has no name of its own. */
const IMPLIED_NAMES =
  'array case coalesce exists greatest grouping json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_value least nullif row xmlconcat xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize'.split(
    ' ',
  );

export class Draft {
  kind: StatementKind = 'unknown';
  verb = '';
  hasLocking = false;
  isArbitrary = false;
  transaction: TransactionVerb | undefined;
  beginsReadOnly = false;
  isolation: Isolation;
  chains = false;
  resetsAll = false;
  discards: StatementFacts['discards'];
  shows: string | undefined;
  name: string | undefined;
  executes: string | undefined;
  cursor: CursorHold | undefined;
  createsTemporary = false;
  dropsOnCommit = false;
  leavesState = false;
  body: string | undefined;
  isExplain = false;
  /** Kinds of the data-modifying parts, outermost first, then in the order of the text. */
  readonly modifies: StatementKind[] = [];
  /** SELECT ... INTO at any place. */
  hasInto = false;
  readonly settings: SettingChange[] = [];
  boundSettings: readonly BoundSetting[] | undefined;

  readonly #reads = new Map<string, RelationName>();
  readonly #writes = new Map<string, RelationName>();
  readonly #functions: FunctionCall[] = [];
  readonly #functionKeys = new Set<string>();
  readonly #operators = new Set<string>();
  readonly #casts = new Set<string>();
  readonly #textCasts = new Map<string, TextCast>();
  readonly #aliases = new Set<string>(IMPLIED_NAMES);
  /** Something in FROM has columns by names that neither the text nor the tables show. */
  hidesColumns = false;
  readonly #valueFunctions = new Set<string>();

  reads(schema: string | undefined, name: string): void {
    this.#reads.set(keyOf(schema, name), { schema, name });
  }

  writes(schema: string | undefined, name: string): void {
    this.#writes.set(keyOf(schema, name), { schema, name });
    if (schema !== undefined && isTemporarySchema(schema)) this.createsTemporary = true;
  }

  calls(call: FunctionCall): void {
    const key = `${keyOf(call.schema, call.name)}\0${call.args}\0${call.firstConstant ?? '\0'}`;
    if (this.#functionKeys.has(key) && call.name !== 'set_config') return;
    this.#functionKeys.add(key);
    this.#functions.push(call);
  }

  callsOf(name: string): number {
    return this.#functions.filter((call) => call.name === name).length;
  }

  operator(name: string): void {
    this.#operators.add(name);
  }

  cast(type: string): void {
    this.#casts.add(type);
  }

  textCast(type: string, source: TextSource): void {
    this.#textCasts.set(`${type}\0${source.kind}\0${source.name}`, { type, source });
  }

  /** A name that the statement itself gives to something: a column by that name may be anything. */
  alias(name: string): void {
    this.#aliases.add(name);
  }

  #namedCasts(): TextCast[] {
    return [...this.#textCasts.values()].map((cast) =>
      cast.source.kind === 'column' && (this.hidesColumns || this.#aliases.has(cast.source.name))
        ? { type: cast.type, source: { kind: 'any', name: cast.source.name } }
        : cast,
    );
  }

  valueFunction(name: string): void {
    this.#valueFunctions.add(name);
  }

  setIsolation(level: string): void {
    const lower = level.trim().toLowerCase().replace(/\s+/g, ' ');
    // What is no level is an error on the server; until then the strictest reading stands.
    this.isolation = ISOLATION_LEVELS.has(lower) ? (lower as NonNullable<Isolation>) : 'serializable';
  }

  /** Nothing of it is executed yet. */
  forgetSettings(): void {
    this.settings.length = 0;
    this.boundSettings = undefined;
  }

  /** EXPLAIN without ANALYZE: what would be written is only looked at, and nothing is set. */
  onlyPlans(): void {
    this.forgetSettings();
    for (const [key, relation] of this.#writes) this.#reads.set(key, relation);
    this.#writes.clear();
    this.hasInto = this.createsTemporary = this.dropsOnCommit = false;
  }

  #hidesSettings(): boolean {
    if (this.kind === 'explain' || this.kind === 'prepare') return false;
    const calls = this.#functions.filter(({ name }) => name === 'set_config');
    if (calls.length <= this.settings.length) return false;
    const isTelling = ({ firstConstant }: FunctionCall): boolean =>
      firstConstant === undefined || READING_PARAMETERS.has(canonicalName(firstConstant));
    return calls.some(isTelling);
  }

  finish(): StatementFacts {
    return {
      kind: this.kind,
      verb: this.verb,
      reads: [...this.#reads.values()],
      writes: [...this.#writes.values()],
      functions: this.#functions,
      operators: [...this.#operators].sort(),
      casts: [...this.#casts].sort(),
      textCasts: this.#namedCasts(),
      hasLocking: this.hasLocking,
      valueFunctions: [...this.#valueFunctions].sort(),
      isArbitrary: this.isArbitrary,
      transaction: this.transaction,
      beginsReadOnly: this.beginsReadOnly,
      isolation: this.isolation,
      chains: this.chains,
      settings: this.settings,
      boundSettings: this.boundSettings,
      hidesSettings: this.#hidesSettings(),
      resetsAll: this.resetsAll,
      discards: this.discards,
      shows: this.shows,
      name: this.name,
      executes: this.executes,
      cursor: this.cursor,
      createsTemporary: this.createsTemporary,
      dropsOnCommit: this.dropsOnCommit,
      leavesState: this.leavesState,
      body: this.body,
      isExplain: this.isExplain,
    };
  }
}

/** pg_temp and the session's own pg_temp_3. */
export function isTemporarySchema(schema: string): boolean {
  return /^pg_temp(?:_\d+)?$/.test(schema);
}

/** A statement of which nothing is known but its first keyword ('' for none). */
export function unknownStatement(kind: 'unknown' | 'empty', verb: string): StatementFacts {
  const draft = new Draft();
  draft.kind = kind;
  draft.verb = verb;
  return draft.finish();
}

function keyOf(schema: string | undefined, name: string): string {
  return schema === undefined ? name : `${schema}\0${name}`;
}
