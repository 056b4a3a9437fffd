/**
 * `npm run soak`: the consistency checker for as long as one likes. Exit code 1 on an anomaly, a stuck client, an error
 * that no fault explains, or when too few reads came from replicas and cache to prove anything. scripts/soak.mjs starts it.
 */
import { parseArgs } from 'node:util';
import { openRunDir } from '../integration/harness/run-dir.ts';
import { faults as usualFaults, workerFaults } from './faults.ts';
import { kinds } from './kinds.ts';
import { formKinds } from './model.ts';
import { runSoak } from './run.ts';
import type { Result } from './run.ts';
import { leastShare, leastShareRolling, problemsOf } from './report.ts';

const usage = `npm run soak -- [--minutes N] [--reads N] [--seed S] [--faults NAME,...|none] [--kinds NAME,...] [--forms NAME,...] [--without NAME,...]
  --minutes N   how long at most (2)
  --reads N     over as soon as so many reads are checked
  --seed S      plays the same schedule of faults and the same choices again
  --faults      only these: ${[...usualFaults, ...workerFaults].map(({ name }) => name).join(', ')}
  --kinds       only these writes: ${kinds.map(({ name }) => name).join('; ')}
  --forms       only these reads: ${formKinds.join(', ')}
  --without     none of these faults, kinds or forms
  --worlds      shared (two Weirs over a Redis), alone (one without); both unless given
  --workers N   each Weir has N processes (1), of which some are killed and stopped; every 10 s one Weir is restarted; each has pgbench
                beside the other clients, and must leave nothing behind. With --faults workers (all that concern workers only),
                nobody but the clients of a killed worker may lose anything`;

const ofWorkers = workerFaults.map(({ name }) => name).join(',');

/** All unless some are named, and none of those left out. */
function select<T>(all: readonly T[], nameOf: (one: T) => string, only: string | undefined, without: string): T[] {
  const list = (text: string): string[] => text.split(',').filter((name) => name !== '' && name !== 'none');
  const wanted = only === undefined ? undefined : list(only);
  const unwanted = list(without);
  const known = new Set(all.map(nameOf));
  for (const name of wanted ?? []) if (!known.has(name)) throw new Error(`unknown: ${name}`);
  return all.filter((one) => (wanted?.includes(nameOf(one)) ?? true) && !unwanted.includes(nameOf(one)));
}

export async function main(argv: readonly string[]): Promise<number> {
  const options = {
    minutes: { type: 'string', default: '2' },
    reads: { type: 'string', default: 'Infinity' },
    seed: { type: 'string' },
    faults: { type: 'string' },
    kinds: { type: 'string' },
    forms: { type: 'string' },
    worlds: { type: 'string' },
    without: { type: 'string', default: '' },
    workers: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  } as const;
  const { values } = parseArgs({ args: [...argv], options });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const pick = <T>(all: readonly T[], nameOf: (one: T) => string, only: string | undefined): T[] =>
    select(all, nameOf, only, values.without);
  const workers = Number(values.workers);
  const worlds = select(['shared', 'alone'] as const, (name) => name, values.worlds, '');
  const all = workers > 1 ? [...usualFaults, ...workerFaults] : usualFaults;
  const faults = worlds.includes('shared') ? all : all.filter(({ group }) => group !== 'redis');
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const run = openRunDir();
  console.log(`seed ${seed}`);
  try {
    const result = await runSoak({
      run,
      seed,
      seconds: Number(values.minutes) * 60,
      reads: Number(values.reads),
      calm: workers > 1 ? 0.15 : 0.4,
      config: { workers },
      rolling: workers > 1,
      faults: pick(faults, ({ name }) => name, values.faults === 'workers' ? ofWorkers : values.faults),
      kinds: pick(kinds, ({ name }) => name, values.kinds),
      forms: pick(formKinds, (name) => name, values.forms),
      worlds,
      say: (line) => console.log(line),
    });
    return report(result, workers > 1 ? leastShareRolling : leastShare);
  } finally {
    await run.remove();
  }
}

/** The ten that come most often. */
function mostOften(counts: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  return new Map([...counts].sort(([, one], [, other]) => other - one).slice(0, 10));
}

function report(result: Result, least: number): number {
  const list = (counts: ReadonlyMap<string, number>): string =>
    [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
  console.log(`writes: ${list(result.byKind)}`);
  console.log(`on the primary because: ${list(mostOften(result.byReason))}`);
  console.log(`faults: ${list(result.byFault)}`);
  console.log(`errors: ${list(result.bySqlstate)}`);
  for (const line of result.figures) console.log(line);
  const problems = problemsOf(result, least);
  for (const problem of problems) console.log(problem);
  const { reads, writes, unknown, anomalies, seconds, share } = result;
  const served = `cache ${(share.cache * 100).toFixed(1)} %, replicas ${(share.replica * 100).toFixed(1)} %`;
  console.log(
    `${reads} reads checked in ${Math.round(seconds)} s, ${writes} writes, ${unknown} of unknown outcome; ${served}; ${anomalies.length} anomalies`,
  );
  return problems.length === 0 ? 0 : 1;
}
