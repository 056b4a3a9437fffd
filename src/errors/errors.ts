/**
 * The errors that Weir itself sends to clients or shows to operators. All rooms throw or send a WeirError; its SQLSTATE and
 * texts are in errors/error-table.ts, and nowhere else.
 */
import type { LogLevel, Severity } from './error-row.ts';
import { errorTable, type ErrorName } from './error-table.ts';

export type { ErrorName, LogLevel, Severity };

export type ErrorValues = Readonly<Record<string, string | number>>;

function fill(text: string, values: ErrorValues): string {
  return text.replace(/\{(\w+)\}/g, (whole, key: string) => (key in values ? String(values[key]) : whole));
}

/** SQLSTATE and hint of a server's error. */
export interface ServerWords {
  readonly sqlstate: string;
  readonly hint: string | undefined;
}

/** An error of the table, ready to be sent (protocol/write.ts `errorResponse`) or logged. */
export class WeirError extends Error {
  readonly errorName: ErrorName;
  readonly sqlstate: string;
  readonly severity: Severity;
  readonly level: LogLevel;
  readonly hint: string | undefined;
  readonly detail: string | undefined;

  /**
   * @param values for the {placeholders} in the texts of the table
   * @param said from a server's error, instead of the table's SQLSTATE and hint: a server's refusal is passed on as it is
   */
  constructor(name: ErrorName, values: ErrorValues = {}, detail?: string, said?: ServerWords) {
    const row = errorTable[name];
    super(fill(row.message, values));
    this.name = 'WeirError';
    this.errorName = name;
    this.sqlstate = said?.sqlstate ?? row.sqlstate;
    this.severity = row.severity;
    this.level = row.level;
    this.hint = said?.hint ?? (row.hint === undefined ? undefined : fill(row.hint, values));
    this.detail = detail;
  }
}
