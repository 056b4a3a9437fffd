/**
 * startWeir(): Weir inside of another program, such as the tests of an application. Makes the same app as `weir serve` with
 * one process, without its signals and its words on the terminal. Several may run in one process; they share nothing.
 * Exported by index.ts.
 */
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { createApp, type App } from '../app.ts';
import { loadAll } from '../cli/serve.ts';
import type { Config } from '../config/config.ts';
import type { Loaded, LoadSource } from '../config/load.ts';
import { formatHostPort } from '../config/values.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import {
  WeirConfigError,
  type Address,
  type LogLine,
  type Login,
  type Reloaded,
  type StartOptions,
  type Weir,
  type WeirSettings,
} from './types.ts';

const lookEveryMs = 10;

interface Usable {
  readonly config: Config;
  readonly users: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/**
 * The text of a configuration that is an object: JSON is YAML, too.
 * @throws WeirConfigError
 */
function textOf(settings: unknown): string {
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) {
    throw new WeirConfigError(['the configuration is neither an object of settings nor the name of a file']);
  }
  try {
    return JSON.stringify(settings);
  } catch (error) {
    throw new WeirConfigError([`the configuration cannot be written as JSON: ${reasonOf(error)}`]);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

type Place = Pick<LoadSource, 'file' | 'text'>;

function placeOf(configuration: WeirSettings | string): Place {
  return typeof configuration === 'string' ? { file: configuration } : { text: textOf(configuration) };
}

/** Reads the configuration, again for each reload. */
class Source {
  /** What RELOAD on the admin console reads. */
  place: Place;
  private readonly env: NodeJS.ProcessEnv;
  private readonly users: ReadonlyMap<string, string>;

  constructor(place: Place, { env, users }: StartOptions) {
    this.place = place;
    this.env = { ...env };
    this.users = new Map(Object.entries(users ?? {}));
  }

  load(place = this.place): Loaded {
    const { result, users } = loadAll({ ...place, flags: {}, env: this.env });
    if (!('problems' in result)) return { result, users: new Map([...users, ...this.users]) };
    // An object is a single line, which its author never sees.
    const problems = result.problems.map((problem) => problem.replace(/^configuration:\d+:/, 'configuration:'));
    return { result: { ...result, problems }, users };
  }
}

/** @throws WeirConfigError */
function checked({ result, users }: Loaded): Usable {
  if ('problems' in result) throw new WeirConfigError(result.problems);
  const { config, warnings } = result;
  if (config.workers > 1) {
    const why = 'a Weir inside of a program is one process: start several here, or use `weir serve`';
    throw new WeirConfigError([`workers: ${config.workers}: ${why}`]);
  }
  return { config, users, warnings };
}

function loggerInto(log: (line: LogLine) => void, { level }: Config['log']): Logger {
  const destination = { write: (line: string): void => log(JSON.parse(line) as LogLine) };
  return createLogger({ level, format: 'json', destination });
}

class EmbeddedWeir implements Weir {
  readonly address: Address;
  readonly http: Address | undefined;
  readonly warnings: readonly string[];
  readonly ended: Promise<void>;
  private readonly app: App;
  private readonly source: Source;
  private hasEnded = false;
  private end: () => void = () => undefined;

  constructor(app: App, source: Source, warnings: readonly string[]) {
    this.app = app;
    this.source = source;
    this.warnings = warnings;
    this.address = app.listenAddress();
    this.http = app.httpAddress();
    this.ended = new Promise((resolve) => (this.end = resolve));
    void app.ended.then(() => this.noteEnd());
  }

  url(database: string, { user, password }: Login = {}): string {
    const { host, port } = this.address;
    // Addresses that mean "all" cannot be connected to everywhere.
    const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
    const at = formatHostPort({ host: reachable, port });
    const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
    const login = user === undefined ? '' : `${encodeURIComponent(user)}${secret}@`;
    return `postgres://${login}${at}/${encodeURIComponent(database)}`;
  }

  async ready(): Promise<void> {
    while (!this.hasEnded) {
      if (this.app.isSettled()) return;
      await sleep(lookEveryMs);
    }
    throw new Error('Weir has stopped');
  }

  async reload(settings?: WeirSettings): Promise<Reloaded> {
    if (this.hasEnded) throw new Error('Weir has stopped');
    const place = settings === undefined ? this.source.place : placeOf(settings);
    const { config, users, warnings } = checked(this.source.load(place));
    const { reloadable, notReloadable } = await this.app.reload(config, users, warnings);
    this.source.place = place;
    return { changed: reloadable, needRestart: notReloadable };
  }

  async drain(): Promise<void> {
    await this.app.drain();
    await this.closed();
  }

  async stop(): Promise<void> {
    await this.app.stop();
    await this.closed();
  }

  /** Node closes listening sockets in the turn of its event loop that follows. */
  private async closed(): Promise<void> {
    await turn();
    await turn();
    this.noteEnd();
  }

  private noteEnd(): void {
    this.hasEnded = true;
    this.end();
  }
}

/**
 * Starts a Weir in this process and resolves when it listens.
 * @param configuration an object with the keys of docs/settings.md, or the name of a file (YAML or JSON)
 * @throws WeirConfigError if the configuration cannot be used
 * @throws Error if it cannot start, for example because another program listens there; `cause` has Node's error
 */
export async function startWeir(configuration: WeirSettings | string, options: StartOptions = {}): Promise<Weir> {
  const source = new Source(placeOf(configuration), options);
  const { config, users, warnings } = checked(source.load());
  const logger = options.log === undefined ? undefined : loggerInto(options.log, config.log);
  const app = await createApp(config, { users, reloadConfig: () => source.load(), ...(logger && { logger }) });
  try {
    await app.start();
  } catch (error) {
    await app.stop();
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new Error(`Weir cannot start: ${reasonOf(error)}`, { cause });
  }
  return new EmbeddedWeir(app, source, warnings);
}
