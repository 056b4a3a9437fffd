/**
 * `weir serve`: loads the configuration, starts the app, tells systemd, and serves until a signal (signals.ts) or SHUTDOWN ends
 * it. The app is made by app.ts, through a function passed in.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { loadAccessOf } from '../app/access.ts';
import { beyondMachine, filesWarning, thisMachine } from '../config/capacity.ts';
import type { Config } from '../config/config.ts';
import type { Loaded, LoadSource, ServeFlags } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import { knownUsers, parseUsersFile, withStoredPasswords } from '../config/users.ts';
import { formatHostPort } from '../config/values.ts';
import type { ShutdownMode } from '../console/sources.ts';
import { createServiceManager, type ServiceManager } from '../systemd/notify.ts';
import { passedFds } from '../systemd/open-sockets.ts';
import { daemonIo, daemonProblems, startDaemon, tellParent } from './daemon.ts';
import type { CliIo, ExitCode } from './io.ts';
import { keepParserSmall } from './heap-flags.ts';
import { CommandError, exitCodes, UsageError } from './io.ts';
import { ownerOfPidfile, takePidfile } from './pidfile.ts';
import { untilEnded, type Serving } from './signals.ts';
import { becomeUser } from './unix-user.ts';
import type { CreateServedApp, ProcessEvents, ServedApp, Supervise } from './served-app.ts';
import { type Arguments, type OptionSpec, type Verb, textOf, textsOf } from './arguments.ts';
import { whyUnwritable } from './unwritable.ts';

export type { CreateServedApp, ProcessEvents, ServeDeps, ServedApp } from './served-app.ts';

/** Where the configuration is from. */
export const sourceOptions: Readonly<Record<string, OptionSpec>> = {
  config: { type: 'string', short: 'c', value: 'FILE', about: 'The configuration: YAML, JSON or a pgbouncer.ini.' },
  primary: {
    type: 'string',
    value: 'URL',
    about: 'The server that takes writes: postgres://user:password@host:5432/database.',
  },
  replica: { type: 'string', multiple: true, value: 'URL', about: 'A server that takes reads; may be repeated.' },
  listen: { type: 'string', value: 'HOST:PORT', about: 'Where clients connect (default 127.0.0.1:6432).' },
  redis: { type: 'string', value: 'URL', about: 'Turns the cache on, with this Redis as its second level.' },
};

/** The others are those of PgBouncer. */
export const serveOptions: Readonly<Record<string, OptionSpec>> = {
  ...sourceOptions,
  daemon: { type: 'boolean', short: 'd', about: 'Go on in the background; needs pidfile and log.file (logfile).' },
  quiet: { type: 'boolean', short: 'q', about: 'Log only to log.file (logfile), not to standard output.' },
  verbose: { type: 'boolean', short: 'v', multiple: true, about: 'Log more (log.level debug); may be repeated.' },
  user: { type: 'string', short: 'u', value: 'USER', about: 'Become this user of the system, when started as root.' },
  reboot: {
    type: 'boolean',
    short: 'R',
    about: 'Start as usual if no other Weir runs; to replace one without losing clients: weir restart.',
  },
};

/**
 * The sources of the configuration, from the command line.
 * @throws UsageError
 */
export function sourceOf(
  args: Arguments,
  env: NodeJS.ProcessEnv,
): { file: string | undefined; flags: ServeFlags; env: NodeJS.ProcessEnv } {
  const [named, ...more] = args.positionals;
  if (more.length > 0) throw new UsageError(`unexpected argument ${more[0]}`);
  const config = textOf(args, 'config');
  if (named !== undefined && config !== undefined) throw new UsageError(`two files: ${named} and ${config}`);
  const file = named ?? config;
  const primary = textOf(args, 'primary');
  if (file === undefined && primary === undefined) {
    throw new UsageError('give FILE, or --primary URL (and --replica URL for each replica)');
  }
  const flags = {
    primary,
    replica: textsOf(args, 'replica'),
    listen: textOf(args, 'listen'),
    redis: textOf(args, 'redis'),
    quiet: args.values['quiet'] === true || args.values['daemon'] === true,
    verbose: args.values['verbose'] !== undefined,
    user: textOf(args, 'user'),
  };
  return { file, flags, env };
}

/** Loads the configuration, the files it names, and the users. Every problem is in the result. */
export function loadAll(source: LoadSource): Loaded {
  const loaded = loadConfig(source);
  const none = new Map<string, string>();
  if ('problems' in loaded) return { result: loaded, users: none };
  const access = loadAccessOf(loaded.config);
  if (access !== undefined && 'problems' in access) return { result: { ...access, warnings: [] }, users: none };
  const files = filesWarning(loaded.config, thisMachine()) ?? [];
  const result = { ...loaded, warnings: [...loaded.warnings, ...(access?.access.warnings ?? [])].concat(files) };
  const { file } = result.config.auth;
  if (file === undefined) return { result, users: knownUsers(result.config) };
  try {
    const text = readFileSync(file, 'utf8');
    const { problems } = parseUsersFile(text);
    if (problems.length === 0) {
      const users = knownUsers(result.config, text);
      return { result: { ...result, config: withStoredPasswords(result.config, users) }, users };
    }
    return { result: { problems: problems.map((problem) => `${file}: ${problem}`), warnings: [] }, users: none };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { result: { problems: [`auth.file: ${reason}`], warnings: [] }, users: none };
  }
}

