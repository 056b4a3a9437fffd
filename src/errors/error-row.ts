/**
 * The columns of the table of errors. Types only.
 */

export type Severity = 'ERROR' | 'FATAL';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface ErrorRow {
  readonly sqlstate: string;
  readonly severity: Severity;
  readonly level: LogLevel;
  /** What happened, for the client. `{name}` is replaced by the value of that name. */
  readonly message: string;
  /** What the client's user or the administrator can do about it. */
  readonly hint?: string;
}
