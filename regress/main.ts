/**
 * `npm run regress`: PostgreSQL's regression suite straight and through Weir, and the files whose output differs. What
 * differs between two straight runs is nobody's doing and is told apart. scripts/regress.mjs builds and starts it.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startCluster, type Cluster } from '../integration/harness/cluster.ts';
import { findProgram } from '../integration/harness/programs.ts';
import { openRunDir, type RunDir } from '../integration/harness/run-dir.ts';
import { serverDir } from '../integration/harness/template.ts';
import { startWeir, weirConfig, type WeirConfig } from '../integration/harness/weir.ts';
import { compare, report, type Outcome } from './compare.ts';
import { createRegressionDatabase, DATABASE, openSuite, runSuite, type Suite } from './suite.ts';

const usage = `npm run regress -- --suite DIR [--mode session|transaction]... [--pool N] [--parallel] [--single-use] [--only NAME]... [--out DIR]
  --suite DIR   src/test/regress of a PostgreSQL's source, of the version of the server; with a regress.so in it
                (regress.c, compiled) also the files run that call functions in C
  --mode MODE   one pool mode only
  --pool N      server connections in transaction mode; they take turns (3, or 20 with --parallel)
  --parallel    the files of one line of the schedule at the same time, as pg_regress does
  --single-use  server_lifetime: 0, so that no client gets a server that another has used
  --only NAME   only these files, and test_setup before them
  --out DIR     keep the output of every file here (a new directory in the directory for temporary files)
WEIR_TEST_PG_BIN chooses the server, as for the tests; psql is the first in the PATH of its version.`;

interface Options {
  readonly source: string;
  readonly modes: readonly string[];
  readonly poolSize: number;
  readonly isParallel: boolean;
  readonly isSingleUse: boolean;
  readonly only: ReadonlySet<string>;
  readonly out: string;
}

function readOptions(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      suite: { type: 'string' },
      mode: { type: 'string', multiple: true, default: ['session', 'transaction'] },
      pool: { type: 'string' },
      parallel: { type: 'boolean', default: false },
      'single-use': { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      out: { type: 'string' },
    },
  });
  const poolSize = Number(values.pool ?? (values.parallel ? 20 : 3));
  const isKnown = values.mode.every((mode) => mode === 'session' || mode === 'transaction');
  if (values.suite === undefined || !Number.isInteger(poolSize) || poolSize < 1 || !isKnown) return undefined;
  return {
    source: values.suite,
    modes: values.mode,
    poolSize,
    isParallel: values.parallel,
    isSingleUse: values['single-use'],
    only: new Set(values.only.length === 0 ? [] : ['test_setup', ...values.only]),
    out: values.out ?? mkdtempSync(join(tmpdir(), 'weir-regress-')),
  };
}

/** A server on which everybody may be anybody, as the suite wants it. */
function startServer(run: RunDir): Promise<Cluster> {
  const hba = join(serverDir(run, 'hba'), 'pg_hba.conf');
  writeFileSync(hba, 'host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n', { mode: 0o644 });
  const settings = { hba_file: hba, max_prepared_transactions: '2', ssl: 'off', shared_buffers: '128MB' };
  return startCluster({ run, replicas: 0, settings });
}

function poolsOf(mode: string, { poolSize, isSingleUse }: Options): WeirConfig {
  const size = mode === 'session' ? 30 : poolSize;
  return {
    pool_mode: mode,
    default_pool_size: size,
    max_pool_size: size,
    min_pool_size: mode === 'session' ? 0 : size,
    server_round_robin: true,
    ...(isSingleUse ? { server_lifetime: 0 } : {}),
    query_wait_timeout: '120s',
    auth: { type: 'trust' },
    resize: { enabled: false },
    log: { level: 'warn' },
  };
}

async function runWay(way: string, suite: Suite, run: RunDir, options: Options): Promise<string[]> {
  const psql = findProgram('psql');
  if (psql === undefined) throw new Error('psql is not installed (Debian: apt-get install postgresql-client)');
  const cluster = await startServer(run);
  try {
    await createRegressionDatabase(cluster.primary.port);
    const config = weirConfig(cluster, { database: DATABASE, serverUser: null }, poolsOf(way, options));
    const databases = config['databases'] as Record<string, unknown>;
    databases['*'] = { primary: `postgres://127.0.0.1:${cluster.primary.port}` };
    const weir = way.startsWith('straight') ? undefined : await startWeir(config, { run });
    const results = join(options.out, way, 'results');
    mkdirSync(results, { recursive: true });
    try {
      const hung = await runSuite({
        ...{ suite, psql, results, only: options.only, isParallel: options.isParallel },
        build: join(serverDir(run, `build-${way}/results`), '..'),
        port: weir?.port ?? cluster.primary.port,
        progress: (name) => process.stderr.write(`\r\x1b[K${way}: ${name}`),
      });
      process.stderr.write('\n');
      return hung;
    } finally {
      if (weir !== undefined) writeFileSync(join(options.out, way, 'weir.log'), weir.output);
      await weir?.stop();
    }
  } finally {
    writeFileSync(join(options.out, way, 'server.log'), cluster.primary.log);
    await cluster.stop();
  }
}

export async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv);
  if (options === undefined) {
    console.log(usage);
    return 2;
  }
  const run = openRunDir();
  try {
    const suite = openSuite(options.source, run);
    const names = suite.groups.flat().filter((name) => options.only.size === 0 || options.only.has(name));
    for (const way of ['straight', 'straight-again']) await runWay(way, suite, run, options);
    const outcomes: Outcome[] = [];
    for (const mode of options.modes) {
      const hung = await runWay(mode, suite, run, options);
      outcomes.push(compare(options.out, mode, names, hung));
    }
    console.log(report(outcomes, options.out));
    return outcomes.every(({ differing }) => differing.length === 0) ? 0 : 1;
  } finally {
    await run.remove();
  }
}
