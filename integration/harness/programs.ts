/**
 * Finds and runs the programs of the machine that some tests need (psql, pgbench, redis-server, pgbouncer). What is not
 * there is undefined: the caller skips, saying so.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Debian keeps the programs of each PostgreSQL version apart; newest first. */
function debianDirs(): string[] {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return [];
  const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(root, version, 'bin'));
}

/** The full path of a program, or undefined when this machine has none. */
export function findProgram(name: string): string | undefined {
  const chosen = process.env['WEIR_TEST_PG_BIN'];
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const usual = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];
  const dirs = [...(chosen === undefined || chosen === '' ? [] : [chosen]), ...path, ...debianDirs(), ...usual];
  return dirs
    .filter((dir) => dir !== '')
    .map((dir) => join(dir, name))
    .find(isProgram);
}

/** 15, 18, ...: of psql, pg_dump and the like; undefined when there is none. */
export function majorVersionOf(name: string): number | undefined {
  const program = findProgram(name);
  if (program === undefined) return undefined;
  const version = /\d+/.exec(spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout ?? '');
  return version === null ? undefined : Number(version[0]);
}

/** The directory of Debian's that has servers of this version, or undefined. */
export function serverBin(majorVersion: number): string | undefined {
  const bin = `/usr/lib/postgresql/${majorVersion}/bin`;
  return isProgram(join(bin, 'postgres')) && isProgram(join(bin, 'initdb')) ? bin : undefined;
}

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, or kills it after `timeoutMs`; never throws for an exit code. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { input?: string; env?: Readonly<Record<string, string>>; cwd?: string; timeoutMs?: number } = {},
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: 'SIGKILL' }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined).end(options.input ?? '');
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/**
 * Runs statements through psql (unaligned, tuples only, no psqlrc, stops at the first error). Check
 * `findProgram('psql')` first and skip the test when there is none.
 */
export async function runPsql(url: string, sql: string, args: readonly string[] = []): Promise<ProgramResult> {
  const psql = findProgram('psql');
  if (psql === undefined) throw new Error('psql is not installed (Debian: apt-get install postgresql-client)');
  return runProgram(psql, ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', ...args, url], { input: sql });
}
