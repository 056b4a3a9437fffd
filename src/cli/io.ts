/**
 * What a verb may touch of the world around it: two streams, the environment, the kind of terminal. Tests give a fake.
 * Also the exit codes, and the error that means "you called me wrongly".
 */

export interface CliIo {
  /** Writes text as it is; callers end lines. */
  out(text: string): void;
  err(text: string): void;
  readonly env: NodeJS.ProcessEnv;
  /** Columns of the terminal on standard output; undefined when that is a file or a pipe. */
  readonly columns: number | undefined;
}

export const exitCodes = { done: 0, refused: 1, usage: 2 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Wrong usage: the message is shown with a pointer to `weir help VERB`, exit code 2. */
export class UsageError extends Error {}

/** Refused or failed: `lines` go to standard error, exit code 1. */
export class CommandError extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}
