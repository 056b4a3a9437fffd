/**
 * Throughput of pgbench's own workloads, side by side: A B C C B A, medians, CPU of the proxy per transaction.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contestant, PgBouncer } from './contestants.ts';
import { BEFORE, startWeirs } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { medianOf } from './numbers.ts';
import { runPgbench } from './pgbench.ts';
import type { PgbenchJob, PgbenchResult, Protocol } from './pgbench.ts';
import { atLeast } from './report.ts';
import type { Section, Target } from './report.ts';

const CLIENTS = 32;

export interface Measured {
  readonly name: string;
  readonly tps: number | undefined;
  /** Transactions per second of every round. */
  readonly rounds: readonly number[];
  readonly cpuUs: number | undefined;
  readonly latencyUs: number | undefined;
  /** CPU time of the proxy in one second, and of the load: 1 is a whole core. */
  readonly cores: number | undefined;
  readonly loadCores: number | undefined;
}

/** Every contestant in turn, as often as there are rounds. */
export async function sideBySide(
  context: BenchContext,
  contestants: readonly Contestant[],
  job: Omit<PgbenchJob, 'url' | 'seconds' | 'pids'>,
): Promise<Measured[]> {
  const results = new Map<string, PgbenchResult[]>(contestants.map(({ name }) => [name, []]));
  // Pools fill, catalogs are read and code is compiled before anything counts.
  for (const { url } of contestants) await runPgbench({ ...job, url: url(), seconds: context.isQuick ? 1 : 3 });
  for (let round = 1; round <= context.rounds; round++) {
    // There and back: who is measured first in a round is not always the same.
    for (const { name, url, pids } of round % 2 === 1 ? contestants : contestants.toReversed()) {
      const result = await runPgbench({ ...job, url: url(), pids: pids(), seconds: context.seconds });
      results.get(name)?.push(result);
      context.progress(`  round ${round}, ${name}: ${Math.round(result.tps)} tps`);
    }
  }
  return contestants.map(({ name }) => {
    const all = results.get(name) ?? [];
    return {
      name,
      rounds: all.map((one) => one.tps),
      tps: medianOf(all.map((one) => one.tps)),
      cpuUs: medianOf(all.map((one) => one.cpuPerTransactionUs)),
      latencyUs: medianOf(all.map((one) => one.medianLatencyUs)),
      cores: medianOf(all.map((one) => coresOf(one, one.cpuSeconds))),
      loadCores: medianOf(all.map((one) => coresOf(one, one.loadCpuSeconds))),
    };
  });
}

function coresOf({ tps, transactions }: PgbenchResult, seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : (seconds * tps) / transactions;
}

const tpsOf = (measured: readonly Measured[], name: string): number | undefined =>
  measured.find((one) => one.name === name)?.tps;

export function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}

/**
 * With --against: within 2 % of the other checkout's Weir. The median over the rounds of the ratio of two neighbours in
 * time: what slows the whole machine for a while slows both.
 */
function asFastAsBefore(measured: readonly Measured[], name: string): readonly Target[] {
  const [now, before] = [name, name + BEFORE].map((each) => measured.find((one) => one.name === each)?.rounds);
  if (now === undefined || before === undefined) return [];
  const got = medianOf(now.map((tps, round) => ratio(tps, before[round])));
  return [atLeast(`${name}: at least 0.98 x before`, got, 0.98)];
}

function section(title: string, about: string, measured: readonly Measured[]): Omit<Section, 'targets' | 'notes'> {
  const direct = tpsOf(measured, 'direct');
  const bouncer = tpsOf(measured, 'PgBouncer');
  return {
    title,
    about,
    columns: ['', 'tps', 'x direct', 'x PgBouncer', 'CPU of the proxy per transaction, us'],
    rows: measured.map(({ name, tps, cpuUs }) => ({
      label: name,
      cells: [tps, ratio(tps, direct), ratio(tps, bouncer), cpuUs],
    })),
  };
}

