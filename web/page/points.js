/** The points of the charts that were received, in the order of time, with a gap where Weir did not run. */

/** @typedef {import('../../src/observability/page/types.ts').Points} Points */
/** @typedef {Exclude<keyof Points, 'atMs'>} Name */

/** @type {readonly Name[]} */
const names = [
  ...['p50', 'p95', 'p99', 'primary', 'replica', 'cache', 'errors', 'unserved', 'waitP50', 'waitP95', 'waitP99'],
  ...['waits', 'longestWait', 'waiting', 'active', 'open', 'limit', 'clients', 'lag', 'hitRate'],
].map((name) => /** @type {Name} */ (name));

export class PointStore {
  constructor() {
    this.slotMs = 2_000;
    this.slotCount = 450;
    /** By time: the values in the order of `names`. @type {Map<number, (number | null)[]>} */
    this.rows = new Map();
  }

  /** @param {Points} points @param {boolean} isAll */
  add(points, isAll) {
    if (isAll) this.rows.clear();
    for (const [i, atMs] of points.atMs.entries())
      this.rows.set(
        atMs,
        names.map((name) => points[name][i] ?? null),
      );
    const newest = Math.max(...this.rows.keys());
    for (const atMs of this.rows.keys()) if (atMs <= newest - this.slotMs * this.slotCount) this.rows.delete(atMs);
  }

  /** Of the whole quarter of an hour, whether there is something or not. @returns {Points | undefined} */
  all() {
    if (this.rows.size === 0) return undefined;
    const newest = Math.max(...this.rows.keys());
    const atMs = Array.from({ length: this.slotCount }, (_, i) => newest - (this.slotCount - 1 - i) * this.slotMs);
    const columns = names.map((name, i) => [name, atMs.map((each) => this.rows.get(each)?.[i] ?? null)]);
    return /** @type {Points} */ ({ atMs, ...Object.fromEntries(columns) });
  }
}
