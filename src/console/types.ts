/**
 * What a command of the admin console is; and helpers to define a SHOW command, with each column next to the function
 * that gives its value. Used by show*.ts, actions.ts and console.ts.
 */
import type { Scanner } from './parse.ts';
import type { FiguresDetail } from '../observability/types.ts';
import type { ConsoleSources } from './sources.ts';
import type { StatsView } from './stats-window.ts';

/** Role of a console user: admin_users may run every command, stats_users only those of role stats. */
export type Role = 'admin' | 'stats';

export type Value = string | number | null;

export interface ConsoleColumn {
  readonly name: string;
  readonly type: 'text' | 'int4' | 'int8' | 'float8' | 'numeric';
}

export interface CommandContext {
  readonly sources: ConsoleSources;
  readonly user: string;
  /** The console was opened as database `pgbouncer`: rows and words are as PgBouncer has them. */
  readonly isPgbouncer: boolean;
  /** Fires when the operator cancels the command or disconnects. */
  readonly signal: AbortSignal;
  /** By key: settings of TLS that SET has given and that cannot be used without others. Of all operators of this process. */
  readonly unapplied: Map<string, string>;
  /** Totals of the last two periods, for averages. */
  readonly window: StatsView;
  /** Monotonic time in ms. */
  readonly nowMs: number;
}

export interface CommandResult {
  readonly rows?: Iterable<readonly Value[]>;
  /** Sent to the operator as NOTICE, before the rows. */
  readonly notices?: readonly string[];
  /** Called when the operator's connection ends. */
  readonly whenLeft?: () => Promise<void>;
}

export type Run = (context: CommandContext) => CommandResult | Promise<CommandResult>;

export interface ConsoleCommand {
  /** What it reads of every worker; absent: totals. none: nothing, it is answered by this process alone. */
  readonly detail?: FiguresDetail | 'none' | undefined;
  /** The words it begins with, in upper case: "SHOW POOLS". */
  readonly name: string;
  readonly role: Role;
  /** As SHOW HELP prints it: "RESIZE POOL db[.user] [NODE n] [MIN n] [MAX n]". */
  readonly syntax: string;
  readonly help: string;
  /** Columns of its result, which Describe has to know before it runs. Empty: it answers with a tag only. */
  readonly columns: readonly ConsoleColumn[];
  /** The tag of CommandComplete. */
  readonly tag: string;
  /** It waits for what clients and servers do, without an end of its own. */
  readonly isEndless?: boolean;
  /**
   * Reads the arguments after the name.
   * @throws WeirError console_syntax
   */
  parse(scanner: Scanner): Run;
}

export interface ShowColumn<T> extends ConsoleColumn {
  value(row: T): Value;
}

/** Makes columns of a table with rows of T. */
export interface ColumnMaker<T> {
  text(name: string, value: (row: T) => string | null): ShowColumn<T>;
  int(name: string, value: (row: T) => number | null): ShowColumn<T>;
  float(name: string, value: (row: T) => number | null): ShowColumn<T>;
}

export function columnsOf<T>(): ColumnMaker<T> {
  return {
    text: (name, value) => ({ name, type: 'text', value }),
    int: (name, value) => ({ name, type: 'int8', value: (row) => whole(value(row)) }),
    float: (name, value) => ({ name, type: 'float8', value: (row) => finite(value(row)) }),
  };
}

/** Rounds for int8; NULL for an infinite value, which int8 does not have. */
function whole(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Math.round(value);
}

function finite(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(6));
}

/** The command `SHOW name`. */
export function show<T>(
  name: string,
  help: string,
  columns: readonly ShowColumn<T>[],
  rows: (context: CommandContext) => Iterable<T>,
  detail?: FiguresDetail,
): ConsoleCommand {
  const run: Run = (context) => ({ rows: cells(rows(context), columns) });
  return {
    name: `SHOW ${name}`,
    detail,
    role: 'stats',
    syntax: `SHOW ${name}`,
    help,
    columns: columns.map((column) => ({ name: column.name, type: column.type })),
    tag: 'SHOW',
    parse: () => run,
  };
}

function* cells<T>(rows: Iterable<T>, columns: readonly ShowColumn<T>[]): Generator<readonly Value[]> {
  for (const row of rows) yield columns.map((column) => column.value(row));
}

/** @returns "2026-11-21 12:04:18 UTC", as PgBouncer prints it; null for 0, which means never */
export function timestamp(epochMs: number): string | null {
  if (!(epochMs > 0) || epochMs > 8.64e15) return null;
  return `${new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Splits a duration into whole seconds and the remaining microseconds, as PgBouncer shows waits. */
export function splitWait(ms: number): { readonly seconds: number; readonly microseconds: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds, microseconds: Math.floor((ms - seconds * 1000) * 1000) };
}
