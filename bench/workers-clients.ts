/**
 * Many clients of four workers: what idle ones cost, and how evenly those are spread that connect at once.
 */
import type { Socket } from 'node:net';
import { until } from '../integration/harness/until.ts';
import { workersOf } from '../integration/harness/workers.ts';
import { startWeirContestant } from './contestants.ts';
import type { WeirContestant } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { logIn, logInMany } from './idle.ts';
import { openFilesLimit, proportionalBytes, residentBytes } from './machine.ts';
import { difference } from './numbers.ts';
import { atMost } from './report.ts';
import type { Section } from './report.ts';

const WORKERS = 4;
const IDLE = 5_000;
const AT_ONCE = 10_000;
/** As in idle.ts, for each of them. */
const WARM_UP = 300 * WORKERS;
const MB = 2 ** 20;

const start = (context: BenchContext, clients: number): Promise<WeirContestant> =>
  startWeirContestant(context.cluster, `Weir, ${WORKERS} workers`, {
    workers: WORKERS,
    auth: { type: 'trust' },
    max_client_conn: clients + WARM_UP,
  });

/** As many as this machine's limit of open files allows. */
const asMany = (context: BenchContext, wanted: number): number =>
  Math.min(context.isQuick ? 1_000 : wanted, openFilesLimit() - 1_000);

const fewer = (clients: number, wanted: number): string[] =>
  clients < wanted ? [`${clients} clients instead of ${wanted} (quick run, or ulimit -n).`] : [];

function closeAll(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy();
}

const sumOf = (values: readonly (number | undefined)[]): number | undefined =>
  values.reduce<number | undefined>(
    (sum, value) => (sum === undefined || value === undefined ? undefined : sum + value),
    0,
  );

export async function workersIdle(context: BenchContext): Promise<Section> {
  const clients = asMany(context, IDLE);
  const weir = await start(context, clients);
  try {
    closeAll(await logInMany(weir.port, WARM_UP));
    await until('them to have left', async () => (await workersOf(weir.weir)).every((row) => row.clients === 0));
    const pids = weir.pids();
    const look = (): { resident: number | undefined; own: number | undefined }[] =>
      pids.map((pid) => ({ resident: residentBytes(pid), own: proportionalBytes(pid) }));
    const before = look();
    const sockets = await logInMany(weir.port, clients);
    const after = look();
    const perWorker = await workersOf(weir.weir);
    closeAll(sockets);
    const mb = (bytes: number | undefined): number | undefined => (bytes === undefined ? undefined : bytes / MB);
    const workers = pids.flatMap((pid, i) => (perWorker.some((row) => row.pid === pid) ? [i] : []));
    const baseMb = workers.map((i) => mb(before[i]?.own));
    const grown = difference(
      sumOf(after.map(({ resident }) => resident)),
      sumOf(before.map(({ resident }) => resident)),
    );
    const kb = grown === undefined ? undefined : grown / 1024 / clients;
    return {
      title: 'Workers: idle clients',
      about: `Memory of ${WORKERS} workers and their supervisor, before and with ${clients} logged-in clients that do nothing.`,
      columns: ['', 'clients', 'resident before, MB', 'of these its own', 'resident with them, MB'],
      rows: pids.map((pid, i) => ({
        label: i === 0 ? 'supervisor' : `worker ${perWorker.find((row) => row.pid === pid)?.worker ?? '-'}`,
        cells: [
          perWorker.find((row) => row.pid === pid)?.clients,
          mb(before[i]?.resident),
          mb(before[i]?.own),
          mb(after[i]?.resident),
        ],
      })),
      targets: [
        atMost(`${IDLE} idle clients of ${WORKERS} workers: at most 10 KB each`, kb, 10, ' KB'),
        atMost(`a worker without clients: at most 60 MB of its own`, largest(baseMb), 60, ' MB'),
      ],
      notes: [
        ...fewer(clients, IDLE),
        'Its own: what processes share (the program, libraries) is divided by their number (PSS). The growth is that of all processes.',
      ],
    };
  } finally {
    await weir.stop();
  }
}

function largest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

export async function workersSpread(context: BenchContext): Promise<Section> {
  const clients = asMany(context, AT_ONCE);
  const weir = await start(context, clients);
  try {
    const startMs = performance.now();
    const results = await Promise.allSettled(Array.from({ length: clients }, () => logIn(weir.port)));
    const seconds = (performance.now() - startMs) / 1_000;
    const sockets = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const why = new Set(results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : [])));
    const rows = await workersOf(weir.weir);
    closeAll(sockets);
    const mean = sockets.length / WORKERS;
    return {
      title: 'Workers: many clients at once',
      about: `${clients} clients connect at the same moment; all have logged in after ${seconds.toFixed(1)} s.`,
      columns: ['', 'clients', 'x the mean'],
      rows: rows.map((row) => ({ label: `worker ${row.worker}`, cells: [row.clients, row.clients / mean] })),
      targets: [
        atMost(`${AT_ONCE} clients at once: none refused`, clients - sockets.length, 0, ' refused'),
        atMost(
          `${AT_ONCE} clients at once: no worker above 1.3 x the mean`,
          Math.max(...rows.map((row) => row.clients)) / mean,
          1.3,
          ' x',
        ),
      ],
      notes: [...fewer(clients, AT_ONCE), ...[...why].slice(0, 3)],
    };
  } finally {
    await weir.stop();
  }
}
