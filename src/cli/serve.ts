/**
 * `weir serve`: loads the configuration, starts the app, tells systemd, and serves until a signal (signals.ts) or SHUTDOWN ends
 * it. The app is made by app.ts, through a function passed in.
 */
import { readFileSync } from 'node:fs';
import { loadAccessOf } from '../app/access.ts';
import { beyondMachine, thisMachine } from '../config/capacity.ts';
import type { Loaded, LoadSource, ServeFlags } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import { knownUsers, parseUsersFile } from '../config/users.ts';
import { formatHostPort } from '../config/values.ts';
import type { ShutdownMode } from '../console/sources.ts';
import { createServiceManager, type ServiceManager } from '../systemd/notify.ts';
import { passedFds } from '../systemd/open-sockets.ts';
import type { CliIo, ExitCode } from './io.ts';
import { keepParserSmall } from './heap-flags.ts';
import { CommandError, UsageError } from './io.ts';
import { untilEnded, type Serving } from './signals.ts';
import type { CreateServedApp, ProcessEvents, ServedApp, Supervise } from './served-app.ts';
import type { Arguments, OptionSpec, Verb } from './verbs.ts';
import { textOf, textsOf } from './verbs.ts';

export type { CreateServedApp, ProcessEvents, ServeDeps, ServedApp } from './served-app.ts';

export const serveOptions: Readonly<Record<string, OptionSpec>> = {
  config: { type: 'string', short: 'c', value: 'FILE', about: 'The configuration (YAML or JSON).' },
  primary: {
    type: 'string',
    value: 'URL',
    about: 'The server that takes writes: postgres://user:password@host:5432/database.',
  },
  replica: { type: 'string', multiple: true, value: 'URL', about: 'A server that takes reads; may be repeated.' },
  listen: { type: 'string', value: 'HOST:PORT', about: 'Where clients connect (default 127.0.0.1:6432).' },
  redis: { type: 'string', value: 'URL', about: 'Turns the cache on, with this Redis as its second level.' },
};

/**
 * The sources of the configuration, from the command line.
 * @throws UsageError
 */
export function sourceOf(
  args: Arguments,
  env: NodeJS.ProcessEnv,
): { file: string | undefined; flags: ServeFlags; env: NodeJS.ProcessEnv } {
  if (args.positionals.length > 0) throw new UsageError(`unexpected argument ${args.positionals[0]}`);
  const file = textOf(args, 'config');
  const primary = textOf(args, 'primary');
  if (file === undefined && primary === undefined) {
    throw new UsageError('give --config FILE, or --primary URL (and --replica URL for each replica)');
  }
  const flags = {
    primary,
    replica: textsOf(args, 'replica'),
    listen: textOf(args, 'listen'),
    redis: textOf(args, 'redis'),
  };
  return { file, flags, env };
}

/** Loads the configuration, the files it names, and the users. Every problem is in the result. */
export function loadAll(source: LoadSource): Loaded {
  const result = loadConfig(source);
  const none = new Map<string, string>();
  if ('problems' in result) return { result, users: none };
  const access = loadAccessOf(result.config);
  if (access !== undefined && 'problems' in access) return { result: { ...access, warnings: [] }, users: none };
  const { file } = result.config.auth;
  if (file === undefined) return { result, users: knownUsers(result.config) };
  try {
    const text = readFileSync(file, 'utf8');
    const { problems } = parseUsersFile(text);
    if (problems.length === 0) return { result, users: knownUsers(result.config, text) };
    return { result: { problems: problems.map((problem) => `${file}: ${problem}`), warnings: [] }, users: none };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { result: { problems: [`auth.file: ${reason}`], warnings: [] }, users: none };
  }
}

/** Serves until a signal or SHUTDOWN ends it; resolves to the exit code. */
export async function serve(
  args: Arguments,
  io: CliIo,
  loadApp: () => Promise<CreateServedApp>,
  events: ProcessEvents,
  supervise?: Supervise,
): Promise<ExitCode> {
  const source = sourceOf(args, io.env);
  const first = loadAll(source);
  if ('problems' in first.result) throw new CommandError(first.result.problems);
  for (const warning of first.result.warnings) io.err(`warning: ${warning}\n`);
  const tooMuch = beyondMachine(first.result.config, thisMachine());
  if (tooMuch.length > 0) throw new CommandError(tooMuch);
  const reloadConfig = (): Loaded => loadAll(source);
  const systemd = createServiceManager(io.env, (text) => io.err(`weir: ${text}\n`));
  const surroundings = {
    passedFds: passedFds(io.env, process.pid),
    onEnding: (mode: ShutdownMode): void => tellEnding(mode, systemd),
  };
  let app: ServedApp;
  try {
    const { config } = first.result;
    if (supervise !== undefined && config.workers > 1) app = await supervise(config, surroundings);
    else {
      keepParserSmall();
      app = await (await loadApp())(config, { users: first.users, reloadConfig, surroundings });
    }
    await app.start();
  } catch (error) {
    await systemd.end();
    throw new CommandError([startProblem(error)]);
  }
  const http = app.httpAddress();
  const addresses = `listening on ${formatHostPort(app.listenAddress())}`;
  const where = `${addresses}${http === undefined ? '' : `, http on ${formatHostPort(http)}`}`;
  // With a JSON log, standard output has log lines only.
  const print = first.result.config.log.format === 'json' ? io.err : io.out;
  print(`weir: ${where}\n`);
  systemd.ready(where);
  return untilOver({ app, reloadConfig, io, events, systemd });
}

/** Serves, and if another process takes over, does what is left to do. */
export async function untilOver(serving: Serving): Promise<ExitCode> {
  const outcome = await untilEnded(serving);
  await serving.systemd.end();
  return typeof outcome === 'number' ? outcome : outcome.after;
}

export function tellEnding(mode: ShutdownMode, systemd: ServiceManager): void {
  // TimeoutStopSec= would count from STOPPING=1, and clients may stay for longer.
  if (mode === 'wait-for-clients') systemd.status('no new clients; ends when the last one has left');
  else systemd.stopping(mode === 'now' ? 'stops' : 'no new clients; statements and transactions in flight end first');
}

function startProblem(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return reason.includes('EADDRINUSE')
    ? `cannot start: ${reason}: another program listens there`
    : `cannot start: ${reason}`;
}

export function serveVerb(loadApp: () => Promise<CreateServedApp>, events: ProcessEvents, supervise: Supervise): Verb {
  return {
    synopsis: '[--config FILE] [--primary URL] [--replica URL]... [--listen HOST:PORT] [--redis URL]',
    about:
      'Starts Weir and serves until a signal ends it. Flags win over WEIR_<KEY> in the environment, and that over the file.',
    options: serveOptions,
    run: (args, io) => serve(args, io, loadApp, events, supervise),
  };
}
