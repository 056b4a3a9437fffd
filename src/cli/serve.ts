/**
 * `weir serve`: loads the configuration, starts the app, and handles signals until the process ends. SIGHUP reloads;
 * SIGTERM and SIGINT drain, and a second one stops at once. The app is made by app.ts, through a function passed in.
 */
import { readFileSync } from 'node:fs';
import { loadAccessOf } from '../app/access.ts';
import type { ConfigDiff } from '../config/change.ts';
import type { Config, HostPort } from '../config/config.ts';
import type { Loaded, ServeFlags } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import { knownUsers, parseUsersFile } from '../config/users.ts';
import { formatHostPort } from '../config/values.ts';
import { WeirError } from '../errors/errors.ts';
import type { CliIo, ExitCode } from './io.ts';
import { CommandError, UsageError, exitCodes } from './io.ts';
import type { Logger } from '../observability/logger.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { Arguments, OptionSpec, Verb } from './verbs.ts';
import { textOf, textsOf } from './verbs.ts';

/** The part of the app that `weir serve` uses. */
export interface ServedApp {
  start(): Promise<void>;
  /** Refuses new clients, lets running statements and transactions end, then stops. */
  drain(waitsForClients?: boolean): Promise<void>;
  stop(): Promise<void>;
  /** @throws WeirError if the configuration cannot be used; nothing has changed then */
  reload(config: Config, users: ReadonlyMap<string, string>): ConfigDiff | Promise<ConfigDiff>;
  listenAddress(): HostPort;
  httpAddress(): HostPort | undefined;
  /** Resolves when the app has ended by SHUTDOWN on the admin console. */
  readonly ended?: Promise<void>;
  /** Logs and counts an error that was not caught. */
  noteUnexpected?(error: unknown): void;
}

export interface ServeDeps {
  /** Secrets by user name. */
  readonly users: ReadonlyMap<string, string>;
  /** Reads the file, the environment and the users again. */
  readonly reloadConfig: () => Loaded;
  /** Of a worker: its connection to the supervisor. */
  readonly worker?: WorkerLink;
  readonly logger?: Logger;
}

export type CreateServedApp = (config: Config, deps: ServeDeps) => Promise<ServedApp>;

/** Supervises several workers, which do the work. */
export type Supervise = (config: Config, workers: number, io: CliIo) => Promise<ServedApp>;

/** The source of signals and uncaught errors: the process, or an emitter in tests. */
export type ProcessEvents = Pick<NodeJS.Process, 'on' | 'off'>;

/** After a second signal, the process ends at the latest after this. */
const forcedExitMs = 1_000;

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
export function loadAll(source: ReturnType<typeof sourceOf>): Loaded {
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
  const reloadConfig = (): Loaded => loadAll(source);
  let app: ServedApp;
  try {
    app = await makeServed(first.result.config, { users: first.users, reloadConfig }, io, loadApp, supervise);
    await app.start();
  } catch (error) {
    throw new CommandError([startProblem(error)]);
  }
  const http = app.httpAddress();
  const addresses = `listening on ${formatHostPort(app.listenAddress())}`;
  // With a JSON log, standard output has log lines only.
  const print = first.result.config.log.format === 'json' ? io.err : io.out;
  print(`weir: ${addresses}${http === undefined ? '' : `, http on ${formatHostPort(http)}`}\n`);
  return untilEnded(app, reloadConfig, io, events);
}

async function makeServed(
  config: Config,
  deps: ServeDeps,
  io: CliIo,
  loadApp: () => Promise<CreateServedApp>,
  supervise: Supervise | undefined,
): Promise<ServedApp> {
  if (supervise !== undefined && config.workers > 1) return supervise(config, config.workers, io);
  const createApp = await loadApp();
  return createApp(config, deps);
}

function startProblem(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return reason.includes('EADDRINUSE')
    ? `cannot start: ${reason}: another program listens there`
    : `cannot start: ${reason}`;
}

/** Handles an error that nothing caught: logs it and keeps the process, and so all other connections, alive. */
function noteUnexpected(app: ServedApp, io: CliIo, error: unknown): void {
  if (app.noteUnexpected !== undefined) app.noteUnexpected(error);
  else io.err(`unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}

async function untilEnded(
  app: ServedApp,
  reloadConfig: () => Loaded,
  io: CliIo,
  events: ProcessEvents,
): Promise<ExitCode> {
  const unexpected = (error: unknown): void => noteUnexpected(app, io, error);
  const hangup = (): void => {
    reload(app, reloadConfig, io).catch(unexpected);
  };
  let finish: (code: ExitCode) => void = () => undefined;
  const finished = new Promise<ExitCode>((resolve) => (finish = resolve));
  const end = (task: Promise<void>): void => {
    task.then(
      // After a second signal the drain was not complete, so the exit code is not 0.
      () => finish(isCutShort ? exitCodes.refused : exitCodes.done),
      (error: unknown) => {
        unexpected(error);
        finish(exitCodes.refused);
      },
    );
  };
  let isDraining = false;
  let isCutShort = false;
  let forcedExit: NodeJS.Timeout | undefined;
  const terminate = (signal: NodeJS.Signals): void => {
    io.err(`weir: ${signal}: ${isDraining ? 'stopping at once' : 'draining; once more stops at once'}\n`);
    isCutShort = isDraining;
    // In case stop() hangs.
    if (isDraining) forcedExit ??= setTimeout(() => finish(exitCodes.refused), forcedExitMs);
    end(isDraining ? app.stop() : app.drain());
    isDraining = true;
  };
  events.on('SIGHUP', hangup);
  events.on('SIGTERM', terminate);
  events.on('SIGINT', terminate);
  events.on('uncaughtException', unexpected);
  events.on('unhandledRejection', unexpected);
  if (app.ended !== undefined) end(app.ended);
  const code = await finished;
  clearTimeout(forcedExit);
  events.off('SIGHUP', hangup);
  events.off('SIGTERM', terminate);
  events.off('SIGINT', terminate);
  events.off('uncaughtException', unexpected);
  events.off('unhandledRejection', unexpected);
  return code;
}

async function reload(app: ServedApp, reloadConfig: () => Loaded, io: CliIo): Promise<void> {
  const { result, users } = reloadConfig();
  for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
  if ('problems' in result) {
    io.err('weir: reload: nothing was changed, because of:\n');
    for (const problem of result.problems) io.err(`${problem}\n`);
    return;
  }
  let diff: ConfigDiff;
  try {
    diff = await app.reload(result.config, users);
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    io.err(`weir: reload: ${error.message}\n`);
    return;
  }
  const { reloadable, notReloadable } = diff;
  io.err(
    `weir: reload: ${reloadable.length === 0 ? 'no setting changed; files were read again' : `changed ${reloadable.join(', ')}`}\n`,
  );
  if (notReloadable.length > 0) io.err(`weir: reload: needs a restart: ${notReloadable.join(', ')}\n`);
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
