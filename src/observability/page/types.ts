/**
 * What the page is sent, as JSON (docs/page.md): a snapshot each second, and the points of its charts. Types only, and of plain
 * data: the browser's code in web/ is checked against them. Times are epoch milliseconds, rates are those of the last ten seconds.
 */

/** Of the problems and the charts: the part of the page that has more about it. */
export type Section = 'charts' | 'pools' | 'nodes' | 'databases' | 'cache' | 'weir';

/** bad: clients notice. warn: they may soon, or something is not as it was configured. */
export interface Problem {
  readonly level: 'bad' | 'warn';
  readonly section: Section;
  readonly what: string;
  readonly why: string;
}

/** Columns of equal length. null: not known, or nothing to measure. Latencies and waits in ms, what is counted per second. */
export interface Points {
  readonly atMs: number[];
  readonly p50: (number | null)[];
  readonly p95: (number | null)[];
  readonly p99: (number | null)[];
  readonly primary: (number | null)[];
  readonly replica: (number | null)[];
  readonly cache: (number | null)[];
  readonly errors: (number | null)[];
  readonly unserved: (number | null)[];
  readonly waitP50: (number | null)[];
  readonly waitP95: (number | null)[];
  readonly waitP99: (number | null)[];
  readonly waits: (number | null)[];
  readonly longestWait: (number | null)[];
  readonly waiting: (number | null)[];
  readonly active: (number | null)[];
  readonly open: (number | null)[];
  readonly limit: (number | null)[];
  readonly clients: (number | null)[];
  readonly lag: (number | null)[];
  /** From 0 to 1. */
  readonly hitRate: (number | null)[];
}

/** Of the last ten seconds. */
export interface Traffic {
  readonly queries: number;
  readonly primary: number;
  readonly replica: number;
  readonly cache: number;
  readonly errors: number;
  readonly unserved: number;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

/** Since it is not known yet how fast it is, right after the page was opened, `traffic` may be null. */
export interface DatabaseRow {
  readonly name: string;
  readonly traffic: Traffic | null;
  readonly misroutes: number;
  readonly problem: string | null;
}

export interface ResizeRow {
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  readonly why: string;
}

export interface PoolRow {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  readonly mode: string;
  readonly active: number;
  readonly idle: number;
  readonly login: number;
  readonly limit: number;
  readonly min: number;
  readonly max: number;
  readonly pinned: number;
  readonly waiting: number;
  readonly maxWaitMs: number;
  readonly isPaused: boolean;
  readonly isOverloaded: boolean;
  readonly problem: string | null;
  readonly lastResize: ResizeRow | null;
}

export interface NodeRow {
  readonly database: string;
  readonly name: string;
  readonly address: string;
  readonly role: string;
  readonly state: 'up' | 'down' | 'ejected' | 'draining' | 'lagging' | 'trial';
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
  readonly outstanding: number;
  readonly slowdown: number | null;
  readonly version: string | null;
  readonly problem: string | null;
}

export interface CacheRow {
  readonly isEnabled: boolean;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly entries: number;
  readonly hits: number;
  readonly misses: number;
  readonly stores: number;
  readonly evictions: number;
  readonly invalidations: number;
  /** "up", "down" or "off". */
  readonly redis: string;
  readonly workers: string;
}

export interface ClientRow {
  readonly id: number;
  readonly database: string;
  readonly user: string;
  readonly application: string;
  readonly address: string;
  readonly state: string;
  /** Of its last request, and how long it has waited for a server. */
  readonly requestAtMs: number;
  readonly waitMs: number;
  readonly node: string;
  readonly pins: readonly string[];
  readonly lastRoute: string;
}

/** A statement with its literals replaced, of one user. Counts and times since Weir counts it. */
export interface StatementRow {
  readonly key: string;
  readonly database: string;
  readonly user: string;
  readonly text: string;
  readonly calls: number;
  readonly errors: number;
  readonly rows: number;
  readonly totalMs: number;
  readonly meanMs: number;
  readonly p95Ms: number | null;
  /** Of the total: before a server worked on it. */
  readonly waitMs: number;
  readonly hits: number;
  readonly misses: number;
  /** Who answered how many, in words. */
  readonly nodes: string;
}

export interface ForecastRow {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  readonly now: number;
  readonly predicted: number | null;
  readonly confidence: number;
  readonly why: string;
  readonly day: readonly number[];
}

export interface WeirRow {
  readonly version: string;
  readonly startedAtMs: number;
  readonly workers: number;
  readonly residentBytes: number;
  readonly memoryLimitBytes: number;
  readonly cpuBusy: number;
  readonly loopDelayMs: number;
}

/** The rows that are most worth a look, and how many there are of all. */
export interface Rows<T> {
  readonly rows: readonly T[];
  readonly total: number;
}

export interface TopStatements {
  readonly byTime: readonly StatementRow[];
  readonly byCalls: readonly StatementRow[];
  readonly byMisses: readonly StatementRow[];
}

export interface Snapshot {
  readonly atMs: number;
  readonly weir: WeirRow;
  readonly problems: readonly Problem[];
  readonly traffic: Traffic | null;
  readonly clientStates: Readonly<Record<string, number>>;
  readonly pools: Rows<PoolRow>;
  readonly nodes: Rows<NodeRow>;
  readonly databases: Rows<DatabaseRow>;
  readonly forecast: Rows<ForecastRow>;
  readonly cache: CacheRow;
  /** Absent where only figures are shown (http_page). */
  readonly clients?: Rows<ClientRow>;
}

/** The first event of a stream. `build` is another one after Weir was replaced by another version: the page loads itself anew. */
export interface Hello {
  readonly build: string;
  readonly slotMs: number;
  readonly slotCount: number;
}

/**
 * The other events. `points` are those of the last quarter of an hour, or the last few. `statements` is absent where nothing new is
 * known of them, and null where they are not to be seen: by http_page, or because they are not counted.
 */
export interface Update {
  readonly snapshot: Snapshot;
  readonly points: Points;
  readonly isAll: boolean;
  readonly statements?: TopStatements | null;
}
