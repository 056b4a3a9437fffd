/**
 * Reads and writes the state file of forecasts. What cannot be read is kept aside; what is written is complete, or not there.
 * Never throws. Used by forecasting.ts.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { decodeState } from './state-format.ts';
import type { PoolForecastState } from './types.ts';

/** A thousand pools have about 4 MB. */
const largestBytes = 32 * 1024 * 1024;
const unwritten = 'so nothing is written there';

export interface ReadState {
  readonly pools: readonly PoolForecastState[];
  /** Why it is not used, and what became of it. */
  readonly problem: string | undefined;
  /** What is in the file is of use to somebody and could not be kept aside: it must not be overwritten. */
  readonly isReadOnly: boolean;
}

export function readState(path: string, nowMs: number): ReadState {
  let why: string;
  try {
    const stats = statSync(path);
    // A device never ends, a pipe may never answer, and what is in a directory is of use to others.
    if (!stats.isFile()) return { pools: [], problem: `it is no regular file, ${unwritten}`, isReadOnly: true };
    const read =
      stats.size > largestBytes ? { problem: 'it is too large' } : decodeState(readFileSync(path, 'utf8'), nowMs);
    if ('pools' in read) return { pools: read.pools, problem: undefined, isReadOnly: false };
    why = read.problem;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { pools: [], problem: undefined, isReadOnly: false };
    why = `it cannot be read (${codeOf(error)})`;
  }
  const aside = `${path}.corrupt`;
  try {
    renameSync(path, aside);
    return { pools: [], problem: `${why}; it is kept as ${aside}`, isReadOnly: false };
  } catch (error) {
    const stays = `it cannot be renamed (${codeOf(error)}), ${unwritten}`;
    return { pools: [], problem: `${why}; ${stays}`, isReadOnly: true };
  }
}

/** @returns why it failed; undefined: it is written. @param isWanted false: a later state is written already */
export async function writeState(path: string, text: string, isWanted: () => boolean): Promise<string | undefined> {
  const draft = `${path}.tmp`;
  try {
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    if (isWanted()) await rename(draft, path);
    else await rm(draft, { force: true });
    return undefined;
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    return codeOf(error);
  }
}

/** The same at once, at the end of the process. */
export function writeStateNow(path: string, text: string): string | undefined {
  const draft = `${path}.tmp-end`;
  try {
    const file = openSync(draft, 'w', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
    return undefined;
  } catch (error) {
    try {
      rmSync(draft, { force: true });
    } catch {
      // It says the same as the first error.
    }
    return codeOf(error);
  }
}

function codeOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  return code ?? (error instanceof Error ? error.message : String(error));
}
