/**
 * Two workers against one process where PostgreSQL does the work: throughput, CPU per query, and whether workers and their clients
 * get equal shares. The machine's cores are shared with PostgreSQL and the load, so more throughput is not what is asked.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectPg } from '../integration/harness/clients.ts';
import { until } from '../integration/harness/until.ts';
import { startWeirContestant } from './contestants.ts';
import type { WeirContestant } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { runPgbench } from './pgbench.ts';
import { atLeast, atMost } from './report.ts';
import type { Section } from './report.ts';
import { ratio, sideBySide } from './throughput.ts';
import type { Measured } from './throughput.ts';

const CLIENTS = 32;
const WORKERS = 2;
export const ONE = 'Weir, one process';
export const TWO = `Weir, ${WORKERS} workers`;

/** Runs `measure` with a Weir of one process and one of two workers, which both have `more` on top. */
export async function withOneAndTwo<T>(
  { cluster }: BenchContext,
  more: Readonly<Record<string, unknown>>,
  measure: (weirs: readonly [WeirContestant, WeirContestant]) => Promise<T>,
): Promise<T> {
  const one = await startWeirContestant(cluster, ONE, { ...more, workers: 1 });
  try {
    const two = await startWeirContestant(cluster, TWO, { ...more, workers: WORKERS });
    try {
      return await measure([one, two]);
    } finally {
      await two.stop();
    }
  } finally {
    await one.stop();
  }
}

export async function workersSelectOnly(context: BenchContext): Promise<Section> {
  const job = { clients: CLIENTS, protocol: 'simple', workload: 'select-only' } as const;
  const [one, two] = (await withOneAndTwo(context, {}, (weirs) => sideBySide(context, weirs, job))) as [
    Measured,
    Measured,
  ];
  return {
    title: 'Workers: reads',
    about: `\`pgbench -S\`, ${CLIENTS} clients, 10 server connections for all workers together.`,
    columns: [
      '',
      'statements/s',
      'x one process',
      'CPU of all processes per statement, us',
      'cores used',
      'by pgbench',
    ],
    rows: [one, two].map(({ name, tps, cpuUs, cores, loadCores }) => ({
      label: name,
      cells: [tps, ratio(tps, one.tps), cpuUs, cores, loadCores],
    })),
    targets: [
      atLeast('pgbench -S, 2 workers: at least 0.9 x one process', ratio(two.tps, one.tps), 0.9),
      atMost(
        'pgbench -S, 2 workers: CPU per statement at most 1.05 x one process',
        ratio(two.cpuUs, one.cpuUs),
        1.05,
        ' x',
      ),
    ],
    notes: [],
  };
}

/** The first thing that each client does is to say its number in pgbench. */
const script = `\\if :isfirst
SET application_name = 'bench :client_id';
\\set isfirst 0
\\endif
\\set aid random(1, 100000)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
`;

/** Numbers of clients tell the worker that has let them in (workers/worker-link.ts). */
const workerOf = (id: number): number => Math.floor((id % (2 * WORKERS)) / 2) + 1;

/** By the number of a client in pgbench the worker that it is at. */
async function workersOfClients({ weir }: WeirContestant): Promise<Map<number, number>> {
  const admin = await connectPg(weir.adminUrl());
  try {
    return await until('all clients to have said who they are', async () => {
      const { rows } = await admin.query<{ application_name: string; id: string }>('SHOW CLIENTS');
      const found = rows.filter(({ application_name: name }) => name.startsWith('bench '));
      if (found.length < CLIENTS) return undefined;
      return new Map(found.map((row) => [Number(row.application_name.slice(6)), workerOf(Number(row.id))]));
    });
  } finally {
    await admin.end();
  }
}

export async function workersFairness(context: BenchContext): Promise<Section> {
  const file = join(context.dir, 'who.sql');
  writeFileSync(file, script);
  const weir = await startWeirContestant(context.cluster, TWO, { workers: WORKERS });
  try {
    const seconds = Math.max(3, context.seconds);
    const load = runPgbench({
      url: weir.url(),
      clients: CLIENTS,
      seconds,
      protocol: 'simple',
      workload: { file },
      variables: { isfirst: '1' },
      logDir: context.dir,
    });
    load.catch(() => undefined);
    const workers = await Promise.race([workersOfClients(weir), load.then(() => new Map<number, number>())]);
    const { byClient } = await load;
    return fairnessSection(workers, byClient, seconds);
  } finally {
    await weir.stop();
  }
}

function fairnessSection(
  workers: ReadonlyMap<number, number>,
  byClient: ReadonlyMap<number, number>,
  seconds: number,
): Section {
  const rows = Array.from({ length: WORKERS }, (_, index) => {
    const own = [...workers].filter(([, worker]) => worker === index + 1).map(([client]) => byClient.get(client) ?? 0);
    const total = own.reduce((sum, count) => sum + count, 0);
    return { clients: own.length, perSecond: total / seconds, least: Math.min(...own), most: Math.max(...own) };
  });
  const spread = (values: readonly number[]): number => Math.max(...values) / Math.min(...values);
  return {
    title: 'Workers: fairness',
    about: `One-row reads, ${CLIENTS} clients, ${WORKERS} workers: what each worker, and each of its clients, has got.`,
    columns: ['', 'clients', 'statements/s', 'least of a client', 'most of a client'],
    rows: rows.map(({ clients, perSecond, least, most }, index) => ({
      label: `worker ${index + 1}`,
      cells: [clients, perSecond, least / seconds, most / seconds],
    })),
    targets: [
      atMost(
        'clients of 2 workers: the most at most 1.2 x the fewest',
        spread(rows.map((row) => row.clients)),
        1.2,
        ' x',
      ),
      atMost('throughput of 2 workers: at most 1.2 x apart', spread(rows.map((row) => row.perSecond)), 1.2, ' x'),
    ],
    notes: [],
  };
}
