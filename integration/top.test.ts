/**
 * `weir top` in a pseudo terminal, against a real Weir: pages, rates, disconnecting a client, a restart of Weir, and the terminal as
 * it was afterwards, however it ends. Needs python3 for the pseudo terminal.
 */
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import xterm from '@xterm/headless';
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

/** A command in a pseudo terminal, whose screen xterm has. */
class InTerminal {
  private output = '';
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private readonly xterm: xterm.Terminal;

  constructor(url: string, env: Readonly<Record<string, string>> = {}, columns = 80, rows = 24) {
    this.xterm = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
    const command = [process.execPath, weirProgram, 'top', '--delay', '0.2', '--url', url];
    this.child = spawn('python3', [program, String(columns), String(rows), ...command], {
      env: { ...process.env, TERM: 'xterm-256color', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      this.xterm.write(text);
    });
    this.ended = new Promise((resolve) => this.child.once('close', () => resolve()));
  }

  keys(text: string): void {
    this.child.stdin?.write(`keys ${Buffer.from(text).toString('hex')}\n`);
  }

  resize(columns: number, rows: number): void {
    this.xterm.resize(columns, rows);
    this.child.stdin?.write(`size ${columns} ${rows}\n`);
  }

  get all(): string {
    return this.output;
  }

  get pid(): number {
    return Number(/^pid (\d+)/.exec(this.output)?.[1]);
  }

  get screen(): string[] {
    const { active } = this.xterm.buffer;
    return Array.from({ length: this.xterm.rows }, (_, row) => {
      return active.getLine(active.baseY + row)?.translateToString(true) ?? '';
    });
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

  /** Is the process stopped? */
  async isStopped(): Promise<boolean> {
    return /^State:\s+T/m.test(await readFile(`/proc/${this.pid}/status`, 'utf8'));
  }

  kill(): void {
    this.child.stdin?.end();
    this.xterm.dispose();
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

  test('pages, rates, a filter, a row in full, and q', async () => {
    const client = await connectPg(weir.url());
    await client.query('SELECT 1');
    const terminal = top();
    await terminal.shows('[pools]');
    await terminal.shows(/postgres +app +(primary|replica)/);
    terminal.keys('2');
    await terminal.shows(/replica1 +replica +up/);
    terminal.keys('/primary\r');
    await terminal.shows(/2 more without \/primary/);
    terminal.keys('\r');
    await terminal.shows(/server_version +\d/);
    terminal.keys('\r\u001b');
    await terminal.shows('row 1 of 3');
    terminal.keys('6');
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

  test('an arrow whose bytes come one by one', async () => {
    const terminal = top();
    terminal.keys('2');
    await terminal.shows('row 1 of 3');
    for (const byte of ['\u001b', '[', 'B']) {
      const before = terminal.all.length;
      terminal.keys(byte);
      // The terminal has the byte, and nothing was made of it.
      if (byte !== 'B') expect(terminal.all.slice(before)).not.toContain('row 2');
    }
    await terminal.shows('row 2 of 3');
    terminal.keys('q');
    expect(await terminal.end()).toBe('ended 0 restored');
  });

  test('k asks, and y disconnects that client', async () => {
    const client = await connectPg(weir.url(), { application_name: 'victim' });
    const lost = new Promise<unknown>((resolve) => client.on('error', resolve));
    const other = await connectPg(weir.url(), { application_name: 'bystander' });
    const terminal = top();
    await terminal.shows('[pools]');
    terminal.keys('4');
    await terminal.shows('row 1 of 2');
    terminal.keys('/victim\r');
    await terminal.shows(/1 more without \/victim/);
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
    await terminal.shows(/1 more without \/victim/);
    expect((await other.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    terminal.keys('\u0003');
    expect(await terminal.end()).toBe('ended 0 restored');
  });

  test('a client that names itself with escape sequences and wide characters', async () => {
    const evil = await connectPg(weir.url(), { application_name: 'x\u001b[2J\u001b]0;owned\u0007' });
    const wide = await connectPg(weir.url(), { application_name: '日本語' });
    const terminal = top({}, 200, 20);
    await terminal.shows('[pools]');
    terminal.keys('4');
    await terminal.shows(/\[2J.*owned/);
    await terminal.shows('日本語');
    // Only what weir top itself uses: styles, positions, erasing, modes.

    const others = terminal.all
      .replace(/\u001b\[(?:[\d;]*[mHGK]|2J|\?(?:1049|25|7)[hl])/g, '')
      .match(/[\u001b\u0007]/g);
    expect(others).toBeNull();
    terminal.keys('q');
    expect(await terminal.end()).toBe('ended 0 restored');
    await Promise.all([evil.end(), wide.end()]);
  });

  test('a narrow terminal, resized, without colour', async () => {
    const terminal = top({ NO_COLOR: '1' }, 40, 12);
    await terminal.shows('1[pools] 2 3 4 5 6');
    terminal.resize(100, 30);
    await terminal.shows('1 [pools]  2 nodes');
    await until('the bottom line is the last', () => /^q quit/.test(terminal.screen[29] ?? ''));
    terminal.resize(60, 10);
    await until('the bottom line is the last', () => /^q quit/.test(terminal.screen[9] ?? ''));
    expect(terminal.all).not.toMatch(/\[(?:\d+;)*[34]\d(?:;\d+)*m/);
    terminal.keys('q');
    expect(await terminal.end()).toBe('ended 0 restored');
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)('%s leaves the terminal as it was', async (signal) => {
    const terminal = top();
    await terminal.shows('[pools]');
    process.kill(terminal.pid, signal);
    expect(await terminal.end()).toBe('ended 0 restored');
    expect(terminal.all).toContain(left);
  });

  test('a crash leaves the terminal as it was, and says what it was', async () => {
    const crash = "process.on('SIGUSR2', () => { throw new Error('a fault of the test') })";
    const terminal = top({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(crash)}` });
    await terminal.shows('[pools]');
    process.kill(terminal.pid, 'SIGUSR2');
    expect(await terminal.end()).toBe('ended 1 restored');
    expect(terminal.all.slice(terminal.all.lastIndexOf(left))).toContain('a fault of the test');
  });

  test.skipIf(!existsSync('/proc/self/status'))('SIGTSTP gives the terminal back, SIGCONT takes it again', async () => {
    const terminal = top();
    await terminal.shows('[pools]');
    process.kill(terminal.pid, 'SIGTSTP');
    await until('the terminal is given back', () => terminal.all.includes(left));
    // A process without a shell above it goes on; else somebody continues it.
    if (await terminal.isStopped()) process.kill(terminal.pid, 'SIGCONT');
    await until(
      'the terminal is taken again',
      () => terminal.all.lastIndexOf('\u001b[?1049h') > terminal.all.indexOf(left),
    );
    await terminal.shows('[pools]');
    terminal.keys('q');
    expect(await terminal.end()).toBe('ended 0 restored');
  });

  test('says that Weir is gone, withdraws a question, and goes on when it is back', async () => {
    const client = await connectPg(weir.url());
    client.on('error', () => undefined);
    const terminal = top();
    await terminal.shows('[pools]');
    terminal.keys('4');
    await terminal.shows('row 1 of 1');
    terminal.keys('k');
    await terminal.shows(/disconnect client \d+/);
    await weir.kill();
    await terminal.shows('NO ANSWER since');
    weir = await startWeir(await readFile(weir.configFile, 'utf8'));
    await terminal.shows('Weir answers again; nobody was disconnected');
    terminal.keys('y2');
    await terminal.shows(/primary +primary +up/);
    terminal.keys('q');
    expect(await terminal.end()).toBe('ended 0 restored');
  });
});

describe('without a terminal', () => {
  test('one table, or several, and a word about it', async () => {
    const weir = await startWeir(weirConfig(useCluster()));
    try {
      const client = await connectPg(weir.url());
      await client.query('SELECT 1');
      const run = (...argv: string[]): Promise<{ stdout: string; stderr: string }> =>
        promisify(execFile)(process.execPath, [weirProgram, 'top', ...argv, '--url', weir.adminUrl()]);
      const piped = await run();
      expect(piped.stdout).toMatch(
        /^weir top - .*\n.*1 clients.*\n\ndatabase +user +node .*last_resize\npostgres +app /,
      );
      expect(piped.stderr).toContain('is no terminal: this is one table; --batch prints');
      const nodes = await run('--once', '--page', 'nodes');
      expect(nodes).toMatchObject({ stdout: expect.stringMatching(/\npostgres primary +primary +up /) as string });
      expect(nodes.stderr).toBe('');
      const twice = await run('-b', '-n', '2', '-d', '0.1');
      expect(twice.stdout.match(/^weir top - /gm)).toHaveLength(2);
      // The second has rates.
      expect(twice.stdout).toMatch(/\n\nweir top .*\n\d[\d.]* queries\/s/);
    } finally {
      await closeClients();
      await weir.stop();
    }
  });
});
