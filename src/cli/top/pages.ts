/**
 * The pages of `weir top`: which SHOW a page reads, its columns, in the order of their importance, and which rows need attention. Used
 * by layout.ts, details.ts, keys.ts and feed.ts.
 */
import { counterRates, type Frame, type Row } from './frame.ts';

export const pageNames = ['pools', 'nodes', 'statements', 'clients', 'servers', 'databases', 'workers'] as const;
export type PageName = (typeof pageNames)[number];

export type Value = string | number | null;

export interface Column {
  readonly title: string;
  /** A sentence: it stands at the end of the line, and gets the room that is left. */
  readonly isLong?: boolean;
  value(row: Row): Value;
}

export interface Page {
  /** The SHOW that only this page needs; feed.ts reads those of the summary for every page. */
  readonly command: string;
  /** A narrow terminal has the first ones that fit. */
  columns(frame: Frame): readonly Column[];
  /** So many columns name the row; they do not move with the arrows to the left and right. */
  readonly names: number;
  rows(frame: Frame): readonly Row[];
  /** The same for a row in the next frame. */
  keyOf(row: Row): string;
  isNotable(row: Row): boolean;
}

function plain(...titles: readonly string[]): Column[] {
  return titles.map((title) => ({ title, value: (row) => cell(row[title]) }));
}

const long = (...titles: readonly string[]): Column[] =>
  plain(...titles).map((column) => ({ ...column, isLong: true }));
const cell = (value: Row[string] | undefined): Value => (typeof value === 'boolean' ? String(value) : (value ?? null));
const numberOf = (value: Row[string] | undefined): number => Number(value ?? 0);

/** PgBouncer has seconds and the microseconds of the last one in two columns. */
function waitMs(title: string, seconds: string, microseconds: string): Column {
  return { title, value: (row) => numberOf(row[seconds]) * 1_000 + Math.round(numberOf(row[microseconds]) / 1_000) };
}

/** "2026-03-01 12:00:00 UTC": the time of day is enough. */
function timeOfDay(title: string): Column {
  return { title, value: (row) => /\d\d:\d\d:\d\d/.exec(String(row[title] ?? ''))?.[0] ?? null };
}

const megabytes: Column = {
  title: 'memory_mb',
  value: ({ memory_bytes: bytes }) => (typeof bytes === 'number' ? Math.round(bytes / 1_048_576) : null),
};

const joined = (row: Row, ...titles: readonly string[]): string =>
  titles.map((title) => String(row[title] ?? '')).join('\n');

const rowsOf =
  (command: string) =>
  ({ tables }: Frame): readonly Row[] =>
    tables[command] ?? [];

const fixed = (columns: readonly Column[]) => (): readonly Column[] => columns;

/** As SHOW STATEMENTS has them: numbers first, the text of the statement last. */
function statementColumns({ tables }: Frame): readonly Column[] {
  const [row = {}] = tables['SHOW STATEMENTS'] ?? [];
  const titles = Object.keys(row).filter((title) => title !== 'query' && title !== 'calls');
  const isFigure = (title: string): boolean => !/^(database|user|query_?id|since)$/.test(title);
  const figures = titles.filter(isFigure);
  return [...plain('calls', ...figures), ...long('query'), ...plain(...titles.filter((title) => !isFigure(title)))];
}

