/**
 * PostgreSQL's own regression suite (src/test/regress of its source) and one run of it against an address: what
 * pg_regress does, file by file through psql, without an opinion about what should come out.
 */
import { spawn } from 'node:child_process';
import { closeSync, cpSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { RunDir } from '../integration/harness/run-dir.ts';
import { serverDir, SUPERUSER } from '../integration/harness/template.ts';

export const DATABASE = 'regression';
/** How long one file may take before it counts as hanging. */
const patienceMs = 180_000;

export interface Suite {
  /** Its files, where the server can read them. */
  readonly dir: string;
  /** Names of files that may run at the same time, in the order of the schedule. */
  readonly groups: readonly (readonly string[])[];
}

/** Reads the schedule and copies what the server must be able to read. */
export function openSuite(source: string, run: RunDir): Suite {
  const schedule = join(source, 'parallel_schedule');
  if (!existsSync(schedule)) throw new Error(`${source} has no parallel_schedule: it is not src/test/regress`);
  const groups: string[][] = [];
  for (const line of readFileSync(schedule, 'utf8').split('\n')) {
    const names = /^test:(.*)$/.exec(line)?.[1]?.trim().split(/\s+/) ?? [];
    const present = names.filter((name) => existsSync(join(source, 'sql', `${name}.sql`)));
    if (present.length > 0) groups.push(present);
  }
  if (groups.length === 0) throw new Error(`${source} has no files in sql/: take them from the source of PostgreSQL`);
  const dir = serverDir(run, 'suite');
  for (const part of ['sql', 'data']) cpSync(join(source, part), join(dir, part), { recursive: true });
  // Functions in C that some files call; without it they fail alike on both ways.
  if (existsSync(join(source, 'regress.so'))) cpSync(join(source, 'regress.so'), join(dir, 'regress.so'));
  return { dir: serverDir(run, 'suite'), groups };
}

/** Makes the database as pg_regress does. `port`: of the server itself. */
export async function createRegressionDatabase(port: number): Promise<void> {
  const admin = new pg.Client({ host: '127.0.0.1', port, user: SUPERUSER, database: 'postgres' });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${DATABASE} TEMPLATE template0`);
  const settings = {
    ...{ lc_messages: 'C', lc_monetary: 'C', lc_numeric: 'C', lc_time: 'C' },
    ...{ bytea_output: 'hex', timezone_abbreviations: 'Default' },
  };
  for (const [name, value] of Object.entries(settings)) {
    await admin.query(`ALTER DATABASE ${DATABASE} SET ${name} TO '${value}'`);
  }
  await admin.end();
}

export interface RunOptions {
  readonly suite: Suite;
  readonly psql: string;
  readonly port: number;
  /** Where the output of each file goes. */
  readonly results: string;
  /** Where server and psql may write to. */
  readonly build: string;
  /** Every line of the schedule at once instead of one file after the other. */
  readonly isParallel: boolean;
  readonly only: ReadonlySet<string>;
  progress(name: string): void;
}

/** Runs the suite; returns the names of the files that did not end in time. */
export async function runSuite(options: RunOptions): Promise<string[]> {
  const { suite, isParallel, only } = options;
  const hung: string[] = [];
  for (const group of suite.groups) {
    const names = only.size === 0 ? group : group.filter((name) => only.has(name));
    const batches = isParallel ? [names] : names.map((name) => [name]);
    for (const batch of batches) {
      const ended = await Promise.all(batch.map((name) => runFile(options, name)));
      batch.forEach((name, i) => {
        if (ended[i] !== true) hung.push(name);
      });
    }
  }
  return hung;
}

function environment(options: RunOptions, name: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([key]) => !key.startsWith('PG') && !key.startsWith('LC_'));
  return {
    ...Object.fromEntries(kept),
    ...{ PGHOST: '127.0.0.1', PGPORT: String(options.port), PGUSER: SUPERUSER, PGAPPNAME: `pg_regress/${name}` },
    ...{ PGTZ: 'PST8PDT', PGDATESTYLE: 'Postgres, MDY', PGOPTIONS: '-c intervalstyle=postgres_verbose' },
    ...{ LC_MESSAGES: 'C', PG_ABS_SRCDIR: options.suite.dir, PG_ABS_BUILDDIR: options.build },
    ...{ PG_LIBDIR: options.suite.dir, PG_DLSUFFIX: '.so' },
  };
}

function runFile(options: RunOptions, name: string): Promise<boolean> {
  options.progress(name);
  const input = openSync(join(options.suite.dir, 'sql', `${name}.sql`), 'r');
  const output = openSync(join(options.results, `${name}.out`), 'w');
  const hidden = ['-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on'];
  return new Promise((resolve, reject) => {
    const child = spawn(options.psql, ['-X', '-a', '-q', '-d', DATABASE, ...hidden], {
      stdio: [input, output, output],
      env: environment(options, name),
      cwd: options.suite.dir,
    });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, patienceMs);
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(timer);
      closeSync(input);
      closeSync(output);
      resolve(!isLate);
    });
  });
}
