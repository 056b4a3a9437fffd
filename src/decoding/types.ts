/**
 * What the files of this room share: a question to the primary, and what decoding says to those who use it.
 */

/** Runs one statement on the primary. Rejects with the server's error, or why the connection is of no use. */
export type AskServer = (sql: string, values: readonly string[], maxRows: number) => Promise<(string | null)[][]>;

/** How far writes around Weir are known. */
export interface DecodingState {
  /** 'standby': another worker reads. 'starting' also while it waits for the end of transactions that are running. */
  readonly state: 'off' | 'standby' | 'starting' | 'reading' | 'failed';
  /** Why it does not read, and what to do; undefined: it does, or will soon. */
  readonly problem: string | undefined;
  /** How long ago the last moment was up to which all is known; undefined: there is none. */
  readonly lagMs: number | undefined;
  /** Tables whose writes are seen. */
  readonly tables: number;
}

/** One row of SHOW DECODING. */
export interface DecodingFigures extends DecodingState {
  /** The name that clients use. */
  readonly database: string;
}
