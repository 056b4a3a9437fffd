/**
 * Runs pgbench once and reads what it says: throughput, failures, and with a log the median latency.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, runProgram } from '../integration/harness/programs.ts';
import { cpuSeconds, cpuSecondsOfEnded } from './machine.ts';
import { difference, median } from './numbers.ts';

export type Protocol = 'simple' | 'extended' | 'prepared';

export interface PgbenchJob {
  readonly url: string;
  readonly clients: number;
  readonly seconds: number;
  readonly protocol: Protocol;
  /** -S, the built-in TPC-B, or the path of a script. */
  readonly workload: 'select-only' | 'tpcb-like' | { readonly file: string };
  /** The processes whose CPU time is counted. */
  readonly pids?: readonly number[];
  /** Where to keep a log of every transaction while it runs, for the median latency and the transactions of each client. */
  readonly logDir?: string;
  /** Of pgbench: 2, unless there are fewer clients. */
  readonly threads?: number;
  /** Variables of the script. */
  readonly variables?: Readonly<Record<string, string>>;
}

export interface PgbenchResult {
  readonly tps: number;
  readonly transactions: number;
  /** CPU time of the processes; undefined when it could not be measured. */
  readonly cpuSeconds: number | undefined;
  /** That of pgbench itself. */
  readonly loadCpuSeconds: number | undefined;
  /** Microseconds of the processes' CPU time per transaction. */
  readonly cpuPerTransactionUs: number | undefined;
  /** Microseconds; only with logDir. */
  readonly medianLatencyUs: number | undefined;
  /** By the number of the client, from 0; only with logDir. */
  readonly byClient: ReadonlyMap<number, number>;
}

export function findPgbench(): string | undefined {
  return findProgram('pgbench');
}

export async function runPgbench(job: PgbenchJob): Promise<PgbenchResult> {
  const pgbench = findPgbench();
  if (pgbench === undefined) throw new Error('pgbench is not installed');
  const logDir = job.logDir === undefined ? undefined : mkdtempSync(join(job.logDir, 'latency-'));
  const workload = typeof job.workload === 'string' ? ['-b', job.workload] : ['-f', job.workload.file];
  const threads = String(job.threads ?? Math.min(2, job.clients));
  const counts = ['-c', String(job.clients), '-j', threads, '-T', String(job.seconds)];
  const variables = Object.entries(job.variables ?? {}).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
  const log = logDir === undefined ? [] : ['--log', `--log-prefix=${join(logDir, 'log')}`];
  const { pids = [] } = job;
  const before = { proxy: cpuSeconds(pids), load: cpuSecondsOfEnded() };
  const options = ['-n', '-M', job.protocol, ...workload, ...counts, ...variables, ...log];
  const done = await runProgram(pgbench, [...options, job.url]);
  const used = difference(cpuSeconds(pids), before.proxy);
  const tps = Number(/^tps = ([\d.]+)/m.exec(done.stdout)?.[1]);
  const transactions = Number(/^number of transactions actually processed: (\d+)/m.exec(done.stdout)?.[1]);
  const aborted = /aborted|error:|failed transactions: [1-9]/i.test(done.stderr);
  if (done.code !== 0 || aborted || !(tps > 0)) throw new Error(`pgbench failed: ${done.stderr || done.stdout}`);
  const logged = logDir === undefined ? undefined : readLog(logDir);
  if (logDir !== undefined) rmSync(logDir, { recursive: true });
  return {
    tps,
    transactions,
    cpuSeconds: used,
    loadCpuSeconds: difference(cpuSecondsOfEnded(), before.load),
    cpuPerTransactionUs: used === undefined ? undefined : (used / transactions) * 1e6,
    medianLatencyUs: logged?.medianLatencyUs,
    byClient: logged?.byClient ?? new Map(),
  };
}

/**
 * First and third column of pgbench's log: number of the client, time of the transaction in microseconds (manual, pgbench,
 * Per-Transaction Logging).
 */
function readLog(dir: string): { medianLatencyUs: number; byClient: Map<number, number> } {
  const lines = readdirSync(dir).flatMap((name) => readFileSync(join(dir, name), 'latin1').split('\n'));
  const byClient = new Map<number, number>();
  const latencies: number[] = [];
  for (const line of lines) {
    if (line === '') continue;
    const [client = '', , time] = line.split(' ');
    byClient.set(Number(client), (byClient.get(Number(client)) ?? 0) + 1);
    latencies.push(Number(time));
  }
  return { medianLatencyUs: median(latencies), byClient };
}
