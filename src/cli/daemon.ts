/**
 * `weir serve -d`: a process that goes on in the background when it listens. It is `weir daemon`, which is not for people, with the
 * arguments of `weir serve`; until then it tells its parent what goes wrong. Called by serve.ts and run.ts.
 */
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { CommandError, exitCodes, type CliIo, type ExitCode } from './io.ts';

/** What the process in the background says to its parent. */
type Word = { readonly text: string } | { readonly isListening: true };

/** What a Weir in the background must have. */
export function daemonProblems({ pidfile, log }: Config): string[] {
  const problems: string[] = [];
  if (pidfile === undefined) problems.push('--daemon: pidfile is not set: how would it be found again?');
  if (log.file === undefined) problems.push('--daemon: log.file (logfile) is not set: where would it log to?');
  return problems;
}

/** Starts it, and waits until it listens. */
export function startDaemon(serveArguments: readonly string[], io: CliIo): Promise<ExitCode> {
  const program = realpathSync(process.argv[1] ?? '');
  const child = spawn(process.execPath, [...process.execArgv, program, 'daemon', ...serveArguments], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: io.env,
  });
  return new Promise((resolve, reject) => {
    child.on('message', (word: Word) => {
      if ('text' in word) {
        io.err(word.text);
        return;
      }
      child.disconnect();
      child.unref();
      resolve(exitCodes.done);
    });
    child.once('error', (error) => reject(new CommandError([`cannot start in the background: ${error.message}`])));
    child.once('exit', (code) => resolve(code === exitCodes.usage ? exitCodes.usage : exitCodes.refused));
  });
}

/** Standard error of the process in the background: that of its parent, as long as that waits. */
export function daemonIo(io: CliIo): CliIo {
  const say = (word: Word): void => {
    if (process.connected) process.send?.(word, undefined, undefined, () => undefined);
  };
  return { ...io, out: () => undefined, err: (text) => say({ text }) };
}

export function tellParent(): void {
  const word: Word = { isListening: true };
  if (process.connected) process.send?.(word, undefined, undefined, () => undefined);
}
