/**
 * Finds out when a backend whose connection was lost has exited: from then on its transaction either is committed or
 * never will be. Polls the backend's server through the monitor. While the server cannot be reached the wait goes on,
 * until another server is the primary: commits on the old one no longer belong to the database.
 */
import type { Clock } from '../util/clock.ts';
import type { TopologyLog } from './announce.ts';
import type { ProbeRow } from './samples.ts';
import type { LostBackend, NodeState, ServerAddress } from './types.ts';
import { serverKey } from '../util/server-key.ts';

export interface OutcomesOptions {
  /** Queries the server, or the primary if the server is not known. Rejects if it cannot be queried now. */
  ask(node: ServerAddress, sql: string, values: readonly unknown[]): Promise<ProbeRow[]>;
  /**
   * Whether this configuration has a node with this host and port; another Weir may use a different name for the same
   * server.
   */
  isKnown(node: ServerAddress): boolean;
  readonly clock: Clock;
  readonly log: TopologyLog;
  primary(): NodeState | undefined;
}

interface Awaited extends LostBackend {
  readonly gone: Promise<void>;
  decided(): void;
}

const SHORTEST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 1_000;
const ANSWER_MS = 5_000;
/** It is said of a server that cannot be queried for this long; shorter, another process may only begin to probe it. */
const UNKNOWN_MS = 2_000;
/**
 * A process must be this much younger than the lost connection to count as another one; allows for clocks being set.
 */
const MARGIN_MS = 5_000;

/** Every role sees the pid of a backend; only its own role and members of pg_read_all_stats see its start time. */
const BACKENDS_SQL = `
SELECT asked.pid, a.pid IS NOT NULL AS is_there,
  extract(epoch FROM clock_timestamp() - a.backend_start)::float8 * 1000 AS age_ms,
  extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 * 1000 AS uptime_ms
FROM unnest($1::int[]) AS asked(pid) LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = asked.pid`;

export class Outcomes {
  readonly #options: OutcomesOptions;
  readonly #awaited = new Map<string, Awaited>();
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = SHORTEST_PAUSE_MS;
  #isAsking = false;
  /** The timer has a longer pause than the shortest: `look()` then starts it anew with the shortest. */
  #isPatient = false;
  /** Servers that cannot be queried, since when, and whether a log line has said so: one each, until they answer. */
  readonly #unreachable = new Map<string, { readonly sinceMs: number; isSaid: boolean }>();

  constructor(options: OutcomesOptions) {
    this.#options = options;
  }

  /** Resolves when the backend has exited, so that its transaction's outcome is final. May never resolve. */
  whenGone(backend: LostBackend): Promise<void> {
    const { node, processId, connectedAtMs } = backend;
    const key = `${serverKey(node)}/${processId}/${connectedAtMs}`;
    const known = this.#awaited.get(key);
    if (known !== undefined) return known.gone;
    let resolve = (): void => undefined;
    const gone = new Promise<void>((settle) => (resolve = settle));
    const decided = (): void => {
      this.#awaited.delete(key);
      resolve();
    };
    this.#awaited.set(key, { node, processId, connectedAtMs, gone, decided });
    this.look();
    return gone;
  }

  /** Number of backends that are waited for. */
  get size(): number {
    return this.#awaited.size;
  }

  /** Call when the topology may have changed: asks again soon. */
  look(): void {
    this.#pauseMs = SHORTEST_PAUSE_MS;
    if (this.#timer !== undefined && this.#isPatient) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    this.#askLater();
  }

  #askLater(): void {
    if (this.#isAsking || this.#timer !== undefined || this.#awaited.size === 0) return;
    this.#isPatient = this.#pauseMs > SHORTEST_PAUSE_MS;
    this.#timer = setTimeout(() => void this.#round(), this.#pauseMs);
    this.#timer.unref();
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  async #round(): Promise<void> {
    this.#timer = undefined;
    this.#isAsking = true;
    const servers = new Map<string, Awaited[]>();
    for (const one of this.#awaited.values()) {
      if (this.#isDeposed(one.node)) {
        one.decided();
        continue;
      }
      const key = `${one.node.host}:${one.node.port}`;
      servers.set(key, [...(servers.get(key) ?? []), one]);
    }
    await Promise.all([...servers.values()].map((ones) => this.#ask(ones)));
    this.#isAsking = false;
    this.#askLater();
  }

  #isDeposed(node: ServerAddress): boolean {
    const primary = this.#options.primary();
    if (primary?.isUp !== true || !this.#options.isKnown(node)) return false;
    return primary.config.host !== node.host || primary.config.port !== node.port;
  }

  async #ask(ones: readonly Awaited[]): Promise<void> {
    const { ask, clock, log } = this.#options;
    const { node } = ones[0] as Awaited;
    const server = serverKey(node);
    try {
      const pids = ones.map(({ processId }) => processId);
      const askedAtMs = clock.nowMs();
      const rows = await inTime(ask(node, BACKENDS_SQL, [pids]));
      for (const one of ones) {
        const row = rows.find(({ pid }) => pid === one.processId);
        if (row !== undefined && isGone(row, askedAtMs - one.connectedAtMs)) one.decided();
      }
      this.#unreachable.delete(server);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      const now = clock.nowMs();
      const known = this.#unreachable.get(server) ?? { sinceMs: now, isSaid: false };
      this.#unreachable.set(server, known);
      if (known.isSaid || now - known.sinceMs < UNKNOWN_MS) return;
      known.isSaid = true;
      const what = { event: 'outcome_unknown', node: server, problem, backends: ones.length };
      log(
        'warn',
        what,
        'cannot find out whether writes were committed: their tables stay uncached, and on the primary',
      );
    }
  }
}

function inTime<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer for ${ANSWER_MS} ms`)), ANSWER_MS);
    late.unref();
    answer.then(resolve, reject).finally(() => clearTimeout(late));
  });
}

/** Another process may have the same pid by now: it is younger than the lost connection was. */
function isGone(row: ProbeRow, ageMs: number): boolean {
  if (row['is_there'] === false) return true;
  const isYounger = (value: unknown): boolean => typeof value === 'number' && value < ageMs - MARGIN_MS;
  return isYounger(row['uptime_ms']) || isYounger(row['age_ms']);
}
