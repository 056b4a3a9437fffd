/**
 * `npm run bench`: everything side by side on one PostgreSQL, and docs/benchmarks.md from what came out. scripts/bench.mjs
 * builds and starts it.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { startCluster } from '../integration/harness/cluster.ts';
import type { Cluster } from '../integration/harness/cluster.ts';
import { runProgram } from '../integration/harness/programs.ts';
import { checkoutDir, openRunDir } from '../integration/harness/run-dir.ts';
import { users } from '../integration/harness/template.ts';
import { classification } from './classification.ts';
import { DATABASE, direct, startPgBouncer, startWeirs } from './contestants.ts';
import type { Weirs } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { bulkCopy } from './copy.ts';
import { idleClients } from './idle.ts';
import { pressureConvoy } from './pressure/convoy.ts';
import { pressureCpu, pressureOverload, pressureStaying } from './pressure/overload.ts';
import { pressureRush } from './pressure/rush.ts';
import { machineFacts, versionOf } from './machine.ts';
import { findPgbench } from './pgbench.ts';
import { withSections } from './page.ts';
import { digest, page, sectionText } from './report.ts';
import type { Section } from './report.ts';
import { replayedSettings } from './replay.ts';
import { resizeUnderLoad } from './resize.ts';
import { addedLatency, cachedReads, selectOnly, tpcB } from './throughput.ts';
import { workersCached } from './workers-cached.ts';
import { workersIdle, workersSpread } from './workers-clients.ts';
import { workersFairness, workersSelectOnly } from './workers.ts';

const benchmarks: Readonly<Record<string, (context: BenchContext) => Promise<Section>>> = {
  simple: (context) => selectOnly(context, 'simple'),
  extended: (context) => selectOnly(context, 'extended'),
  prepared: (context) => selectOnly(context, 'prepared'),
  tpcb: tpcB,
  cached: (context) => cachedReads(context, 'simple'),
  'cached-prepared': (context) => cachedReads(context, 'prepared'),
  latency: addedLatency,
  replay: replayedSettings,
  idle: idleClients,
  copy: bulkCopy,
  resize: resizeUnderLoad,
  classify: classification,
  'pressure-overload': pressureOverload,
  'pressure-staying': pressureStaying,
  'pressure-cpu': pressureCpu,
  'pressure-convoy': pressureConvoy,
  'pressure-rush': pressureRush,
  'workers-select': workersSelectOnly,
  'workers-fair': workersFairness,
  'workers-cached': workersCached,
  'workers-idle': workersIdle,
  'workers-spread': workersSpread,
};

/** --only takes these, too. */
const groups: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  ['pressure', 'workers'].map((group) => [
    group,
    Object.keys(benchmarks).filter((name) => name.startsWith(`${group}-`)),
  ]),
);

/** pgbench's manual: at least as many branches as clients, or their update contention is what is measured. */
const SCALE = 40;

const usage = `npm run bench -- [--quick] [--only NAME]... [--seconds N] [--rounds N]
  --quick      a few seconds each: to see that it works; does not touch docs/benchmarks.md
  --only NAME  one of: ${Object.keys(benchmarks).join(' ')}; pressure, workers: all of these; prints, does not touch docs/benchmarks.md
  --write      with --only: puts what was measured into docs/benchmarks.md as it is
  --seconds N  of each measurement (8)
  --rounds N   how often each is repeated (3)
  --against DIR  also measures the Weir of another checkout (built with "npm run build"), in turns with this one`;

interface Options {
  readonly isQuick: boolean;
  readonly only: readonly string[];
  readonly isWriting: boolean;
  readonly seconds: number;
  readonly rounds: number;
  readonly against: string | undefined;
}

function readOptions(argv: readonly string[]): Options | string {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      write: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      against: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return usage;
  const only = values.only.flatMap((name) => groups[name] ?? [name]);
  const unknown = only.find((name) => !(name in benchmarks));
  if (unknown !== undefined) return `no benchmark is called "${unknown}"\n${usage}`;
  const seconds = Number(values.seconds ?? (values.quick ? 2 : 8));
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!(seconds >= 1) || !(rounds >= 1)) return usage;
  return { isQuick: values.quick, only, isWriting: values.write, seconds, rounds, against: values.against };
}

