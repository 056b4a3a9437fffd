/**
 * What Weir said at one moment, with the rates since the moment before: counters of SHOW STATS and SHOW WORKERS only grow, so a
 * rate is a difference over time. Pure. Used by pages.ts, layout.ts and feed.ts.
 */

export type Row = Readonly<Record<string, string | number | boolean | null>>;

/** The rows by the command that gave them. */
export type Tables = Readonly<Record<string, readonly Row[]>>;

/** What one look has brought. */
export interface Look {
  readonly tables: Tables;
  /** What the console has said in place of rows, by the command: an older Weir does not know it. */
  readonly refusals: Readonly<Record<string, string>>;
  readonly atMs: number;
  /** Counts connections: ids and counters of one say nothing about those of another, which may be to another Weir. */
  readonly connection: number;
}

export interface Frame extends Look {
  /** Seconds since the frame before, with its counters by database; undefined for the first one after a connect. */
  readonly since: { readonly seconds: number; readonly stats: ReadonlyMap<string, Row> } | undefined;
  /** By process id. */
  readonly cpuPercent: ReadonlyMap<string, number>;
}

export function frameOf(look: Look, before: Frame | undefined): Frame {
  const { tables } = look;
  const seconds = before?.connection === look.connection ? (look.atMs - before.atMs) / 1_000 : 0;
  if (before === undefined || seconds <= 0) return { ...look, since: undefined, cpuPercent: new Map() };
  const by = (rows: readonly Row[] | undefined, key: string): Map<string, Row> =>
    new Map((rows ?? []).map((row) => [String(row[key]), row]));
  const workersBefore = by(before.tables['SHOW WORKERS'], 'pid');
  const cpuPercent = new Map<string, number>();
  for (const row of tables['SHOW WORKERS'] ?? []) {
    const used = difference(row, workersBefore.get(String(row['pid'])), 'cpu_seconds');
    if (used !== null) cpuPercent.set(String(row['pid']), Math.round((used / seconds) * 100));
  }
  return { ...look, since: { seconds, stats: by(before.tables['SHOW STATS'], 'database') }, cpuPercent };
}

/** Null where there is nothing to compare: another process, or a worker that has ended has taken its counts with it. */
function difference(now: Row, before: Row | undefined, counter: string): number | null {
  const [from, to] = [before?.[counter], now[counter]];
  if (typeof from !== 'number' || typeof to !== 'number' || to < from) return null;
  return to - from;
}

const counters = {
  'queries/s': ['total_query_count', 'avg_query_count'],
  'xacts/s': ['total_xact_count', 'avg_xact_count'],
  'replica/s': ['to_replica', undefined],
  'primary/s': ['to_primary', undefined],
  'cache/s': ['from_cache', undefined],
  'errors/s': ['errors', undefined],
  'received/s': ['total_received', 'avg_recv'],
  'sent/s': ['total_sent', 'avg_sent'],
} as const;

const times = {
  query_ms: ['total_query_time', 'total_query_count', 'avg_query_time'],
  xact_ms: ['total_xact_time', 'total_xact_count', 'avg_xact_time'],
} as const;

/** One row per database. Without a frame before, the averages of the last minute that Weir itself has. */
export function counterRates({ tables, since }: Frame): readonly Row[] {
  return (tables['SHOW STATS'] ?? []).map((now) => {
    const before = since?.stats.get(String(now['database']));
    const row: Record<string, Row[string]> = { ...now };
    for (const [title, [counter, average]] of Object.entries(counters)) {
      const grown = difference(now, before, counter);
      const fallback = since !== undefined || average === undefined ? null : (now[average] ?? null);
      row[title] = grown === null || since === undefined ? fallback : rounded(grown / since.seconds);
    }
    for (const [title, [time, count, average]] of Object.entries(times)) {
      const [us, events] = [difference(now, before, time), difference(now, before, count)];
      const averageUs = since !== undefined ? null : numberOrNull(now[average]);
      const eachUs = us === null || events === null || events === 0 ? averageUs : us / events;
      row[title] = eachUs === null ? null : rounded(eachUs / 1_000);
    }
    const waited = difference(now, before, 'total_wait_time');
    row['wait_ms'] = waited === null || since === undefined ? null : rounded(waited / 1_000 / since.seconds);
    return row;
  });
}

const numberOrNull = (value: Row[string] | undefined): number | null => (typeof value === 'number' ? value : null);

/** Three digits are enough to read. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

export interface Summary {
  readonly clients: number;
  readonly waiting: number;
  readonly maxwaitMs: number;
  readonly serversActive: number;
  readonly servers: number;
  readonly queriesPerSecond: number;
  readonly xactsPerSecond: number;
}

export function summaryOf(frame: Frame): Summary {
  const pools = frame.tables['SHOW POOLS'] ?? [];
  const stats = counterRates(frame);
  const sum = (rows: readonly Row[], ...titles: readonly string[]): number =>
    rows.reduce((all, row) => all + titles.reduce((each, title) => each + Number(row[title] ?? 0), 0), 0);
  const waits = pools.map((row) => Number(row['maxwait'] ?? 0) * 1_000 + Number(row['maxwait_us'] ?? 0) / 1_000);
  return {
    clients: sum(frame.tables['SHOW DATABASES'] ?? [], 'current_client_connections'),
    waiting: sum(pools, 'cl_waiting'),
    maxwaitMs: Math.round(waits.reduce((most, wait) => Math.max(most, wait), 0)),
    serversActive: sum(pools, 'sv_active'),
    servers: sum(pools, 'sv_active', 'sv_idle', 'sv_login', 'sv_tested'),
    queriesPerSecond: rounded(sum(stats, 'queries/s')),
    xactsPerSecond: rounded(sum(stats, 'xacts/s')),
  };
}
