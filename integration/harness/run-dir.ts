/**
 * The directory that everything of one run lives in, and the watchdog that empties it when this process dies. A run
 * that was started by another process (WEIR_TEST_RUN_DIR is set) gets a directory inside that one's. Leftovers of runs whose
 * owner was killed together with its watchdog are swept at the next start.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processesOf } from '../../scripts/lib/processes.mjs';

export const RUN_DIR_VARIABLE = 'WEIR_TEST_RUN_DIR';
const PREFIX = 'weir-run-';

/** Who PostgreSQL runs as: undefined = as this process's own user (PostgreSQL refuses to run as root). */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The root of the checkout, found from this file: it runs from integration/harness and from dist/harness. */
export const checkoutDir = findCheckout();

function findCheckout(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) {
    if (dir === dirname(dir)) throw new Error('no package.json above the harness');
    dir = dirname(dir);
  }
  return dir;
}

/** The unprivileged user that servers are started as when this process is root; undefined when it is not. */
export function findServerUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string, name: string): number => Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout);
  for (const name of ['postgres', 'nobody']) {
    if (spawnSync('id', ['-u', name]).status !== 0) continue;
    return { name, uid: id('-u', name), gid: id('-g', name) };
  }
  throw new Error('PostgreSQL refuses to run as root, and this machine has neither a user "postgres" nor "nobody"');
}

/** Whether that user can get at a path: -x for a directory or program, -r for a file. */
export function canReach(user: ServerUser | undefined, path: string, test: '-x' | '-r' = '-x'): boolean {
  const as = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  return spawnSync('/bin/sh', ['-c', 'test "$1" "$2"', 'sh', test, path], { ...as, cwd: '/' }).status === 0;
}

/** One run: a directory, and a list of what must not outlive this process. */
export class RunDir {
  readonly dir: string;
  readonly user: ServerUser | undefined;
  readonly #watchdog: ChildProcess;

  constructor(dir: string, user: ServerUser | undefined) {
    this.dir = dir;
    this.user = user;
    this.#watchdog = spawn(process.execPath, [join(checkoutDir, 'scripts/lib/watchdog.mjs')], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
    });
    this.#watchdog.stdin?.on('error', () => undefined);
    this.#watchdog.unref();
    (this.#watchdog.stdin as { unref?: () => void } | null)?.unref?.();
    this.#tell(`dir ${dir}`);
  }

  /** From now on the process dies with this one. */
  watch(pid: number): void {
    this.#tell(`pid ${pid}`);
  }

  /** The process has ended: its number may be another's by now. */
  unwatch(pid: number): void {
    this.#tell(`gone ${pid}`);
  }

  /** Removes the directory now; the watchdog has nothing left to do and ends. */
  async remove(): Promise<void> {
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    this.#tell(`kept ${this.dir}`);
    this.#watchdog.ref();
    const ended = new Promise((resolve) => this.#watchdog.once('exit', resolve));
    this.#watchdog.stdin?.end();
    await ended;
  }

  #tell(line: string): void {
    this.#watchdog.stdin?.write(`${line}\n`);
  }
}

/** Makes the directory of a run, readable for the servers' user. */
export function openRunDir(): RunDir {
  const user = findServerUser();
  const outer = process.env[RUN_DIR_VARIABLE];
  if (outer !== undefined && existsSync(outer)) return new RunDir(makeDir(outer), user);
  const parent = [tmpdir(), '/tmp', '/var/tmp'].find((dir) => existsSync(dir) && canReach(user, dir));
  if (parent === undefined) throw new Error(`no temporary directory that user "${user?.name ?? ''}" can reach`);
  sweep(parent);
  return new RunDir(makeDir(parent), user);
}

function makeDir(parent: string): string {
  // The real path: processes are recognised by it later.
  const dir = mkdtempSync(join(realpathSync(parent), PREFIX));
  chmodSync(dir, 0o755);
  writeFileSync(join(dir, 'owner.pid'), String(process.pid));
  return dir;
}

function sweep(parent: string): void {
  for (const name of readdirSync(parent)) {
    const dir = join(parent, name);
    if (!name.startsWith(PREFIX) || ownerIsAlive(dir)) continue;
    for (const { pid } of processesOf(dir)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Another user's, or gone.
      }
    }
    try {
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    } catch {
      // Another user's.
    }
  }
}

function ownerIsAlive(dir: string): boolean {
  try {
    process.kill(Number(readFileSync(join(dir, 'owner.pid'), 'utf8')), 0);
    return true;
  } catch (error) {
    // EPERM: alive, but another user's. No file: only just being made, or not ours to judge.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

let current: RunDir | undefined;

/** The run directory of this process, made at the first call; the watchdog removes it when the process ends. */
export function currentRun(): RunDir {
  current ??= openRunDir();
  return current;
}