async function load(cluster: Cluster, scale: number): Promise<void> {
  await cluster.createDatabase(DATABASE);
  const url = cluster.url(cluster.primary, { user: users.app, database: DATABASE });
  const done = await runProgram(findPgbench() ?? 'pgbench', ['-i', '-q', '-s', String(scale), url]);
  if (done.code !== 0) throw new Error(`pgbench -i failed: ${done.stderr}`);
}

async function runAll(
  context: BenchContext,
  names: readonly string[],
): Promise<{ sections: Section[]; failed: string[] }> {
  const sections: Section[] = [];
  const failed: string[] = [];
  for (const name of names) {
    context.progress(name);
    try {
      const section = await benchmarks[name]?.(context);
      if (section === undefined) continue;
      sections.push(section);
      console.log(`\n${sectionText(section)}\n`);
    } catch (error) {
      failed.push(name);
      console.error(`${name} could not be measured:`, error);
    }
  }
  return { sections, failed };
}

const how = `\`pgbench\` (scale ${SCALE}, everything in memory, fsync off), the proxies and PostgreSQL share the machine. All
use the same PostgreSQL as the same user, without TLS. Weir runs with everything on (classification with the
catalog, routing, metrics, session consistency) and with the cache off unless it says otherwise.`;

export async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv);
  if (typeof options === 'string') {
    console.log(options);
    return options === usage ? 0 : 2;
  }
  if (findPgbench() === undefined) {
    console.error('pgbench is needed (Debian: apt-get install postgresql-contrib or postgresql-15)');
    return 1;
  }
  const run = openRunDir();
  const cluster = await startCluster({ run, replicas: 0, settings: { shared_buffers: '1GB', ssl: 'off' } });
  let weirs: Promise<Weirs> | undefined;
  try {
    await load(cluster, options.isQuick ? 2 : SCALE);
    const bouncer = await startPgBouncer(cluster, 'scram-sha-256');
    const context: BenchContext = {
      ...options,
      cluster,
      direct: direct(cluster),
      bouncer,
      weirs: () => (weirs ??= startWeirs(cluster, 'Weir', options.against)),
      dir: run.dir,
      progress: (text) => console.error(text),
    };
    const names = options.only.length > 0 ? options.only : Object.keys(benchmarks);
    const { sections, failed } = await runAll(context, names);
    const facts = {
      ...machineFacts(),
      PostgreSQL: cluster.version,
      pgbench: versionOf(findPgbench()) ?? '-',
      PgBouncer: bouncer?.version ?? 'none',
      measured: `${options.rounds} rounds of ${options.seconds} s each`,
    };
    await bouncer?.stop();
    // One that could not be started has been reported by the benchmark that wanted it.
    for (const weir of (await weirs?.catch(() => [])) ?? []) await weir.stop();
    if (isWhole(options, failed)) writeDown(page(facts, how, sections), digest(facts, sections));
    else if (options.isWriting) addToPage(options, sections);
    else console.log(page(facts, how, sections));
    return failed.length === 0 ? 0 : 1;
  } finally {
    await cluster.stop();
    await run.remove();
  }
}

function isWhole(options: Options, failed: readonly string[]): boolean {
  return !options.isQuick && options.only.length === 0 && options.against === undefined && failed.length === 0;
}

/** What was measured by itself, with how busy the machine was. */
function addToPage({ rounds, seconds }: Options, sections: readonly Section[]): void {
  const file = join(checkoutDir, 'docs/benchmarks.md');
  const busy = loadavg()
    .map((load) => load.toFixed(1))
    .join(', ');
  const measured = `Measured by itself: ${rounds} rounds of ${seconds} s each; load of the machine over the last 1, 5 and 15 minutes ${busy}.`;
  writeFileSync(file, withSections(readFileSync(file, 'utf8'), sections, measured));
  console.log('docs/benchmarks.md has what was measured.');
}

/** The page, and its short form in the README. */
function writeDown(text: string, short: string): void {
  const file = join(checkoutDir, 'docs/benchmarks.md');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  const readme = join(checkoutDir, 'README.md');
  const block = /(?<=<!-- bench:begin -->\n)[^]*(?=<!-- bench:end -->)/;
  writeFileSync(
    readme,
    readFileSync(readme, 'utf8').replace(block, () => `${short}\n\n`),
  );
  console.log('docs/benchmarks.md and the figures in README.md are written.');
}
