/**
 * A real Weir process (`node bin/weir.js serve`) on free ports, with its log kept, and the configurations to start it
 * with. Its twin in this process is in-process.ts.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, freePorts } from './child.ts';
import type { Exit } from './child.ts';
import { pgUrl } from './cluster-view.ts';
import type { ClusterView, UrlOptions } from './cluster-view.ts';
import type { NodeFacts } from './pg-node.ts';
import { checkoutDir, currentRun } from './run-dir.ts';
import type { RunDir } from './run-dir.ts';
import { PASSWORD, users } from './template.ts';
import { until } from './until.ts';

/** What a configuration file holds: the keys and shapes of config/weir.yaml. JSON is YAML, too. */
export type WeirConfig = Record<string, unknown>;

export interface ConfigOptions {
  /** Default "postgres". */
  readonly database?: string;
  /** Whom Weir logs in to the servers as; null: the client's own user. Default "app". */
  readonly serverUser?: string | null;
  /** Stand in for the nodes, e.g. relays; default the cluster's. */
  readonly primary?: { host?: string; port: number };
  readonly replicas?: readonly (NodeFacts | { name?: string; host?: string; port: number })[];
}

/** Who may log in to a Weir of the tests: every user of the cluster, and "weir" for its admin console. */
export function usersFile(dir: string): string {
  const file = join(dir, 'users.txt');
  const names = [...Object.values(users), 'weir'];
  writeFileSync(file, names.map((name) => `"${name}" "${PASSWORD}"\n`).join(''), { mode: 0o600 });
  return file;
}

/** A configuration for one database of a cluster; `more` is laid over it key by key, at any depth. */
export function weirConfig(cluster: ClusterView, options: ConfigOptions = {}, more: WeirConfig = {}): WeirConfig {
  const { database = 'postgres', serverUser = users.app, primary = cluster.primary } = options;
  const replicas: readonly { name?: string; host?: string; port: number }[] = options.replicas ?? cluster.replicas;
  const at = (node: { host?: string; port: number }): string =>
    serverUser === null
      ? `postgres://${node.host ?? '127.0.0.1'}:${node.port}/${database}`
      : pgUrl(node, { user: serverUser, database });
  const base: WeirConfig = {
    auth: { type: 'scram-sha-256', admin_users: ['weir'] },
    databases: {
      [database]: {
        primary: { url: at(primary), name: 'primary' },
        replicas: replicas.map((node, i) => ({ url: at(node), name: node.name ?? `replica${i + 1}` })),
      },
    },
    log: { level: 'info', format: 'json' },
  };
  return merge(base, more);
}

/** `more` laid over `base` key by key, at any depth. */
export function merge(base: WeirConfig, more: WeirConfig): WeirConfig {
  const merged = { ...base };
  for (const [key, value] of Object.entries(more)) {
    const old = merged[key];
    merged[key] = isRecord(old) && isRecord(value) ? merge(old, value) : value;
  }
  return merged;
}

function isRecord(value: unknown): value is WeirConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface WeirOptions {
  readonly run?: RunDir;
  /** The built checkout whose Weir is started; default this one. */
  readonly checkout?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Node's own arguments, e.g. --inspect or --max-old-space-size. */
  readonly nodeArgs?: readonly string[];
  /** Default true: wait until /readyz says 200. False: until /healthz does. */
  readonly waitUntilReady?: boolean;
}

/** What a Weir is reached by, whether it is a process of its own or not. */
export interface WeirAddresses {
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
  url(options?: UrlOptions): string;
  adminUrl(): string;
}

/** What most tests need of it: see test-weir.ts. */
export interface TestWeir extends WeirAddresses {
  /** Resolves when it has ended by itself, after SHUTDOWN. */
  readonly ended: Promise<unknown>;
  /** Drains: what is in flight ends, then everything stops. */
  drain(): Promise<void>;
  /** Throws if somebody was stuck in it. */
  stop(): Promise<void>;
}

export class WeirProcess implements WeirAddresses {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly httpPort: number;
  readonly configFile: string;
  readonly #child: Child;

  constructor(child: Child, facts: { port: number; httpPort: number; configFile: string }) {
    this.#child = child;
    this.port = facts.port;
    this.httpPort = facts.httpPort;
    this.configFile = facts.configFile;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child.isRunning;
  }

  get exited(): Promise<Exit> {
    return this.#child.exited;
  }

  /** Everything it wrote. */
  get output(): string {
    return this.#child.output;
  }

