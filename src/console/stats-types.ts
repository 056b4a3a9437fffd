/**
 * Totals of SHOW STATS, and what was added to them in a period: what the workers of one Weir tell each other for the
 * averages. Types only.
 */

/** Totals of one database since the start. Times in microseconds, as in PgBouncer. */
export interface Totals {
  readonly database: string;
  readonly serverAssignments: number;
  readonly xacts: number;
  readonly queries: number;
  readonly received: number;
  readonly sent: number;
  readonly xactUs: number;
  readonly queryUs: number;
  readonly waitUs: number;
  readonly clientParses: number;
  readonly serverParses: number;
  readonly binds: number;
  readonly logins: number;
}

/** The last whole period of one process: how long it was, and what was added to the totals in it. */
export interface StatsPeriod {
  readonly seconds: number;
  readonly added: readonly Totals[];
}