export const pages: Readonly<Record<PageName, Page>> = {
  pools: {
    command: 'SHOW POOLS',
    columns: fixed([
      ...plain('database', 'user', 'node', 'cl_waiting', 'cl_active', 'sv_active', 'limit'),
      waitMs('maxwait_ms', 'maxwait', 'maxwait_us'),
      ...plain('sv_idle', 'max', 'min', 'pinned', 'avg_wait_us', 'sv_login', 'overloaded', 'paused', 'pool_mode'),
      ...long('connect_problem', 'last_resize'),
    ]),
    names: 3,
    rows: rowsOf('SHOW POOLS'),
    keyOf: (row) => joined(row, 'database', 'user', 'node'),
    isNotable: (row) =>
      numberOf(row['cl_waiting']) > 0 || numberOf(row['overloaded']) > 0 || (row['connect_problem'] ?? null) !== null,
  },
  nodes: {
    command: 'SHOW NODES',
    columns: fixed([
      ...plain('database', 'node', 'role', 'state', 'lag_ms', 'connections', 'connection_limit'),
      ...long('problem'),
      ...plain('outstanding', 'slowdown', 'lag_bytes', 'circuit', 'weight', 'zone', 'server_version', 'host', 'port'),
    ]),
    names: 2,
    rows: rowsOf('SHOW NODES'),
    keyOf: (row) => joined(row, 'database', 'node'),
    isNotable: (row) => (row['problem'] ?? null) !== null || (row['circuit'] ?? 'closed') !== 'closed',
  },
  statements: {
    command: 'SHOW STATEMENTS',
    columns: statementColumns,
    names: 1,
    rows: rowsOf('SHOW STATEMENTS'),
    keyOf: (row) => joined(row, 'database', 'user', 'query_id', 'queryid', 'query'),
    isNotable: (row) => numberOf(row['errors']) > 0,
  },
  clients: {
    command: 'SHOW CLIENTS',
    columns: fixed([
      ...plain('id', 'database', 'user', 'session_state'),
      waitMs('wait_ms', 'wait', 'wait_us'),
      ...long('pins'),
      ...plain('node', 'application_name', 'addr'),
      timeOfDay('request_time'),
      timeOfDay('connect_time'),
      ...plain('last_route', 'port', 'tls', 'prepared_statements'),
    ]),
    names: 1,
    rows: rowsOf('SHOW CLIENTS'),
    keyOf: (row) => joined(row, 'id'),
    isNotable: (row) => row['state'] === 'waiting',
  },
  servers: {
    command: 'SHOW SERVERS',
    columns: fixed([
      ...plain('id', 'database', 'user', 'node', 'state', 'link', 'remote_pid'),
      timeOfDay('request_time'),
      timeOfDay('connect_time'),
      ...plain('application_name', 'addr', 'port', 'tls', 'prepared_statements', 'server_version'),
    ]),
    names: 1,
    rows: rowsOf('SHOW SERVERS'),
    keyOf: (row) => joined(row, 'id'),
    isNotable: () => false,
  },
  databases: {
    command: 'SHOW STATS',
    columns: fixed(
      plain(
        ...['database', 'queries/s', 'xacts/s', 'query_ms', 'xact_ms', 'wait_ms', 'replica/s', 'primary/s', 'cache/s'],
        ...['errors/s', 'received/s', 'sent/s', 'query_time_p50', 'query_time_p99'],
      ),
    ),
    names: 1,
    rows: counterRates,
    keyOf: (row) => joined(row, 'database'),
    isNotable: (row) => numberOf(row['errors/s']) > 0,
  },
  workers: {
    command: 'SHOW WORKERS',
    columns: fixed([
      ...plain('worker', 'pid', 'state', 'clients', 'servers', 'cpu_%'),
      megabytes,
      ...plain('event_loop_p99_ms', 'restarts', 'deaths', 'started_at', 'version'),
    ]),
    names: 1,
    rows: ({ tables, cpuPercent }) =>
      (tables['SHOW WORKERS'] ?? []).map((row) => ({ ...row, 'cpu_%': cpuPercent.get(String(row['pid'])) ?? null })),
    keyOf: (row) => joined(row, 'worker'),
    isNotable: (row) => numberOf(row['deaths']) > 0,
  },
};

/** Workers have a page if there are several. */
export function pagesOf(frame: Frame): readonly PageName[] {
  const workers = (frame.tables['SHOW WORKERS'] ?? []).filter(({ worker }) => numberOf(worker) > 0).length;
  return workers > 1 ? pageNames : pageNames.filter((name) => name !== 'workers');
}

/** In place of rows; undefined: there are rows, or nobody has asked for them yet. */
export function refusalOf(page: PageName, { refusals }: Frame): string | undefined {
  const refusal = refusals[pages[page].command];
  if (refusal === undefined) return undefined;
  return `This Weir does not answer ${pages[page].command}. It says: ${refusal}`;
}
