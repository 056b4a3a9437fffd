/**
 * Two workers against one process where the proxy does all the work: reads that its cache answers, from a load that needs less CPU
 * than the proxy (pgbench with many prepared statements in a script).
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { WeirContestant } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { atLeast } from './report.ts';
import type { Section } from './report.ts';
import { ratio, sideBySide } from './throughput.ts';
import type { Measured } from './throughput.ts';
import { withOneAndTwo } from './workers.ts';

const CLIENTS = 32;
const IN_ONE_SCRIPT = 40;
const KEYS = 100;

/** Random numbers cost pgbench more than statements: one for all. (Weir caches no statements of a pipeline.) */
function manyReads(): string {
  const read = 'SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n';
  return `\\set aid random(1, ${KEYS})\n${read.repeat(IN_ONE_SCRIPT)}`;
}

async function hits({ weir }: WeirContestant): Promise<number> {
  const { body } = await weir.http();
  const found = [...body.matchAll(/^weir_cache_hits_total(?:\{.*\})? (\S+)$/gm)];
  return found.reduce((sum, [, value]) => sum + Number(value), 0);
}

export async function workersCached(context: BenchContext): Promise<Section> {
  const file = join(context.dir, 'many-reads.sql');
  writeFileSync(file, manyReads());
  const job = { clients: CLIENTS, protocol: 'prepared', workload: { file } } as const;
  const [[one, two], served] = await withOneAndTwo(context, { cache: { enabled: true } }, async (weirs) => {
    const measured = (await sideBySide(context, weirs, job)) as [Measured, Measured];
    return [measured, await Promise.all(weirs.map(hits))] as const;
  });
  const each = ({ tps }: Measured): number | undefined => (tps === undefined ? undefined : tps * IN_ONE_SCRIPT);
  const perCpuSecond = (measured: Measured): number | undefined => ratio(each(measured), measured.cores);
  const efficiency = ratio(perCpuSecond(two), perCpuSecond(one));
  const wall = atLeast('cached reads: 2 workers at least 1.7 x one process', ratio(two.tps, one.tps), 1.7);
  const cores = availableParallelism();
  const isMeasurable = cores >= 4;
  return {
    title: 'Workers: cached reads',
    about: `\`pgbench -M prepared\`, ${CLIENTS} clients, scripts of ${IN_ONE_SCRIPT} one-row reads of ${KEYS} keys, all from the cache.`,
    columns: [
      '',
      'statements/s',
      'x one process',
      'cores used',
      'by pgbench',
      'statements per CPU-second of the proxy',
    ],
    rows: [one, two].map((measured) => ({
      label: measured.name,
      cells: [each(measured), ratio(measured.tps, one.tps), measured.cores, measured.loadCores, perCpuSecond(measured)],
    })),
    targets: [
      isMeasurable ? wall : { ...wall, isMet: undefined },
      atLeast('cached reads, 2 workers: at least 0.85 x the statements per CPU-second of one', efficiency, 0.85),
    ],
    notes: [
      ...(isMeasurable
        ? []
        : [`Two workers and the load share ${cores} cores: how far two workers scale cannot be measured here.`]),
      'On free cores two workers reach twice their statements per CPU-second, one process once its own: ' +
        `${efficiency === undefined ? '-' : (2 * efficiency).toFixed(2)} x.`,
      `Answers from the cache: ${served.map((count) => count.toLocaleString('en-US')).join(' (one process) and ')} (workers).`,
    ],
  };
}