export async function selectOnly(context: BenchContext, protocol: Protocol): Promise<Section> {
  const bouncer = protocol === 'prepared' && !canPrepare(context.bouncer) ? undefined : context.bouncer;
  const contestants = [context.direct, ...(bouncer === undefined ? [] : [bouncer]), ...(await context.weirs())];
  const measured = await sideBySide(context, contestants, { clients: CLIENTS, protocol, workload: 'select-only' });
  const got = ratio(tpsOf(measured, 'Weir'), tpsOf(measured, 'PgBouncer'));
  const about = `\`pgbench -S -M ${protocol}\`, ${CLIENTS} clients, transaction mode, 10 server connections.`;
  const missing = context.bouncer === undefined ? 'this machine has no PgBouncer' : 'needs PgBouncer 1.21 or later';
  return {
    ...section(`Reads, ${protocol} protocol`, about, measured),
    targets: [
      atLeast(`pgbench -S ${protocol}: at least 0.8 x PgBouncer`, got, 0.8),
      ...asFastAsBefore(measured, 'Weir'),
    ],
    notes: bouncer === undefined ? [`No figures for PgBouncer: ${missing}.`] : [],
  };
}

const canPrepare = (bouncer: PgBouncer | undefined): boolean => bouncer?.canPrepare ?? false;

export async function tpcB(context: BenchContext): Promise<Section> {
  const contestants = [
    context.direct,
    ...(context.bouncer === undefined ? [] : [context.bouncer]),
    ...(await context.weirs()),
  ];
  const job = { clients: CLIENTS, protocol: 'simple', workload: 'tpcb-like' } as const;
  const measured = await sideBySide(context, contestants, job);
  const got = ratio(tpsOf(measured, 'Weir'), tpsOf(measured, 'PgBouncer'));
  return {
    ...section('Transactions (TPC-B)', `\`pgbench\`, ${CLIENTS} clients, seven statements a transaction.`, measured),
    targets: [atLeast('TPC-B: at least 0.9 x PgBouncer', got, 0.9), ...asFastAsBefore(measured, 'Weir')],
    notes: [
      'Each statement waits for the one before, so no messages can be sent together, and a proxy handles fourteen messages ' +
        'per transaction. On few cores a proxy written in C is faster here.',
    ],
  };
}

export async function cachedReads(context: BenchContext, protocol: 'simple' | 'prepared'): Promise<Section> {
  const file = join(context.dir, 'hot.sql');
  writeFileSync(file, '\\set aid random(1, 100)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n');
  const name = 'Weir with cache';
  const cached = await startWeirs(context.cluster, name, context.against, { cache: { enabled: true } });
  try {
    const job = { clients: CLIENTS, protocol, workload: { file } };
    const measured = await sideBySide(context, [context.direct, ...cached], job);
    const got = ratio(tpsOf(measured, name), tpsOf(measured, 'direct'));
    return {
      ...section(`Hot cached reads, ${protocol} protocol`, `One row by key, 100 keys, ${CLIENTS} clients.`, measured),
      targets: [
        atLeast(`hot cached reads, ${protocol}: at least 2 x direct`, got, 2),
        ...asFastAsBefore(measured, name),
      ],
      notes: [],
    };
  } finally {
    await Promise.all(cached.map((weir) => weir.stop()));
  }
}

export async function addedLatency(context: BenchContext): Promise<Section> {
  const contestants = [
    context.direct,
    ...(context.bouncer === undefined ? [] : [context.bouncer]),
    ...(await context.weirs()),
  ];
  const job = { clients: 1, protocol: 'simple', workload: 'select-only', logDir: context.dir } as const;
  const measured = await sideBySide(context, contestants, job);
  const direct = measured[0]?.latencyUs;
  const added = (us: number | undefined): number | undefined =>
    us === undefined || direct === undefined ? undefined : us - direct;
  const weir = added(measured.find(({ name }) => name === 'Weir')?.latencyUs);
  return {
    title: 'Latency at one client',
    about: '`pgbench -S -c 1`: the median of all transactions.',
    columns: ['', 'p50, us', 'added, us'],
    rows: measured.map(({ name, latencyUs }) => ({ label: name, cells: [latencyUs, added(latencyUs)] })),
    targets: [atMost100(weir)],
    notes: [],
  };
}

function atMost100(us: number | undefined): Target {
  return {
    text: 'added p50 latency at one client: at most 100 us',
    isMet: us === undefined ? undefined : us <= 100,
    measured: `${us === undefined ? '-' : Math.round(us)} us`,
  };
}
