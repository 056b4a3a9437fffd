/**
 * The setting `pidfile`: a file with the process ID, from before Weir listens until it ends. As in PgBouncer, a file of a process
 * that lives is not taken, and one that was left behind is replaced. Called by serve.ts.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { whyUnwritable } from './unwritable.ts';

/** Of the process that has the file, if it lives. */
export function ownerOfPidfile(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'latin1'), 10);
    if (!(pid > 0)) return undefined;
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM') return Number.parseInt(readFileSync(file, 'latin1'), 10);
    return undefined;
  }
}

/**
 * @returns removes it
 * @throws Error that tells the operator what to do
 */
export function takePidfile(file: string | undefined): () => void {
  if (file === undefined) return () => undefined;
  const owner = ownerOfPidfile(file);
  if (owner !== undefined && owner !== process.pid) {
    throw new Error(`pidfile ${file}: process ${owner} has it: is another Weir running?`);
  }
  const text = `${process.pid}\n`;
  try {
    rmSync(file, { force: true });
    writeFileSync(file, text, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    throw new Error(`pidfile ${file}: ${whyUnwritable(file, error)}`, { cause: error });
  }
  return () => {
    try {
      if (readFileSync(file, 'latin1') === text) rmSync(file, { force: true });
    } catch {
      // It is gone already, or its directory is.
    }
  };
}
