/**
 * What is added for Weirs of several workers: a restart of one of them every 10 s, pgbench beside the checker, and at the end
 * nothing may be left: no client, no server connection, no lock, no open file, no process; and the memory of the process that was
 * started, which stays through all restarts, has not grown. Used by run.ts.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../integration/harness/child.ts';
import { findProgram } from '../integration/harness/programs.ts';
import type { RunDir } from '../integration/harness/run-dir.ts';
import { until } from '../integration/harness/until.ts';
import { isProcessRunning } from '../integration/harness/workers.ts';
import { median } from '../bench/numbers.ts';
import { processTree } from '../scripts/lib/processes.mjs';
import { openFiles, portsOf, residentMb } from './processes.ts';
import type { Place, Stage } from './stage.ts';

const restartEveryMs = 10_000;
const sampleEveryMs = 5_000;
const clients = 4;
/** What that process may have open more than at the start: a connection that has not been closed yet. */
const slackFiles = 8;
/** Of the last third of the samples against the second. */
const mayGrow = 1.25;
const mayGrowMb = 15;

const script = `\\set i random(1, 1000)
SELECT :i + 1;
BEGIN;
SELECT count(*) FROM pgbench_soak WHERE i = :i;
INSERT INTO pgbench_soak VALUES (:i);
END;
`;

/** A Weir process as it was when it was first seen; kill-weir puts another one into its place. */
interface Beginning {
  readonly pid: number;
  readonly files: number;
}

export class Rolling {
  private readonly stage: Stage;
  private readonly run: RunDir;
  private readonly isStrict: boolean;
  private readonly beginnings = new Map<Place, Beginning>();
  private readonly memory = new Map<number, number[]>();
  private readonly problems: string[] = [];
  private readonly timers: NodeJS.Timeout[];
  private readonly loads: Promise<void>[];
  private isOver = false;
  private statements = 0;
  private restarts = 0;

  /** @param isStrict only clients of killed workers may fail */
  constructor(stage: Stage, run: RunDir, isStrict: boolean) {
    this.stage = stage;
    this.run = run;
    this.isStrict = isStrict;
    for (const place of stage.places)
      this.beginnings.set(place, { pid: place.weir.pid, files: openFiles(place.weir.pid) });
    this.timers = [
      setInterval(() => this.restartNext(), restartEveryMs),
      setInterval(() => this.sample(), sampleEveryMs),
    ];
    this.loads = stage.places.flatMap((place) => ['simple', 'prepared'].map((mode) => this.load(place, mode)));
  }

  /** Call it when the other clients have left. @returns what is wrong */
  async end(): Promise<readonly string[]> {
    this.isOver = true;
    for (const timer of this.timers) clearInterval(timer);
    await Promise.all(this.loads);
    if (this.statements === 0) this.problems.push('pgbench has done nothing');
    for (const place of this.stage.places) await this.look(place);
    this.judgeMemory();
    for (const place of this.stage.places) await this.stop(place);
    await this.lookAtServers();
    return this.problems;
  }

  /** One after the other: the start of a worker takes a second or two of CPU time. */
  private restartNext(): void {
    const { places } = this.stage;
    const { weir } = places[this.restarts++ % places.length]!;
    if (weir.isRunning) weir.signal('SIGUSR2');
  }

  private sample(): void {
    for (const { weir } of this.stage.places) {
      if (!weir.isRunning) continue;
      const samples = this.memory.get(weir.pid) ?? [];
      samples.push(residentMb(weir.pid));
      this.memory.set(weir.pid, samples);
    }
  }

  /* ---- pgbench ---- */

  private async load(place: Place, mode: string): Promise<void> {
    const pgbench = findProgram('pgbench');
    if (pgbench === undefined) return;
    const { stage } = this;
    const file = join(this.run.dir, `soak-${place.name}-${mode}.sql`);
    writeFileSync(file, script);
    const table = 'CREATE TABLE IF NOT EXISTS pgbench_soak (i int); GRANT ALL ON pgbench_soak TO app';
    await stage.cluster.query(table, { database: place.world.name }).catch(() => undefined);
    while (!this.isOver) {
      const count = String(clients);
      const args = ['-n', '-c', count, '-j', count, '-T', '8', '-R', '200', '-M', mode, '-f', file];
      const url = place.weir.url({ user: 'app', database: place.world.name });
      const startedAtMs = performance.now();
      const child = new Child(this.run, pgbench, [...args, url]);
      const ports = await this.portsWhileItRuns(child);
      const done = Number(/actually processed: (\d+)/.exec(child.output)?.[1] ?? 0);
      this.statements += done;
      this.judge(child.output, stage.killed.countOf(ports, startedAtMs), `pgbench -M ${mode} of ${place.name}`);
      await sleep(200);
    }
  }

