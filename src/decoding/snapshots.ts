/**
 * Which transactions a snapshot of the primary sees: the text of pg_current_snapshot(). A transaction is decoded when its commit
 * is in the WAL, which may be before other sessions see it. Pure functions. Used by unseen-commits.ts.
 */

/** Transaction IDs have 64 bits on the server; here they are numbers, exact up to 2^53. */
export interface Snapshot {
  /** All before it have ended. */
  readonly xmin: number;
  /** None from here on has ended. */
  readonly xmax: number;
  /** Those between that have not ended. */
  readonly running: ReadonlySet<number>;
}

/** @param text `xmin:xmax:xid,xid`. Throws RangeError for anything else. */
export function readSnapshot(text: string): Snapshot {
  const match = /^(\d{1,16}):(\d{1,16}):((?:\d{1,16})(?:,\d{1,16})*)?$/.exec(text);
  if (match === null) throw new RangeError(`not a snapshot: ${text.slice(0, 60)}`);
  const running = match[3] === undefined ? [] : match[3].split(',').map(Number);
  return { xmin: Number(match[1]), xmax: Number(match[2]), running: new Set(running) };
}

const era = 2 ** 32;

/** @returns the transaction with these low 32 bits that is nearest to the snapshot */
export function widen(xid: number, { xmax }: Pick<Snapshot, 'xmax'>): number {
  const full = xmax - (xmax % era) + xid;
  if (full > xmax + era / 2) return full - era;
  if (full < xmax - era / 2) return full + era;
  return full;
}

/** It has ended, so that whatever it has committed is visible. */
export function hasEnded(full: number, { xmin, xmax, running }: Snapshot): boolean {
  return full < xmin || (full < xmax && !running.has(full));
}
