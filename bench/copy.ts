/**
 * COPY of a gigabyte out of the server and into it, directly and through Weir; and the growth of Weir's memory.
 */
import { findProgram, runProgram } from '../integration/harness/programs.ts';
import type { Contestant } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { residentBytes } from './machine.ts';
import { medianOf } from './numbers.ts';
import { atLeast } from './report.ts';
import type { Section } from './report.ts';
import { ratio } from './throughput.ts';

/** One line of input, 1,000 bytes with its line feed. */
const LINE = 'x'.repeat(999);

async function timed(command: string, env: Readonly<Record<string, string>>): Promise<number> {
  const start = performance.now();
  const done = await runProgram('/bin/sh', ['-c', command], { env });
  if (done.code !== 0) throw new Error(`COPY failed: ${done.stderr}`);
  return (performance.now() - start) / 1000;
}

/** Megabytes per second. */
async function copyOut(psql: string, url: string, lines: number): Promise<number> {
  const sql = `COPY (SELECT repeat('x', 999) FROM generate_series(1, ${lines})) TO STDOUT`;
  const env = { PSQL: psql, URL: url, SQL: sql };
  return lines / 1000 / (await timed('"$PSQL" -X -q -c "$SQL" "$URL" > /dev/null', env));
}

async function copyIn(psql: string, url: string, lines: number): Promise<number> {
  const env = { PSQL: psql, URL: url, LINE, LINES: String(lines) };
  const command = 'yes "$LINE" | head -n "$LINES" | "$PSQL" -X -q -v ON_ERROR_STOP=1 -c "COPY sink FROM STDIN" "$URL"';
  return lines / 1000 / (await timed(command, env));
}

export async function bulkCopy(context: BenchContext): Promise<Section> {
  const psql = findProgram('psql');
  if (psql === undefined) throw new Error('psql is not installed');
  const database = 'bench';
  await context.cluster.query('CREATE UNLOGGED TABLE IF NOT EXISTS sink (line text)', { database });
  await context.cluster.query('GRANT ALL ON sink TO app', { database });
  const [weir, ...others] = await context.weirs();
  const ways: readonly Contestant[] = [context.direct, weir, ...others];
  const lines = context.isQuick ? 100_000 : 1_000_000;
  const figures = new Map(ways.map(({ name }) => [name, { out: [] as number[], into: [] as number[] }]));
  const before = residentBytes(weir.weir.pid);
  for (let round = 1; round <= Math.min(2, context.rounds); round++) {
    for (const way of ways) {
      const figure = figures.get(way.name);
      figure?.out.push(await copyOut(psql, way.url(), lines));
      await context.cluster.query('TRUNCATE sink', { database });
      figure?.into.push(await copyIn(psql, way.url(), lines));
      context.progress(`  round ${round}, ${way.name}: ${JSON.stringify(figure)} MB/s`);
    }
  }
  await context.cluster.query('DROP TABLE sink', { database });
  const after = residentBytes(weir.weir.pid);
  const of = (name: string): { out: number | undefined; into: number | undefined } => {
    const figure = figures.get(name);
    return { out: medianOf(figure?.out ?? []), into: medianOf(figure?.into ?? []) };
  };
  const direct = of(context.direct.name);
  const through = of(weir.name);
  const grown = before === undefined || after === undefined ? [] : [`Weir's memory grew by ${mb(after - before)} MB.`];
  return {
    title: `COPY, ${lines / 1000} MB`,
    about: 'Lines of 1,000 bytes through psql; the target is an unlogged table.',
    columns: ['', 'out, MB/s', 'in, MB/s'],
    rows: ways.map(({ name }) => ({ label: name, cells: [of(name).out, of(name).into] })),
    targets: [
      atLeast('COPY out: at least 0.7 x direct', ratio(through.out, direct.out), 0.7),
      atLeast('COPY in: at least 0.7 x direct', ratio(through.into, direct.into), 0.7),
    ],
    notes: grown,
  };
}

const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
