/**
 * Statistics of statements by their normalised text: a row of SHOW STATEMENTS, and what is known at the end of a statement.
 * Types, and the bounds of the histogram.
 */
import type { QueryFacts } from '../sql/facts.ts';

/** Times per doubling in the histogram: a percentile is right to within 20 %. */
const bucketsPerDoubling = 4;
const leastMs = 0.02;
const bucketCount = 92;

/** Upper bounds of the histogram of a statement, in ms: from 0.02 ms to two minutes. */
export const statementBoundsMs: readonly number[] = Array.from(
  { length: bucketCount },
  (_, i) => leastMs * 2 ** (i / bucketsPerDoubling),
);

/** @returns the place in the histogram; the last is of values above all bounds */
export function statementBucketOf(ms: number): number {
  if (!(ms > leastMs)) return 0;
  return Math.min(bucketCount, Math.ceil(Math.log2(ms / leastMs) * bucketsPerDoubling));
}

/** A row of SHOW STATEMENTS. Survives a structured clone. */
export interface StatementFigures {
  readonly database: string;
  readonly user: string;
  /** From the text: the same in every process. */
  readonly queryId: string;
  /** Normalised: without the values of constants. */
  readonly query: string;
  readonly calls: number;
  readonly errors: number;
  readonly rows: number;
  /** From the arrival to the end of the answer: waitMs + serverMs. */
  readonly totalMs: number;
  readonly maxMs: number;
  readonly waitMs: number;
  readonly serverMs: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  /** Counts by statementBoundsMs, not cumulative; the last is of values above all bounds. */
  readonly durations: Float64Array;
  /** How many each node has answered; `cache` and `none` (Weir itself) among them. */
  readonly nodes: Readonly<Record<string, number>>;
  /** Epoch ms: counted since then. */
  readonly sinceMs: number;
}

/** How one execution of a statement has ended. One object is used for all, so that counting makes none. */
export interface StatementEnd {
  waitMs: number;
  serverMs: number;
  rows: number;
  hasError: boolean;
  cache: 'hit' | 'miss' | 'off';
  /** Name of the node, or `cache`, or `none`. */
  node: string;
}

/** What a comment of the client says of its trace (sql/trace-comment.ts). */
export interface TraceComment {
  /** As W3C Trace Context has it: 00-TRACE-SPAN-FLAGS. */
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

/** The statements of one user in one database. A session asks for it once. */
export interface StatementAccount {
  readonly database: string;
  readonly user: string;
}

/** For whom more has to be known of a statement than is counted: bits. */
export const nobody = 0;
export const slowLog = 1;
export const sampleLog = 2;
export const tracer = 4;

/** Of a statement that is logged or traced; made only then. */
export interface StatementDetails extends Readonly<StatementEnd> {
  readonly database: string;
  readonly user: string;
  readonly applicationName: string;
  readonly route: 'primary' | 'replica' | 'cache' | 'none';
  /** Why it went there, without values of the text. */
  readonly why: string;
  /** Undefined: no server was asked. */
  readonly server: { readonly host: string; readonly port: number } | undefined;
  /** SQLSTATE of its error, if that is known. */
  readonly sqlstate: string | undefined;
  readonly trace: TraceComment | undefined;
}

/** Told of the end of each statement: counts, and says who wants to know more. Implemented by watch.ts. */
export interface StatementWatch {
  readonly end: StatementEnd;
  /** Comments about traces are to be read. */
  readonly readsTraces: boolean;
  accountOf(database: string, user: string): StatementAccount;
  /**
   * The statement number `at` of the text has ended as `end` says.
   * @returns who wants to be told the details (bits, as above)
   */
  ended(account: StatementAccount, facts: QueryFacts, at: number, trace: TraceComment | undefined): number;
  tell(whom: number, facts: QueryFacts, at: number, details: StatementDetails): void;
}

/** What is in force; undefined: nobody wants to know of statements. */
export interface StatementsInForce {
  readonly active: StatementWatch | undefined;
}

export interface StatementSettings {
  readonly enabled: boolean;
  /** Entries that are kept. */
  readonly max: number;
  /** Statements from this duration on are logged; -1: none. */
  readonly logMinDurationMs: number;
  /** The share of all statements that is logged, from 0 to 1. */
  readonly logSampleRate: number;
}

/** Makes spans. Implemented by the room tracing. */
export interface StatementTracer {
  /** Whether there is to be a span for a statement with this comment. Called for each statement. */
  wants(trace: TraceComment | undefined): boolean;
  span(text: { readonly text: string; readonly verb: string }, details: StatementDetails): void;
}