  /** Its clients connect at the beginning, and never again. */
  private async portsWhileItRuns(child: Child): Promise<Set<number>> {
    const ports = new Set<number>();
    while (child.isRunning) {
      for (const port of portsOf([child.pid], 'own')) ports.add(port);
      await Promise.race([child.exited, sleep(200)]);
    }
    return ports;
  }

  private judge(output: string, mayBeLost: number, who: string): void {
    if (!this.isStrict) return;
    const lost = output.match(/client \d+ (script \d+ )?aborted/g)?.length ?? 0;
    const failed = Number(/number of failed transactions: (\d+)/.exec(output)?.[1] ?? 0);
    const cannotConnect = /connection to server .* failed/.test(output);
    if (lost <= mayBeLost && failed === 0 && (!cannotConnect || mayBeLost > 0)) return;
    this.problems.push(`${who}: ${lost} clients lost, ${mayBeLost} were of killed workers: ${output.slice(0, 1_000)}`);
  }

  /* ---- the end ---- */

  private async look(place: Place): Promise<void> {
    const { weir, name } = place;
    if (!weir.isRunning) return void this.problems.push(`${name}: Weir does not run`);
    const rows = async (): Promise<Record<string, string>[]> => this.stage.ask(place, 'SHOW WORKERS');
    const isQuiet = async (): Promise<boolean> => {
      const workers = await rows();
      return workers.length > 0 && workers.every((row) => row['clients'] === '0' && row['state'] === 'ready');
    };
    await until('no client to be left', isQuiet, { timeoutMs: 60_000 }).catch(async () => {
      this.problems.push(`${name}: clients or old workers are left: ${JSON.stringify(await rows())}`);
    });
    const beginning = this.beginnings.get(place);
    if (beginning?.pid !== weir.pid) return;
    const most = beginning.files + slackFiles;
    await until('its files to be closed', () => openFiles(weir.pid) <= most, { timeoutMs: 20_000 }).catch(() => {
      this.problems.push(
        `${name}: the first process has ${openFiles(weir.pid)} open files, ${beginning.files} at first`,
      );
    });
  }

  private judgeMemory(): void {
    for (const [pid, samples] of this.memory) {
      const third = Math.floor(samples.length / 3);
      if (third < 6) continue;
      const [before, after] = [median(samples.slice(third, 2 * third)), median(samples.slice(-third))];
      if (after > before * mayGrow && after > before + mayGrowMb)
        this.problems.push(
          `memory of the first process ${pid} grows: ${before.toFixed(0)} MB, then ${after.toFixed(0)} MB`,
        );
    }
  }

  /** SIGTERM, and nothing of it runs any more. */
  private async stop({ weir, name }: Place): Promise<void> {
    if (!weir.isRunning) return;
    const pids = processTree(weir.pid);
    await weir.stop().catch((error: unknown) => void this.problems.push(`${name}: ${String(error).slice(0, 2_000)}`));
    await until('its processes to end', () => !pids.some(isProcessRunning), { timeoutMs: 15_000 }).catch(() => {
      this.problems.push(`${name}: processes are left: ${pids.filter(isProcessRunning).join(', ')}`);
    });
    for (const line of weir.output.split('\n'))
      if (/"event":"unexpected_error"/.test(line)) this.problems.push(`${name}: ${line.slice(0, 1_000)}`);
  }

  private async lookAtServers(): Promise<void> {
    const { cluster } = this.stage;
    const sql = `SELECT format('%s %s %s %s', usename, application_name, state, left(query, 80)) AS what
      FROM pg_stat_activity WHERE usename IN ('app', 'monitor')
      UNION ALL SELECT format('lock %s of process %s', mode, pid) FROM pg_locks WHERE pid <> pg_backend_pid()
        AND locktype IN ('relation', 'advisory', 'transactionid') AND pid IN (SELECT pid FROM pg_stat_activity WHERE usename = 'app')
      UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts`;
    for (const node of cluster.nodes) {
      let found: { what: string }[] = [];
      const isClean = async (): Promise<boolean> =>
        (found = await cluster.query<{ what: string }>(sql, { node })).length === 0;
      await until('nothing to be left', isClean, { timeoutMs: 30_000 }).catch(() => {
        for (const { what } of found) this.problems.push(`${node.name}: left: ${what}`);
      });
    }
  }
}
