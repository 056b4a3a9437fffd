/**
 * A child process that is watched, whose output is kept, and that can be stopped or killed with all its descendants;
 * free ports to give to it. Used by everything in the harness that starts something.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { processTree } from '../../scripts/lib/processes.mjs';
import type { RunDir } from './run-dir.ts';
import { until } from './until.ts';

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions extends SpawnOptions {
  /** Run as the user that servers run as when this process is root. */
  readonly asServerUser?: boolean;
}

/** The most recent output that is kept, in characters. */
const KEEP_OUTPUT = 1_000_000;

export class Child {
  readonly pid: number;
  /** Resolves when the process has ended. */
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  #output = '';
  readonly #process: ChildProcess;

  constructor(run: RunDir, program: string, args: readonly string[], options: ChildOptions = {}) {
    const { asServerUser = false, ...rest } = options;
    const as = asServerUser && run.user !== undefined ? { uid: run.user.uid, gid: run.user.gid } : {};
    // A process group of its own: Ctrl-C in the terminal is for this process, which then stops its children in order.
    this.#process = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...as, ...rest });
    this.pid = this.#process.pid ?? -1;
    if (this.pid > 0) run.watch(this.pid);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-KEEP_OUTPUT);
      });
    }
    this.exited = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        if (this.pid > 0) run.unwatch(this.pid);
        this.exit = exit;
        resolve(exit);
      };
      this.#process.once('error', (error) => {
        this.#output += `${program}: ${error.message}\n`;
        end({ code: 127, signal: null });
      });
      // 'close' comes after the last output; children that outlive it may hold the pipes open, so 'exit' it is.
      this.#process.once('exit', (code, signal) => end({ code, signal }));
    });
  }

  /** What it wrote so far, standard output and error as they came. */
  get output(): string {
    return this.#output;
  }

  get isRunning(): boolean {
    return this.exit === undefined;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#process.kill(signal);
  }

  /** To it and all its descendants. */
  signalTree(signal: NodeJS.Signals): void {
    if (this.isRunning) for (const pid of processTree(this.pid)) tryKill(pid, signal);
  }

  /** Asks it to end and waits; after `graceMs` it is killed, and that is an error. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 30_000): Promise<Exit> {
    this.signal(signal);
    const timer = new AbortController();
    const late = new Promise<undefined>((resolve) => {
      const handle = setTimeout(() => resolve(undefined), graceMs);
      timer.signal.addEventListener('abort', () => clearTimeout(handle));
    });
    const exit = await Promise.race([this.exited, late]);
    timer.abort();
    if (exit !== undefined) return exit;
    await this.kill();
    throw new Error(
      `process ${this.pid} did not end within ${graceMs} ms of ${signal}; it said:\n${this.#output.slice(-4000)}`,
    );
  }

  /** kill -9, with everything that it started; resolves when all of them are gone. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    // Stopped first, so that it starts nothing more while its children are being counted.
    this.signal('SIGSTOP');
    const victims = processTree(this.pid);
    for (const pid of victims) tryKill(pid, 'SIGKILL');
    await this.exited;
    await until(`the children of process ${this.pid} to be gone`, () => victims.every((pid) => !tryKill(pid, 0)));
  }
}

/** False when there is no such process (any more). */
function tryKill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Ports of 127.0.0.1 that nobody listened on a moment ago, all different. Whoever uses one must be ready to retry. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error('no free port');
  return port;
}
