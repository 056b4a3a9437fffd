/**
 * Runs pgbench once and reads what it says: throughput, failures, and with a log the median latency.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, runProgram } from '../integration/harness/programs.ts';
import { cpuSeconds } from './machine.ts';
import { median } from './numbers.ts';

export type Protocol = 'simple' | 'extended' | 'prepared';

export interface PgbenchJob {
  readonly url: string;
  readonly clients: number;
  readonly seconds: number;
  readonly protocol: Protocol;
  /** -S, the built-in TPC-B, or the path of a script. */
  readonly workload: 'select-only' | 'tpcb-like' | { readonly file: string };
  /** The process whose CPU time is counted. */
  readonly pid?: number | undefined;
  /** Where to keep a log of every transaction while it runs, for the median latency. */
  readonly logDir?: string;
}

export interface PgbenchResult {
  readonly tps: number;
  /** Microseconds of the process's CPU time per transaction; undefined when it could not be measured. */
  readonly cpuPerTransactionUs: number | undefined;
  /** Microseconds; only with logDir. */
  readonly medianLatencyUs: number | undefined;
}

export function findPgbench(): string | undefined {
  return findProgram('pgbench');
}

export async function runPgbench(job: PgbenchJob): Promise<PgbenchResult> {
  const pgbench = findPgbench();
  if (pgbench === undefined) throw new Error('pgbench is not installed');
  const logDir = job.logDir === undefined ? undefined : mkdtempSync(join(job.logDir, 'latency-'));
  const workload = typeof job.workload === 'string' ? ['-b', job.workload] : ['-f', job.workload.file];
  const counts = ['-c', String(job.clients), '-j', String(Math.min(2, job.clients)), '-T', String(job.seconds)];
  const log = logDir === undefined ? [] : ['--log', `--log-prefix=${join(logDir, 'log')}`];
  const before = cpuSeconds(job.pid);
  const done = await runProgram(pgbench, ['-n', '-M', job.protocol, ...workload, ...counts, ...log, job.url]);
  const after = cpuSeconds(job.pid);
  const tps = Number(/^tps = ([\d.]+)/m.exec(done.stdout)?.[1]);
  const transactions = Number(/^number of transactions actually processed: (\d+)/m.exec(done.stdout)?.[1]);
  const aborted = /aborted|error:|failed transactions: [1-9]/i.test(done.stderr);
  if (done.code !== 0 || aborted || !(tps > 0)) throw new Error(`pgbench failed: ${done.stderr || done.stdout}`);
  const medianLatencyUs = logDir === undefined ? undefined : readMedianLatency(logDir);
  if (logDir !== undefined) rmSync(logDir, { recursive: true });
  const cpuPerTransactionUs =
    before === undefined || after === undefined ? undefined : ((after - before) / transactions) * 1e6;
  return { tps, cpuPerTransactionUs, medianLatencyUs };
}

/** Third column of pgbench's log: time of the transaction in microseconds (manual, pgbench, Per-Transaction Logging). */
function readMedianLatency(dir: string): number {
  const lines = readdirSync(dir).flatMap((name) => readFileSync(join(dir, name), 'latin1').split('\n'));
  return median(lines.filter((line) => line !== '').map((line) => Number(line.split(' ')[2])));
}