  /** Its log lines so far, parsed (log.format json). */
  get logs(): Record<string, unknown>[] {
    const lines = this.output.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  url(options: UrlOptions = {}): string {
    return pgUrl(this, options);
  }

  adminUrl(): string {
    return pgUrl(this, { user: 'weir', database: 'weir' });
  }

  /** The body of http://.../metrics, or of another path. */
  async http(path = '/metrics'): Promise<{ status: number; body: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.httpPort}${path}`);
    return { status: answer.status, body: await answer.text() };
  }

  /** Replaces the configuration file; it is read again at `signal('SIGHUP')` or RELOAD. */
  rewriteConfig(config: WeirConfig | string): void {
    writeFileSync(this.configFile, typeof config === 'string' ? config : JSON.stringify(config, null, 2));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.signal(signal);
  }

  /** To its workers, too. */
  signalTree(signal: NodeJS.Signals): void {
    this.#child.signalTree(signal);
  }

  /** Throws unless it ends by itself with exit code 0 and nobody was ever stuck in it. */
  async stop(): Promise<void> {
    const exit = await this.#child.stop('SIGTERM');
    this.#expectNothingStuck();
    if (exit.code !== 0) throw new Error(`Weir ended with ${JSON.stringify(exit)}:\n${this.output.slice(-8000)}`);
  }

  /** Without a drain; throws if somebody was stuck in it. On a slow machine what hangs is left, with exit code 1. */
  async stopAtOnce(): Promise<void> {
    const exit = await this.#child.stop('SIGQUIT');
    this.#expectNothingStuck();
    if (exit.code === null) throw new Error(`Weir was ended by ${exit.signal ?? ''}:\n${this.output.slice(-8000)}`);
  }

  /** kill -9; throws if somebody was stuck in it. */
  async kill(): Promise<void> {
    await this.#child.kill();
    this.#expectNothingStuck();
  }

  #expectNothingStuck(): void {
    const lines = stuckLines(this.output);
    if (lines.length > 0) throw new Error(`somebody was stuck in Weir:\n${lines.join('\n')}`);
  }
}

/** Lines of a log in which the watchdog has found something: nothing of it may ever be found in a test. */
export function stuckLines(output: string): string[] {
  return output.match(/^.* is stuck \(\w+\).*$/gm) ?? [];
}

/** Starts Weir with an object (free ports unless it names them; users.txt unless it names a file) or with YAML text. */
export async function startWeir(config: WeirConfig | string, options: WeirOptions = {}): Promise<WeirProcess> {
  for (let attempt = 1; ; attempt++) {
    const weir = await tryStart(config, options);
    if (weir instanceof WeirProcess) return weir;
    // A port that was free when it was chosen has been taken by somebody else meanwhile.
    if (attempt === 5 || !/EADDRINUSE|another process listens there/.test(weir))
      throw new Error(`Weir did not start:\n${weir}`);
  }
}

async function tryStart(config: WeirConfig | string, options: WeirOptions): Promise<WeirProcess | string> {
  const { run = currentRun(), checkout = checkoutDir, env = {}, nodeArgs = [], waitUntilReady = true } = options;
  const dir = mkdtempSync(join(run.dir, 'weir-'));
  const configFile = join(dir, 'weir.yaml');
  const text = typeof config === 'string' ? config : JSON.stringify(await processConfig(config, dir), null, 2);
  writeFileSync(configFile, text, { mode: 0o600 });
  const facts = { port: portOf(text, 'listen'), httpPort: portOf(text, 'http'), configFile };
  const args = [...nodeArgs, join(checkout, 'bin/weir.js'), 'serve', '--config', configFile];
  const child = new Child(run, process.execPath, args, { cwd: dir, env: { ...process.env, ...env } });
  const path = waitUntilReady ? '/readyz' : '/healthz';
  const isUp = await until(
    'Weir to be ready',
    async () => !child.isRunning || (await fetch(`http://127.0.0.1:${facts.httpPort}${path}`)).ok,
  ).catch(async (error: unknown) => {
    await child.kill();
    throw new Error(`Weir did not become ready; it said:\n${child.output.slice(-8000)}`, { cause: error });
  });
  return isUp && child.isRunning ? new WeirProcess(child, facts) : child.output;
}

/** How many workers a Weir has that is a process, unless the test says how many. */
export function workersOfTests(): number | undefined {
  const { WEIR_TEST_WORKERS: workers } = process.env;
  return workers === undefined ? undefined : Number(workers);
}

/** Fills in what a test does not care about: ports and the file of users. */
export async function completeConfig(config: WeirConfig, dir: string): Promise<WeirConfig> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const auth: WeirConfig = isRecord(config['auth']) ? config['auth'] : {};
  return {
    listen: `127.0.0.1:${port}`,
    http: `127.0.0.1:${httpPort}`,
    ...config,
    auth: { file: usersFile(dir), admin_users: ['weir'], ...auth },
  };
}

async function processConfig(config: WeirConfig, dir: string): Promise<WeirConfig> {
  const workers = workersOfTests();
  return completeConfig(workers === undefined ? config : { workers, ...config }, dir);
}

function portOf(text: string, key: string): number {
  const match = new RegExp(`^\\s*"?${key}"?:\\s*"?[^"\\n]*:(\\d+)"?,?\\s*$`, 'm').exec(text);
  if (match === null) throw new Error(`the configuration must name "${key}: HOST:PORT"`);
  return Number(match[1]);
}
