/**
 * The input and output of a verb: standard output and error, environment, width of the terminal. Tests pass a fake. Also
 * the exit codes, and the errors that a verb throws.
 */
import type { ReadStream, WriteStream } from 'node:tty';

export interface CliIo {
  /** Writes the text to standard output, without adding a newline; err() to standard error. */
  out(text: string): void;
  err(text: string): void;
  readonly env: NodeJS.ProcessEnv;
  /** Width of the terminal in columns; undefined if standard output is a file or a pipe. */
  readonly columns: number | undefined;
  /** Undefined if standard input or output is none. */
  readonly terminal?: { readonly input: ReadStream; readonly output: WriteStream } | undefined;
}

export const exitCodes = { done: 0, refused: 1, usage: 2 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Wrong usage: the message is printed with the usage of the verb, exit code 2. */
export class UsageError extends Error {}

/** Refused or failed: `lines` are printed to standard error, exit code 1. */
export class CommandError extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}
