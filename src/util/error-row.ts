/**
 * What the table of errors says of each of them. Types only.
 */

export type Severity = 'ERROR' | 'FATAL';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface ErrorRow {
  readonly sqlstate: string;
  readonly severity: Severity;
  readonly level: LogLevel;
  /** What happened, said to the client. `{name}` is replaced from the values given. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}
