/**
 * `weir top` in a pseudo terminal, against a real Weir: pages, rates, disconnecting a client, a restart of Weir, and the terminal as
 * it was afterwards, however it ends. Needs python3 for the pseudo terminal.
 */
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { checkoutDir } from './harness/run-dir.ts';
import {
  closeClients,
  connectPg,
  startWeir,
  until,
  useCluster,
  weirConfig,
  type WeirProcess,
} from './harness/index.ts';

const program = join(checkoutDir, 'integration/programs/terminal.py');
const weirProgram = join(checkoutDir, 'bin/weir.js');
const hasPython = spawnSync('python3', ['-c', 'import pty, os; os.waitstatus_to_exitcode']).status === 0;
if (!hasPython)
  console.warn('weir top is not tried in a terminal: there is no python3 (3.9 or newer) with the module pty');

/** A command in a terminal. */
class InTerminal {
  /** Since the last whole screen began. */
  private output = '';
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;

  constructor(url: string, env: Readonly<Record<string, string>> = {}, columns = 80, rows = 24) {
    const command = [process.execPath, weirProgram, 'top', '--delay', '0.2', '--url', url];
    this.child = spawn('python3', [program, String(columns), String(rows), ...command], {
      env: { ...process.env, TERM: 'xterm-256color', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.ended = new Promise((resolve) => this.child.once('close', () => resolve()));
  }

  keys(text: string): void {
    this.child.stdin?.write(`keys ${Buffer.from(text).toString('hex')}\n`);
  }

  resize(columns: number, rows: number): void {
    this.child.stdin?.write(`size ${columns} ${rows}\n`);
  }

  get all(): string {
    return this.output;
  }

  get pid(): number {
    return Number(/^pid (\d+)/.exec(this.output)?.[1]);
  }

  /** The newest screen, without its colours. */
  get screen(): string[] {
    const last = this.output.slice(this.output.lastIndexOf('\u001b[H'));
    // eslint-disable-next-line no-control-regex
    return last.replace(/\u001b\[[\d;?]*[A-Za-z]/g, '').split(/\r*\n/);
  }

  async shows(words: string | RegExp): Promise<void> {
    const matches = (): boolean => {
      const screen = this.screen.join('\n');
      return typeof words === 'string' ? screen.includes(words) : words.test(screen);
    };
    await until(`${String(words)} on the screen`, () => matches() || Promise.reject(new Error(this.screen.join('\n'))));
  }

  /** @returns `ended 0 restored` */
  async end(): Promise<string> {
    await this.ended;
    return this.output.trimEnd().split('\n').at(-1) ?? '';
  }

  kill(): void {
    this.child.stdin?.end();
  }
}

const left = '\u001b[?25h\u001b[?1049l';

describe.skipIf(!hasPython)('in a terminal', () => {
  let weir: WeirProcess;
  const open: InTerminal[] = [];
  const top = (env?: Readonly<Record<string, string>>, columns?: number, rows?: number): InTerminal => {
    const one = new InTerminal(weir.adminUrl(), env, columns, rows);
    open.push(one);
    return one;
  };

  beforeAll(async () => {
    weir = await startWeir(weirConfig(useCluster()));
    return async () => {
      if (weir.isRunning) await weir.stop();
    };
  });
  afterEach(async () => {
    for (const one of open.splice(0)) one.kill();
    await closeClients();
  });

  test('pages, rates, a filter, and q', async () => {
    const client = await connectPg(weir.url());
    await client.query('SELECT 1');
    const terminal = top();
    await terminal.shows('[pools]');
    await terminal.shows(/postgres +app +(primary|replica)/);
    terminal.keys('2');
    await terminal.shows(/replica1 +replica +up/);
    terminal.keys('/primary\r');
    await terminal.shows(/1 of 3 \/primary/);
    terminal.keys('\u001b');
    terminal.keys('\u001b[15~');
    await terminal.shows('[databases]');
    await until('a rate above 0', async () => {
      await client.query('SELECT 1');
      return /^[1-9][\d.]* queries\/s/.test(terminal.screen[1] ?? '');
    });
    terminal.keys('h');
    await terminal.shows('disconnect one');
    terminal.keys('xq');
    expect(await terminal.end()).toBe('ended 0 restored');
    expect(terminal.all).toContain(left);
  });

  test('k asks, and y disconnects that client', async () => {
    const client = await connectPg(weir.url(), { application_name: 'victim' });
    const lost = new Promise<unknown>((resolve) => client.on('error', resolve));
    const other = await connectPg(weir.url(), { application_name: 'bystander' });
    const terminal = top();
    await terminal.shows('[pools]');
    terminal.keys('3/victim\r');
    await terminal.shows(/1 of 2 \/victim/);
    terminal.keys('k');
    await terminal.shows(/disconnect client \d+ \(app on postgres/);
    terminal.keys('n');
    await terminal.shows('nobody was disconnected');
    terminal.keys('k');
    await terminal.shows(/disconnect client \d+/);
    terminal.keys('y');
    expect(await lost).toMatchObject({ message: expect.any(String) as string });
    await terminal.shows(/client \d+ was disconnected/);
    terminal.keys('\u000c');
    await terminal.shows(/0 of 1 \/victim/);
    expect((await other.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    terminal.keys('\u0003');
    expect(await terminal.end()).toBe('ended 0 restored');
  });

  test('a narrow terminal, resized, without colour', async () => {
    const terminal = top({ NO_COLOR: '1' }, 40, 12);
    await terminal.shows('1[pools] 2 3 4 5');
    expect(Math.max(...terminal.screen.map((line) => line.length))).toBeLessThanOrEqual(40);
    terminal.resize(100, 30);
    await terminal.shows('1 [pools]  2 nodes');
    expect(terminal.screen).toHaveLength(30);
    expect(terminal.all).not.toMatch(/\[(?:\d+;)*[34]\d[;m]/);
    terminal.keys('q');
    expect(await terminal.end()).toBe('ended 0 restored');
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s leaves the terminal as it was', async (signal) => {
    const terminal = top();
    await terminal.shows('[pools]');
    process.kill(terminal.pid, signal);
    expect(await terminal.end()).toBe('ended 0 restored');
    expect(terminal.all).toContain(left);
  });

  test('says that Weir is gone, and goes on when it is back', async () => {
    const terminal = top();
    await terminal.shows('[pools]');
    await weir.kill();
    await terminal.shows('no answer, trying again');
    weir = await startWeir(JSON.stringify(JSON.parse(await configOf(weir)), null, 2));
    await terminal.shows('Weir answers again');
    terminal.keys('2');
    await terminal.shows(/primary +primary +up/);
    terminal.keys('q');
    expect(await terminal.end()).toBe('ended 0 restored');
  });
});

async function configOf({ configFile }: WeirProcess): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(configFile, 'utf8');
}

test('in a pipe: one table', async () => {
  const weir = await startWeir(weirConfig(useCluster()));
  try {
    const client = await connectPg(weir.url());
    await client.query('SELECT 1');
    const run = (...argv: string[]): Promise<string> =>
      new Promise((resolve, reject) => {
        execFile(process.execPath, [weirProgram, 'top', ...argv, '--url', weir.adminUrl()], (error, stdout) => {
          if (error === null) resolve(stdout);
          else reject(error);
        });
      });
    expect(await run()).toMatch(/^weir top - .*\n.*1 clients.*\n\ndatabase +user +node .*last_resize\npostgres +app /);
    expect(await run('--once', '--page', 'nodes')).toMatch(/\npostgres primary +primary +up /);
  } finally {
    await closeClients();
    await weir.stop();
  }
});