/** What `weir serve` needs besides its arguments. */
export interface Served {
  readonly loadApp: () => Promise<CreateServedApp>;
  readonly events: ProcessEvents;
  readonly supervise?: Supervise | undefined;
  /** Told when Weir listens. */
  readonly onListening?: () => void;
}

/** What is wrong before anything is started; says what has no effect. */
function firstLoad(args: Arguments, io: CliIo, speaks?: boolean): { readonly config: Config; readonly loaded: Loaded } {
  const loaded = loadAll(sourceOf(args, io.env));
  const { result } = loaded;
  if ('problems' in result) throw new CommandError(result.problems);
  const { config } = result;
  if (speaks ?? config.log.stdout) {
    for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
    for (const note of result.notes ?? []) io.err(`note: ${note}\n`);
  }
  const problems = [
    ...beyondMachine(config, thisMachine()),
    ...(args.values['daemon'] === true ? daemonProblems(config) : []),
  ];
  if (problems.length > 0) throw new CommandError(problems);
  return { config, loaded };
}

/** Serves until a signal or SHUTDOWN ends it; resolves to the exit code. */
export async function serve(args: Arguments, io: CliIo, served: Served): Promise<ExitCode> {
  const source = sourceOf(args, io.env);
  const { config, loaded } = firstLoad(args, io);
  const reloadConfig = (): Loaded => loadAll(source);
  const systemd = createServiceManager(io.env, (text) => io.err(`weir: ${text}\n`));
  const surroundings = {
    passedFds: passedFds(io.env, process.pid),
    onEnding: (mode: ShutdownMode): void => tellEnding(mode, systemd),
  };
  let app: ServedApp;
  let removePidfile = (): void => undefined;
  try {
    removePidfile = prepareProcess(config, args);
    if (served.supervise !== undefined && config.workers > 1) app = await served.supervise(config, surroundings);
    else {
      keepParserSmall();
      app = await (await served.loadApp())(config, { users: loaded.users, reloadConfig, surroundings });
    }
    await app.start();
  } catch (error) {
    removePidfile();
    await systemd.end();
    throw new CommandError([startProblem(error)]);
  }
  logNotes(app, loaded);
  const http = app.httpAddress();
  const addresses = `listening on ${formatHostPort(app.listenAddress())}`;
  const where = `${addresses}${http === undefined ? '' : `, http on ${formatHostPort(http)}`}`;
  // With a JSON log, standard output has log lines only.
  const print = config.log.format === 'json' ? io.err : io.out;
  if (config.log.stdout) print(`weir: ${where}\n`);
  systemd.ready(where);
  served.onListening?.();
  try {
    return await untilOver({ app, reloadConfig, io, events: served.events, systemd });
  } finally {
    removePidfile();
  }
}

/**
 * The user, the files of the log and of the process ID.
 * @returns removes the latter
 */
function prepareProcess({ user, log, pidfile, unixSocketDir, listen }: Config, args: Arguments): () => void {
  becomeUser(user);
  if (log.file !== undefined) tryLogFile(log.file);
  const socket = unixSocketDir === undefined ? undefined : `${unixSocketDir}/.s.PGSQL.${listen.port}.lock`;
  const other = [pidfile, socket].map((file) => (file === undefined ? undefined : ownerOfPidfile(file)));
  const pid = other.find((each) => each !== undefined && each !== process.pid);
  if (args.values['reboot'] === true && pid !== undefined) {
    throw new Error(
      `--reboot: process ${pid} runs, and cannot pass its clients to another program: weir restart replaces the processes ` +
        'of a Weir with workers, and so_reuseport lets a new Weir start beside an old one',
    );
  }
  return takePidfile(pidfile);
}

/** Before anything starts, so that the mistake is told on the terminal. */
function tryLogFile(file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new Error(`log.file (logfile) ${file}: ${whyUnwritable(file, error)}`, { cause: error });
  }
}

/** So that they are in the log file, too. */
function logNotes(app: ServedApp, { result }: Loaded): void {
  if (!('config' in result)) return;
  for (const warning of result.warnings) app.log?.('warn', 'configuration', warning);
  for (const note of result.notes ?? []) app.log?.('info', 'configuration', note);
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

/** @param serveArguments as they were given, for the process in the background */
export function serveVerb(
  loadApp: Served['loadApp'],
  events: ProcessEvents,
  supervise: Supervise,
  serveArguments: readonly string[],
): Verb {
  return {
    synopsis:
      '[FILE] [-d] [-q] [-v] [-R] [-u USER] [--primary URL] [--replica URL]... [--listen HOST:PORT] [--redis URL]',
    about:
      'Starts Weir and serves until a signal ends it; FILE is YAML or a pgbouncer.ini. Flags win over WEIR_<KEY> in the environment, and that over the file.',
    options: serveOptions,
    run(args, io) {
      if (args.values['daemon'] !== true) return serve(args, io, { loadApp, events, supervise });
      firstLoad(args, io, args.values['quiet'] !== true);
      return startDaemon(serveArguments, io);
    },
  };
}

export function daemonVerb(loadApp: Served['loadApp'], events: ProcessEvents, supervise: Supervise): Verb {
  return {
    synopsis: '',
    about: 'What `weir serve -d` starts.',
    options: serveOptions,
    run: async (args, io) => {
      const own = daemonIo(io);
      try {
        return await serve(args, own, { loadApp, events, supervise, onListening: tellParent });
      } catch (error) {
        const lines = error instanceof CommandError ? error.lines : [String(error)];
        for (const line of lines) own.err(`${line}\n`);
        return exitCodes.refused;
      }
    },
  };
}
