/**
 * A Weir with several workers, seen from outside: its processes and which of them a client is at, and how many server
 * connections the whole has at any moment, counted on the server.
 */
import pg from 'pg';
import { allProcesses } from '../../scripts/lib/processes.mjs';
import type { ClusterView } from './cluster-view.ts';
import { isPortFree } from './child.ts';
import { SUPERUSER } from './template.ts';
import { until } from './until.ts';
import { startWeir } from './weir.ts';
import type { WeirConfig, WeirProcess } from './weir.ts';

export interface WorkerRow {
  readonly worker: number;
  readonly pid: number;
  readonly state: string;
  readonly clients: number;
  readonly servers: number;
  readonly restarts: number;
  readonly deaths: number;
}

/** Starts Weir and waits until every worker serves: it is ready as soon as one does. */
export async function startWorkers(workers: number, config: WeirConfig): Promise<WeirProcess> {
  const weir = await startWeir({ ...config, workers });
  await until('all workers to serve', () => linesOf(weir, 'worker_ready').length === workers);
  return weir;
}

/** Rows of a command of the admin console, on a connection of its own. */
export async function askConsole<R extends pg.QueryResultRow>(weir: WeirProcess, command: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: weir.adminUrl() });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<R>(command)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A process that has ended does not, also if nobody has waited for it. */
export function isProcessRunning(processId: number): boolean {
  return allProcesses().some(({ pid }) => pid === processId);
}

/**
 * After the end of a Weir: its processes, its ports and its connections to that database are gone.
 * @param pids of its processes, while it ran
 */
export async function untilNothingIsLeft(
  weir: WeirProcess,
  pids: readonly number[],
  cluster: ClusterView,
  database: string,
): Promise<void> {
  await until('all processes to be gone', () => !pids.some(isProcessRunning));
  for (const port of [weir.port, weir.httpPort])
    await until(`port ${port} to be free`, () => isPortFree(port), { timeoutMs: 10_000 });
  const sql = 'SELECT usename, application_name, state, query FROM pg_stat_activity WHERE datname = $1';
  await until('its server connections to be gone', async () => {
    const rows = await cluster.query(sql, { values: [database] });
    return rows.length === 0;
  });
}

/** SHOW WORKERS. */
export async function workersOf(weir: WeirProcess): Promise<WorkerRow[]> {
  const rows = await askConsole<Record<string, string>>(weir, 'SHOW WORKERS');
  return rows.map((row) => ({
    worker: Number(row['worker']),
    pid: Number(row['pid']),
    state: String(row['state']),
    clients: Number(row['clients']),
    servers: Number(row['servers']),
    restarts: Number(row['restarts']),
    deaths: Number(row['deaths']),
  }));
}

/** The number of the worker that let this client in: its process ID tells. */
export function workerOf(client: pg.Client | { readonly processID: number }, workers: number): number {
  const { processID } = client as { readonly processID: number };
  return Math.floor((processID % (2 * workers)) / 2) + 1;
}

/** The process that serves, or is about to serve, at a worker's place. */
export function pidOf(weir: WeirProcess, worker: number): number {
  const started = weir.logs.findLast((line) => line['event'] === 'worker_started' && line['worker'] === worker);
  if (started === undefined) throw new Error(`no worker ${worker} was started`);
  return started['pid'] as number;
}

/** Lines of Weir's log about one event. */
export function linesOf(weir: WeirProcess, event: string): Record<string, unknown>[] {
  return weir.logs.filter((line) => line['event'] === event);
}

/** Every 20 ms the number of a user's connections to one database, as the server has it. */
export class ConnectionCounter {
  most = 0;
  samples = 0;
  private readonly client: pg.Client;
  private isOver = false;
  private readonly counting: Promise<void>;

  private constructor(client: pg.Client, database: string, user: string) {
    this.client = client;
    this.counting = this.count(database, user);
    this.counting.catch(() => undefined);
  }

  static async start(cluster: ClusterView, database: string, user: string): Promise<ConnectionCounter> {
    const client = new pg.Client({ connectionString: cluster.url(cluster.primary, { user: SUPERUSER }) });
    client.on('error', () => undefined);
    await client.connect();
    return new ConnectionCounter(client, database, user);
  }

  /** How many there are now. */
  async now(database: string, user: string): Promise<number> {
    const sql = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND usename = $2';
    const { rows } = await this.client.query<{ n: number }>({ name: 'count', text: sql, values: [database, user] });
    return rows[0]?.n ?? 0;
  }

  /** Rejects if counting has failed. */
  async stop(): Promise<void> {
    this.isOver = true;
    try {
      await this.counting;
    } finally {
      await this.client.end();
    }
  }

  private async count(database: string, user: string): Promise<void> {
    while (!this.isOver) {
      this.most = Math.max(this.most, await this.now(database, user));
      this.samples++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
