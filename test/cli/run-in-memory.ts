/** Runs a command line in this process and keeps what it printed. */
import { EventEmitter } from 'node:events';
import type { ExitCode } from '../../src/cli/io.ts';
import { runCli } from '../../src/cli/run.ts';
import type { CliDeps } from '../../src/cli/run.ts';

export interface CliRun {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

export interface CliRunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly columns?: number;
  readonly deps?: Partial<CliDeps>;
  /** Receives everything as it is printed. */
  readonly onOutput?: (text: string) => void;
}

/** An emitter with the part of `process` that `weir serve` listens to. */
export function fakeProcess(): CliDeps['events'] & EventEmitter {
  return new EventEmitter() as unknown as CliDeps['events'] & EventEmitter;
}

export async function runInMemory(argv: readonly string[], options: CliRunOptions = {}): Promise<CliRun> {
  let out = '';
  let err = '';
  const io = {
    out: (text: string) => {
      out += text;
      options.onOutput?.(text);
    },
    err: (text: string) => {
      err += text;
      options.onOutput?.(text);
    },
    env: options.env ?? {},
    columns: options.columns,
  };
  const deps: CliDeps = {
    loadApp: () => Promise.reject(new Error('this test serves nothing')),
    events: fakeProcess(),
    ...options.deps,
  };
  const code = await runCli(argv, io, deps);
  return { code, out, err };
}
