/** The page: what is heard of Weir goes to its parts. */
import { Charts } from './charts.js';
import { showConnection, showHead } from './head.js';
import { PointStore } from './points.js';
import { Sections } from './sections.js';
import { listen } from './stream.js';

/** @typedef {import('../../src/observability/page/types.ts').Snapshot} Snapshot */

const [charts, sections, points] = [new Charts(), new Sections(), new PointStore()];
/** Resizes that were seen, by when and what. @type {Map<string, { atMs: number, what: string }>} */
const resizes = new Map();
/** @type {{ build: string | undefined, heardAtMs: number, lostAtMs: number }} */
const seen = { build: undefined, heardAtMs: 0, lostAtMs: 0 };

/** A pool has only its last one: those before stay in the chart for as long as the page is open. @param {Snapshot} snapshot */
function noteResizes({ pools, atMs }) {
  const oldest = atMs - points.slotMs * points.slotCount;
  for (const { database, user, node, lastResize } of pools.rows)
    if (lastResize !== null && lastResize.atMs > oldest)
      resizes.set(JSON.stringify([database, user, node, lastResize.atMs]), {
        atMs: lastResize.atMs,
        what: lastResize.why,
      });
  for (const [key, { atMs: when }] of resizes) if (when <= oldest) resizes.delete(key);
}

listen({
  onHello({ build, slotMs, slotCount }) {
    // Weir was replaced by another version: so is its page.
    if (seen.build !== undefined && seen.build !== build) return location.reload();
    seen.build = build;
    Object.assign(points, { slotMs, slotCount });
  },
  onUpdate({ snapshot, points: more, isAll, statements }) {
    points.add(more, isAll);
    seen.heardAtMs = snapshot.atMs;
    noteResizes(snapshot);
    showHead(snapshot);
    sections.show(snapshot);
    if (statements !== undefined) sections.statements.show(statements);
    const all = points.all();
    if (all !== undefined) charts.show(all, [...resizes.values()]);
  },
  onState: (problem) => showConnection(problem, seen.heardAtMs),
});
