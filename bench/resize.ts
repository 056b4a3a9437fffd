/**
 * Resizing while 200 clients run: every resize acts at once and no statement fails (pgbench ends with an error if one
 * does, and so does the benchmark).
 */
import { connectPg } from '../integration/harness/clients.ts';
import { users } from '../integration/harness/template.ts';
import { until } from '../integration/harness/until.ts';
import { DATABASE, startWeirContestant } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { runPgbench } from './pgbench.ts';
import type { Row, Section } from './report.ts';

const CLIENTS = 200;
const SIZES = [40, 5, 20];

export async function resizeUnderLoad(context: BenchContext): Promise<Section> {
  const contestant = await startWeirContestant(context.cluster, 'Weir', { resize: { enabled: false } });
  const console_ = await connectPg(contestant.weir.adminUrl());
  const rows: Row[] = [];
  try {
    const seconds = Math.max(8, context.seconds);
    // The topology's own connections are not of the pool.
    const ofPool = `SELECT count(*)::int AS n FROM pg_stat_activity
      WHERE datname = $1 AND usename = $2 AND application_name <> 'weir monitor'`;
    const ofAll = async (): Promise<number> =>
      (await context.cluster.query<{ n: number }>(ofPool, { values: [DATABASE, users.app] }))[0]?.n ?? 0;
    // The other contestants' have nothing to do, and stay.
    const others = await ofAll();
    const servers = async (): Promise<number> => (await ofAll()) - others;
    const job = {
      url: contestant.url(),
      clients: CLIENTS,
      seconds,
      protocol: 'simple',
      workload: 'select-only',
    } as const;
    const load = runPgbench(job);
    load.catch(() => undefined);
    await until('the pool to fill', async () => (await servers()) >= 5);
    for (const size of SIZES) {
      const before = await servers();
      const start = performance.now();
      await console_.query(`RESIZE POOL ${DATABASE}.${users.app} MIN ${size} MAX ${size}`);
      await until(`${size} servers`, async () => (await servers()) === size);
      rows.push({ label: `to ${size}`, cells: [before, await servers(), performance.now() - start] });
      context.progress(`  resized to ${size}`);
    }
    const { tps } = await load;
    rows.push({ label: 'tps over all', cells: [tps, undefined, undefined] });
  } finally {
    await console_.end();
    await contestant.stop();
  }
  return {
    title: 'Resizing under load',
    about: `\`pgbench -S -c ${CLIENTS}\` through one pool while an operator resizes it; no statement may fail.`,
    columns: ['', 'server connections before', 'after', 'reached within, ms'],
    rows,
    targets: [{ text: `resize at ${CLIENTS} clients: no error`, isMet: true, measured: '0 errors' }],
    notes: [],
  };
}
