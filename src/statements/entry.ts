/**
 * The counters of one statement of one user in one database. Counting allocates nothing. Kept by stats.ts.
 */
import type { StatementText } from './text.ts';
import { statementBoundsMs, statementBucketOf, type StatementEnd, type StatementFigures } from './types.ts';

/** Of each node by name; further ones are counted together. */
const mostNodes = 16;
const otherNodes = 'other';

export class Entry {
  readonly database: string;
  readonly user: string;
  readonly text: StatementText;
  /** Epoch ms. */
  private readonly sinceMs: number;
  private readonly durations = new Float64Array(statementBoundsMs.length + 1);
  /** Calls; the times in the order of `times`. One array each, so that counting makes no new numbers. */
  private readonly counts = new Float64Array(5);
  private readonly times = new Float64Array(3);
  private readonly nodeNames: string[] = [];
  private readonly nodeCalls: number[] = [];
  /** How much it is used: less with each eviction of others (stats.ts). */
  usage = 0;
  /** It was evicted: what is found by way of it counts nowhere. */
  isGone = false;

  constructor(database: string, user: string, text: StatementText, sinceMs: number) {
    this.database = database;
    this.user = user;
    this.text = text;
    this.sinceMs = sinceMs;
  }

  count(end: Readonly<StatementEnd>): void {
    const { counts, times } = this;
    const { waitMs, serverMs, cache } = end;
    const ms = waitMs + serverMs;
    this.usage++;
    add(counts, calls, 1);
    if (end.hasError) add(counts, errors, 1);
    add(counts, rows, end.rows);
    if (cache === 'hit') add(counts, hits, 1);
    else if (cache === 'miss') add(counts, misses, 1);
    add(times, wait, waitMs);
    add(times, server, serverMs);
    if (ms > (times[most] as number)) times[most] = ms;
    add(this.durations, statementBucketOf(ms), 1);
    this.countNode(end.node);
  }

  private countNode(name: string): void {
    const { nodeNames, nodeCalls } = this;
    let at = nodeNames.indexOf(name);
    if (at === -1) {
      const isRoom = nodeNames.length < mostNodes;
      at = isRoom ? nodeNames.length : nodeNames.length - 1;
      nodeNames[at] = isRoom && at < mostNodes - 1 ? name : otherNodes;
    }
    nodeCalls[at] = (nodeCalls[at] ?? 0) + 1;
  }

  /** To be read, or cloned, at once: `durations` goes on counting. */
  figures(): StatementFigures {
    const { database, user, text, counts, times, sinceMs, durations, nodeNames } = this;
    const [count = 0, failed = 0, rowCount = 0, hit = 0, miss = 0] = counts;
    const [waitMs = 0, serverMs = 0, maxMs = 0] = times;
    const nodes: Record<string, number> = {};
    for (const [at, name] of nodeNames.entries()) nodes[name] = this.nodeCalls[at] ?? 0;
    const [queryId, query, totalMs] = [text.id, text.text, waitMs + serverMs];
    const figures = { database, user, queryId, query, calls: count, errors: failed, rows: rowCount, totalMs, maxMs };
    return Object.assign(figures, { waitMs, serverMs, cacheHits: hit, cacheMisses: miss, sinceMs, durations, nodes });
  }
}

/** Places in `counts`. */
const [calls, errors, rows, hits, misses] = [0, 1, 2, 3, 4];
/** Places in `times`. */
const [wait, server, most] = [0, 1, 2];

function add(list: Float64Array, place: number, by: number): void {
  list[place] = (list[place] as number) + by;
}
