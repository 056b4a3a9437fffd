/**
 * Measures lag without the servers' clocks: remembers which LSN the primary had reached when, by Weir's own monotonic
 * clock. A replica that replayed to x has everything the primary had at the last noted moment whose LSN is <= x. An
 * idle primary causes no lag; the lag of a standby that stopped replaying grows. Used by assess.ts.
 */

export interface LagHistory {
  /** The primary's WAL ended at `lsn` at some moment not before `atMs` (monotonic ms). */
  note(atMs: number, lsn: number): void;
  /** Monotonic ms of the last noted moment whose state a node that replayed to `lsn` has; -Infinity: not known. */
  caughtUpAt(lsn: number): number;
  /** Newest LSN noted; 0: none. */
  newestLsn(): number;
  clear(): void;
}

/**
 * Keeps at most `capacity` entries. When full it drops every other entry of the older half, which can only overstate
 * old lags.
 */
export function createLagHistory(capacity = 1024): LagHistory {
  let times: number[] = [];
  let lsns: number[] = [];

  function thin(): void {
    const half = times.length >>> 1;
    const keep = (_: number, index: number): boolean => index >= half || index % 2 === 0;
    times = times.filter(keep);
    lsns = lsns.filter(keep);
  }

  return {
    note(atMs, lsn) {
      // After a crash the insert position may be lower than before: entries above it are no longer valid.
      while (lsns.length > 0 && lsns[lsns.length - 1]! > lsn) {
        lsns.pop();
        times.pop();
      }
      const last = lsns.length - 1;
      if (last >= 0 && lsns[last] === lsn) {
        times[last] = Math.max(times[last]!, atMs);
        return;
      }
      if (times.length >= capacity) thin();
      times.push(atMs);
      lsns.push(lsn);
    },

    caughtUpAt(lsn) {
      let low = 0;
      let high = lsns.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (lsns[middle]! <= lsn) low = middle + 1;
        else high = middle;
      }
      return low === 0 ? -Infinity : times[low - 1]!;
    },

    newestLsn: () => lsns[lsns.length - 1] ?? 0,

    clear() {
      times = [];
      lsns = [];
    },
  };
}
