/**
 * Runs a command line: finds the verb, parses its arguments, prints its errors and returns the exit code. The verbs are
 * in serve.ts, check.ts, demo.ts, restart.ts, explain.ts, node.ts, top/top.ts and verbs.ts. Called by main.ts.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { didYouMean } from '../config/suggest.ts';
import { budgetsVerb } from './budgets.ts';
import { check } from './check.ts';
import { completionVerb } from './completion.ts';
import { convert } from './convert.ts';
import { demo } from './demo.ts';
import { drainVerb } from './drain.ts';
import { explainVerb } from './explain.ts';
import { nodeVerb } from './node.ts';
import type { CliIo, ExitCode } from './io.ts';
import { CommandError, UsageError, exitCodes } from './io.ts';
import { overview, verbHelp } from './help.ts';
import type { CreateServedApp, ProcessEvents } from './serve.ts';
import type { Supervise } from './served-app.ts';
import { restartVerb } from './restart.ts';
import { daemonVerb, serveVerb } from './serve.ts';
import { successorVerb } from './successor.ts';
import { superviseWorkers } from './supervise.ts';
import { topVerb } from './top/top.ts';
import { workerVerb } from './worker.ts';
import { type Arguments, type Verb, consoleOptions } from './arguments.ts';
import { adminVerbs } from './verbs.ts';

export interface CliDeps {
  /** Imports the app. Only `weir serve` calls it, because the other verbs start faster without. */
  readonly loadApp: () => Promise<CreateServedApp>;
  readonly events: ProcessEvents;
}

export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}

/** All verbs. With the arguments of a command line, those that start processes pass them on. */
export function verbsOf(argv: readonly string[], deps: CliDeps): ReadonlyMap<string, Verb> {
  const serveArguments = argv.slice(1);
  const supervise: Supervise = (config, surroundings) =>
    Promise.resolve(superviseWorkers(config, surroundings, serveArguments));
  const verbs: Map<string, Verb> = new Map<string, Verb>(
    Object.entries({
      serve: serveVerb(deps.loadApp, deps.events, supervise, serveArguments),
      daemon: daemonVerb(deps.loadApp, deps.events, supervise),
      worker: workerVerb(deps.loadApp),
      successor: successorVerb(argv.slice(2)),
      check,
      convert,
      demo,
      restart: restartVerb(consoleOptions),
      explain: explainVerb(consoleOptions),
      node: nodeVerb(consoleOptions),
      completion: completionVerb(() => verbs),
      top: topVerb(deps.events),
      ...adminVerbs,
    }),
  );
  const drainNode = verbs.get('drain');
  if (drainNode !== undefined) verbs.set('drain', drainVerb(drainNode));
  const show = verbs.get('budgets');
  if (show !== undefined) verbs.set('budgets', budgetsVerb(show));
  return verbs;
}

/** Never throws. */
export async function runCli(argv: readonly string[], io: CliIo, deps: CliDeps): Promise<ExitCode> {
  const verbs = verbsOf(argv, deps);
  const [name, ...rest] = argv;
  try {
    if (name === undefined) {
      io.err(overview(verbs));
      return exitCodes.usage;
    }
    if (name === 'version' || name === '--version' || name === '-V') {
      io.out(`Weir ${packageVersion()}\n`);
      return exitCodes.done;
    }
    if (name === 'help' || name === '--help' || name === '-h') return help(rest[0], verbs, io);
    const verb = verbs.get(name);
    if (verb === undefined) throw new UsageError(unknownVerb(name, verbs));
    if (rest.includes('--help') || rest.includes('-h')) return help(name, verbs, io);
    return await verb.run(readArguments(verb, rest), io);
  } catch (error) {
    return showError(error, name ?? '', verbs, io);
  }
}

function unknownVerb(name: string, verbs: ReadonlyMap<string, Verb>): string {
  const guess = didYouMean(name, [...verbs.keys(), 'help', 'version']);
  return `there is no command ${name.slice(0, 80)}${guess === undefined ? '' : `; did you mean ${guess}?`}`;
}

function help(name: string | undefined, verbs: ReadonlyMap<string, Verb>, io: CliIo): ExitCode {
  if (name === undefined) {
    io.out(overview(verbs));
    return exitCodes.done;
  }
  const verb = verbs.get(name);
  if (verb === undefined) throw new UsageError(unknownVerb(name, verbs));
  io.out(verbHelp(name, verb));
  return exitCodes.done;
}

function readArguments(verb: Verb, argv: readonly string[]): Arguments {
  const options = Object.fromEntries(
    Object.entries(verb.options).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short === undefined ? {} : { short }), multiple: multiple ?? false },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Keeps the first sentence of "Unknown option '--jsn'. To specify a positional argument ...".
    const message = error instanceof Error ? error.message : String(error);
    throw new UsageError(/^[^.]*(?:\.\d[^.]*)*/.exec(message)?.[0] ?? message);
  }
}

function showError(error: unknown, name: string, verbs: ReadonlyMap<string, Verb>, io: CliIo): ExitCode {
  if (error instanceof UsageError) {
    io.err(`weir: ${error.message}\n`);
    const verb = verbs.get(name);
    io.err(verb === undefined ? 'weir help lists the commands\n' : `usage: weir ${name} ${verb.synopsis}\n`);
    return exitCodes.usage;
  }
  if (error instanceof CommandError) {
    for (const line of error.lines) io.err(`${line}\n`);
    return exitCodes.refused;
  }
  io.err(`weir: ${error instanceof Error ? error.message : String(error)}\n`);
  return exitCodes.refused;
}
