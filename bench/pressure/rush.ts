/** Two hundred clients that appear in a second, at a pool that was idle: when they are served, and what that takes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { users } from '../../integration/harness/template.ts';
import { until } from '../../integration/harness/until.ts';
import { DATABASE, type Contestant } from '../contestants.ts';
import type { BenchContext } from '../context.ts';
import { cpuSeconds } from '../machine.ts';
import { bars, difference, medianOf, quantile } from '../numbers.ts';
import type { Section } from '../report.ts';
import { PlainClient } from './client.ts';
import { SIZE, fixed, inTurns, withSetting, type Setting } from './setting.ts';

const CLIENTS = 200;
const STATEMENTS = 5;
const withinMs = 1_000;
const sql = 'SELECT count(*) FROM generate_series(1, 30000)';

interface Rush {
  /** From the first that comes to the last answer. */
  readonly allMs: number;
  /** From the moment it comes to its first answer, log-in included. */
  readonly firstP50Ms: number | undefined;
  readonly firstP99Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly opened: number;
  /** Of the proxy. */
  readonly cpuMs: number | undefined;
  readonly errors: number;
}

/** Connections to the database since the server was started, but for those of the monitor (one for each Weir). */
async function sessions({ cluster }: Setting): Promise<number> {
  const sessionsSql = 'SELECT sessions::int AS n FROM pg_stat_database WHERE datname = $1';
  return (await cluster.query<{ n: number }>(sessionsSql, { values: [DATABASE] }))[0]?.n ?? 0;
}

/** All connections of pools end. */
async function empty({ cluster }: Setting): Promise<void> {
  const ofPools = `FROM pg_stat_activity WHERE usename = '${users.trust}' AND application_name NOT LIKE 'weir%'`;
  await cluster.query(`SELECT pg_terminate_backend(pid) ${ofPools}`);
  await until('them to be gone', async () => (await cluster.query(`SELECT 1 ${ofPools}`)).length === 0);
}

async function rush(setting: Setting, { port, pids }: Contestant): Promise<Rush> {
  await empty(setting);
  const before = await sessions(setting);
  const cpuBefore = cpuSeconds(pids());
  const startMs = performance.now();
  const firstMs: number[] = [];
  const tookMs: number[] = [];
  let errors = 0;
  const one = async (index: number): Promise<void> => {
    await sleep((index * withinMs) / CLIENTS);
    let sinceMs = performance.now();
    const cameMs = sinceMs;
    const client = await PlainClient.connect(port).catch(() => undefined);
    for (let i = 0; i < STATEMENTS && client?.isGone === false; i++) {
      const { refused } = await client.ask(sql);
      const nowMs = performance.now();
      if (refused !== undefined) errors++;
      if (i === 0) firstMs.push(nowMs - cameMs);
      tookMs.push(nowMs - sinceMs);
      sinceMs = nowMs;
    }
    if (client === undefined) errors++;
    client?.leave();
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => one(index)));
  const allMs = performance.now() - startMs;
  const usedSeconds = difference(cpuSeconds(pids()), cpuBefore);
  const sorted = firstMs.sort((a, b) => a - b);
  return {
    ...{ allMs, firstP50Ms: quantile(sorted, 0.5), firstP99Ms: quantile(sorted, 0.99) },
    p99Ms: quantile(
      tookMs.sort((a, b) => a - b),
      0.99,
    ),
    cpuMs: usedSeconds === undefined ? undefined : usedSeconds * 1000,
    opened: (await sessions(setting)) - before,
    errors,
  };
}

export const pressureRush = (context: BenchContext): Promise<Section> =>
  withSetting(context, async (setting) => {
    const contestants = [
      setting.direct,
      ...(await setting.bouncer()),
      await setting.weir(`Weir, ${SIZE}`, fixed),
      await setting.weir('Weir as it comes, up to 100'),
      await setting.weir('Weir, resize.mode on', { resize: { mode: 'on' } }),
    ];
    // Code is compiled and the catalog is read before anything counts.
    for (const contestant of contestants) await rush(setting, contestant);
    const results = await inTurns(
      context,
      contestants,
      (contestant) => rush(setting, contestant),
      ({ allMs, opened, cpuMs, errors }) =>
        `all within ${Math.round(allMs)} ms, ${opened} connections opened, ${cpuMs} ms of CPU, ${errors} errors`,
    );
    const of = (name: string, figure: keyof Rush): number | undefined =>
      medianOf((results.get(name) ?? []).map((outcome) => outcome[figure]));
    const figures = ['allMs', 'firstP50Ms', 'firstP99Ms', 'p99Ms', 'opened', 'cpuMs', 'errors'] as const;
    return {
      title: `Pressure: ${CLIENTS} clients that appear in a second`,
      about: `Each connects, runs ${STATEMENTS} times \`${sql}\`, and leaves. No server connection is open when they come.`,
      columns: [
        '',
        'all served after, ms',
        'p50 to the first answer, ms',
        'p99 to the first answer, ms',
        'p99 of a statement, ms',
        'connections opened',
        'CPU of the proxy, ms',
        'errors',
      ],
      rows: contestants.map(({ name }) => ({ label: name, cells: figures.map((figure) => of(name, figure)) })),
      targets: [],
      notes: [
        'Weir uses about 2 ms of CPU for each of these clients (half a millisecond of it for the log-in), PgBouncer 0.3 ms. On two cores that PostgreSQL fills, that is time that clients wait for their log-in: PgBouncer is faster here.',
      ],
      plot: [
        'p99 to the first answer, ms',
        ...bars(contestants.map(({ name }) => [name, of(name, 'firstP99Ms') ?? 0])),
      ],
    };
  });
