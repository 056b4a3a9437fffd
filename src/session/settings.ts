/**
 * What a client has SET, as an immutable value. Computes the SQL that brings a server to these settings, and their
 * part of a cache key. Pure.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { SettingChange } from '../sql/facts.ts';

/** One setting: the SQL that sets it, and its plain value. */
export interface Setting {
  readonly sql: string;
  readonly plain: string;
}

/** Settings that never change the bytes of an answer, so that they need not separate cache entries. */
const neutral: ReadonlySet<string> = new Set([
  'application_name',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'transaction_timeout',
  'work_mem',
  'maintenance_work_mem',
  'client_min_messages',
  'log_statement',
  'log_min_duration_statement',
  'synchronous_commit',
  'random_page_cost',
  'seq_page_cost',
  'effective_cache_size',
  'jit',
]);

export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return text.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

export function quoteIdentifier(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** "app.tenant" -> "app"."tenant". */
function settingName(name: string): string {
  return name.split('.').map(quoteIdentifier).join('.');
}

/** Sets it from PostgreSQL's own output, which is also right for lists (search_path, DateStyle). */
export function settingFromText(name: string, text: string): Setting {
  return { sql: `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(text)}, false)`, plain: text };
}

function textOf(entries: [string, Setting][], of: (setting: Setting) => string): string {
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, setting]) => `${name}=${of(setting)}`).join('\n');
}

/** Above this size the map is not copied for each change. */
const maxCopied = 64;
const noChanges: ReadonlyMap<string, Setting | undefined> = new Map();

function changedBy(
  entries: ReadonlyMap<string, Setting>,
  changes: ReadonlyMap<string, Setting | undefined>,
): ReadonlyMap<string, Setting> {
  const changed = new Map(entries);
  for (const [name, setting] of changes) {
    if (setting === undefined) changed.delete(name);
    else changed.set(name, setting);
  }
  return changed;
}

export class Settings {
  private readonly base: ReadonlyMap<string, Setting>;
  /**
   * Changes since `base` was made; a value of undefined removes the name. Used only if `base` is large; at most
   * `maxCopied` entries.
   */
  private readonly changes: ReadonlyMap<string, Setting | undefined>;
  readonly size: number;
  private whole: ReadonlyMap<string, Setting> | undefined;
  private keyText: string | undefined;
  private cacheText: string | undefined;

  private constructor(base: ReadonlyMap<string, Setting>, changes = noChanges, size = base.size) {
    this.base = base;
    this.changes = changes;
    this.size = size;
  }

  static readonly none = new Settings(new Map());

  static of(entries: Iterable<readonly [string, Setting]>): Settings {
    const map = new Map(entries);
    return map.size === 0 ? Settings.none : new Settings(map);
  }

  private get entries(): ReadonlyMap<string, Setting> {
    this.whole ??= this.changes.size === 0 ? this.base : changedBy(this.base, this.changes);
    return this.whole;
  }

  /** Equal for equal settings. Computed on demand: a batch of many SETs makes many values that are never compared. */
  get key(): string {
    this.keyText ??= textOf([...this.entries], ({ sql }) => sql);
    return this.keyText;
  }

  names(): IterableIterator<string> {
    return this.entries.keys();
  }

  /** The plain value; undefined: the client has not set it. */
  get(name: string): string | undefined {
    return this.entry(name)?.plain;
  }

  entry(name: string): Setting | undefined {
    return this.changes.has(name) ? this.changes.get(name) : this.base.get(name);
  }

  /** @param setting undefined: removes the name */
  with(name: string, setting: Setting | undefined): Settings {
    const isThere = this.entry(name) !== undefined;
    if (setting === undefined && !isThere) return this;
    const isCopied = this.base.size <= maxCopied || this.changes.size === maxCopied;
    if (isCopied) return Settings.of(changedBy(this.entries, new Map([[name, setting]])));
    const size = this.size + Number(setting !== undefined) - Number(isThere);
    return new Settings(this.base, new Map([...this.changes, [name, setting]]), size);
  }

  /** Adds the settings of `others` whose names are missing here. */
  withMissing(others: Settings): Settings {
    return Settings.of([...others.entries, ...this.entries]);
  }

  /** After `SET` or `RESET`; RESET goes back to what the client started with. */
  changed(change: SettingChange, start: Settings): Settings {
    if (change.value === undefined) return this.with(change.name, start.entry(change.name));
    const sql = `SET ${settingName(change.name)} = ${change.value}`;
    return this.with(change.name, { sql, plain: change.plain ?? change.value });
  }

  /** Canonical text of all settings that can change an answer. */
  get forCacheKey(): string {
    this.cacheText ??= textOf(
      [...this.entries].filter(([name]) => !neutral.has(name)),
      ({ plain }) => plain,
    );
    return this.cacheText;
  }
}

/** The settings last replayed onto a server. */
export function settingsOf({ sessionState }: Pick<ServerConnection, 'sessionState'>): Settings {
  return (sessionState.settings as Settings | undefined) ?? Settings.none;
}

/** @returns the SQL that changes a server's settings from `from` to `to`; undefined: nothing to do */
export function replaySql(from: Settings, to: Settings): string | undefined {
  if (from === to || from.key === to.key) return undefined;
  const steps: string[] = [];
  // Reset the role first and set it last, because it decides what else may be set.
  if (from.entry('role') !== undefined && from.get('role') !== to.get('role')) steps.push('RESET role');
  for (const name of from.names()) {
    if (name !== 'role' && to.entry(name) === undefined) steps.push(`RESET ${settingName(name)}`);
  }
  for (const name of to.names()) {
    const setting = to.entry(name) as Setting;
    const before = from.entry(name);
    if (name === 'role' || before?.sql === setting.sql) continue;
    // `SET DateStyle = ymd` keeps the other half of the present value.
    if (name === 'datestyle' && before !== undefined) steps.push(`RESET ${settingName(name)}`);
    steps.push(setting.sql);
  }
  const role = to.entry('role');
  if (role !== undefined && from.entry('role')?.sql !== role.sql) steps.push(role.sql);
  return steps.length === 0 ? undefined : steps.join('; ');
}

/** UTF-8, utf8, "UTF8" and unicode are one encoding. */
export function encodingName(name: string): string {
  const plain = name.replace(/[^a-z0-9]/gi, '').toLowerCase();
  return plain === 'unicode' ? 'utf8' : plain;
}
