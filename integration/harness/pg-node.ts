/**
 * One PostgreSQL server: a data directory and, while it runs, a process. Knows nothing of its cluster; cluster.ts decides
 * who is primary and who follows.
 */
import { chownSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import type { PgBinaries } from './binaries.ts';
import type { RunDir } from './run-dir.ts';
import { until } from './until.ts';

/** What other processes need to know of a node. */
export interface NodeFacts {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** As pg_ctl: smart waits for clients, fast ends them, immediate is a crash on purpose. */
export type StopMode = 'smart' | 'fast' | 'immediate';
const stopSignals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** The port was taken between finding it free and listening on it. */
export class PortTakenError extends Error {}

export class PgNode implements NodeFacts {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly dataDir: string;
  port: number;
  readonly #run: RunDir;
  readonly #binaries: PgBinaries;
  readonly #settings: Readonly<Record<string, string>>;
  #child: Child | undefined;

  constructor(
    run: RunDir,
    binaries: PgBinaries,
    facts: { name: string; port: number; dataDir: string; settings: Readonly<Record<string, string>> },
  ) {
    this.#run = run;
    this.#binaries = binaries;
    this.name = facts.name;
    this.port = facts.port;
    this.dataDir = facts.dataDir;
    this.#settings = facts.settings;
  }

  get isRunning(): boolean {
    return this.#child?.isRunning ?? false;
  }

  /** The server's log of its present or last run. */
  get log(): string {
    return this.#child?.output ?? '';
  }

  get pid(): number | undefined {
    return this.isRunning ? this.#child?.pid : undefined;
  }

  /** Makes it a standby of `source` at its next start. */
  becomeStandby(connInfo: string): void {
    this.#write('standby.signal', '');
    this.#write('postgresql.auto.conf', `primary_conninfo = '${connInfo.replaceAll("'", "''")}'\n`);
  }

  /** Starts it and waits until it takes connections. */
  async start(): Promise<void> {
    if (this.isRunning) return;
    const settings = Object.entries({ ...this.#settings, port: String(this.port) });
    // A number left by a killed server may be another process's by now, which would make the server refuse to start.
    rmSync(join(this.dataDir, 'postmaster.pid'), { force: true });
    const args = ['-D', this.dataDir, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
    const env = { ...process.env, LC_ALL: 'C', HOME: this.dataDir };
    const child = new Child(this.#run, this.#binaries.postgres, args, { asServerUser: true, cwd: this.dataDir, env });
    this.#child = child;
    await until(`PostgreSQL ${this.name} to start`, () => !child.isRunning || this.#status() === 'ready', {
      timeoutMs: 60_000,
    });
    if (child.isRunning) return;
    if (/could not bind|Address already in use/i.test(child.output)) throw new PortTakenError(`port ${this.port}`);
    throw new Error(`PostgreSQL ${this.name} did not start:\n${child.output}`);
  }

  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.#child?.stop(stopSignals[mode], 60_000);
  }

  /** kill -9 of the server and all its processes. */
  async kill(): Promise<void> {
    await this.#child?.kill();
  }

  /** Freezes the whole server (SIGSTOP): it keeps its connections and says nothing more. */
  freeze(): void {
    this.#child?.signalTree('SIGSTOP');
  }

  thaw(): void {
    this.#child?.signalTree('SIGCONT');
  }

  /** Line 8 of postmaster.pid: starting, standby, ready, stopping. That is what pg_ctl waits for, too. */
  #status(): string | undefined {
    try {
      return readFileSync(join(this.dataDir, 'postmaster.pid'), 'utf8').split('\n')[7]?.trim();
    } catch {
      return undefined;
    }
  }

  #write(name: string, text: string): void {
    const file = join(this.dataDir, name);
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: 0o600 });
    if (this.#run.user !== undefined) chownSync(file, this.#run.user.uid, this.#run.user.gid);
  }
}
