/**
 * Has a process ended that is no child of this one? Used for the workers of a supervisor that has died.
 */
import { readFileSync } from 'node:fs';

/** True also for one that has ended and that nobody has waited for. @param pid 0: it was never started */
export function isProcessGone(pid: number): boolean {
  if (pid === 0) return true;
  try {
    process.kill(pid, 0);
  } catch {
    return true;
  }
  try {
    // Its name, which is in brackets, may have any character in it.
    const [, afterName = ''] = /^.*\)\s+(\S)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
    return afterName === 'Z' || afterName === 'X';
  } catch {
    // Not Linux, or it has ended meanwhile: asked again.
    return false;
  }
}
