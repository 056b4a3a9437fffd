/**
 * A real Redis of the machine on a free port, without persistence. Stop, kill, restart, freeze: whatever can happen
 * to the second level of the cache and to the invalidation bus.
 */
import { connect } from 'node:net';
import { Child, freePort } from './child.ts';
import type { Exit } from './child.ts';
import { findProgram } from './programs.ts';
import { currentRun } from './run-dir.ts';
import type { RunDir } from './run-dir.ts';
import { until } from './until.ts';

export interface RedisFacts {
  readonly url: string;
  readonly port: number;
}

export function hasRedis(): boolean {
  return findProgram('redis-server') !== undefined;
}

export class Redis implements RedisFacts {
  port = 0;
  readonly #run: RunDir;
  #child: Child | undefined;

  constructor(run: RunDir) {
    this.#run = run;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  get isRunning(): boolean {
    return this.#child?.isRunning ?? false;
  }

  /** Starts it, after stop() or kill() on the same port and empty. */
  async start(): Promise<void> {
    const program = findProgram('redis-server');
    if (program === undefined) throw new Error('redis-server is not installed (Debian: apt-get install redis-server)');
    for (let attempt = 1; !this.isRunning; attempt++) {
      const port = this.port === 0 ? await freePort() : this.port;
      const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
      const child = new Child(this.#run, program, [...args, '--dir', this.#run.dir], { cwd: this.#run.dir });
      const isUp = await until('Redis to start', async () => (child.isRunning ? ping(port) : 'died'));
      if (isUp === 'died') {
        if (attempt < 5 && child.output.includes('Address already in use')) continue;
        throw new Error(`redis-server did not start:\n${child.output}`);
      }
      this.port = port;
      this.#child = child;
    }
  }

  async stop(): Promise<Exit | undefined> {
    return this.#child?.stop('SIGTERM', 10_000);
  }

  /** kill -9 */
  async kill(): Promise<void> {
    await this.#child?.kill();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** One command as a line, e.g. FLUSHALL; errors are no concern. @returns the first bytes of the answer */
  command(line: string): Promise<string> {
    return new Promise((resolve) => {
      let answer = '';
      const socket = connect(this.port, '127.0.0.1', () => socket.write(`${line}\r\n`));
      socket.setTimeout(1000, () => socket.destroy());
      socket.on('error', () => undefined);
      socket.once('data', (data) => {
        answer = data.toString('latin1');
        socket.destroy();
      });
      socket.once('close', () => resolve(answer));
    });
  }

  /** Freezes it (SIGSTOP): connections stay, nothing is answered. */
  pause(): void {
    this.#child?.signal('SIGSTOP');
  }

  resume(): void {
    this.#child?.signal('SIGCONT');
  }
}

/** Asks a Redis for PONG without a client library. */
function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => end(false));
    socket.once('error', () => end(false));
    socket.once('data', (data) => end(data.toString('latin1').startsWith('+PONG')));
  });
}

export async function startRedis(run: RunDir = currentRun()): Promise<Redis> {
  const redis = new Redis(run);
  await redis.start();
  return redis;
}
