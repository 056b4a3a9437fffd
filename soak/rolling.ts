/**
 * What is added for Weirs of several workers: `weir restart` of one of them every 10 s, pgbench beside the checker, and at the
 * end nothing may be left: no client, no server connection, no lock, no open file, no file, no process. What else is watched:
 * memory (weir-memory.ts), the limits of pools (limit-watch.ts), logs (log-watch.ts). Used by run.ts.
 */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Child } from '../integration/harness/child.ts';
import { checkoutDir } from '../integration/harness/run-dir.ts';
import type { RunDir } from '../integration/harness/run-dir.ts';
import { until } from '../integration/harness/until.ts';
import { isProcessRunning } from '../integration/harness/workers.ts';
import { processTree } from '../scripts/lib/processes.mjs';
import { Load } from './load.ts';
import { LimitWatch } from './limit-watch.ts';
import { LogWatch } from './log-watch.ts';
import { openFiles, partsOf } from './processes.ts';
import type { Role } from './processes.ts';
import { mostServers } from './stage.ts';
import type { Place, Stage } from './stage.ts';
import { WeirMemory } from './weir-memory.ts';

const restartEveryMs = 10_000;
const sampleEveryMs = 4_000;
/** Longer than any restart: what has not ended by then hangs. */
const restartWithinMs = 180_000;
/** What a process may have open more than its like at the start: server connections, a client that is just leaving. */
const slackFiles: Readonly<Record<Role, number>> = { first: 8, supervisor: 8, worker: 24 };

/** A Weir process as it was when it was first seen; kill-weir puts another one into its place. */
interface Beginning {
  readonly pid: number;
  readonly files: ReadonlyMap<Role, number>;
  /** In its directory. */
  readonly names: readonly string[];
}

const namesBeside = (place: Place): string[] => readdirSync(dirname(place.weir.configFile)).sort();

/** Of each role the most that one process has open. */
function filesOf(weirPid: number): Map<Role, number> {
  const most = new Map<Role, number>();
  for (const { pid, role } of partsOf(weirPid)) most.set(role, Math.max(most.get(role) ?? 0, openFiles(pid) ?? 0));
  return most;
}

export class Rolling {
  private readonly stage: Stage;
  private readonly run: RunDir;
  private readonly isStrict: boolean;
  private readonly beginnings = new Map<Place, Beginning>();
  private readonly memory = new Map<Place, WeirMemory>();
  private readonly logs = new Map<Place, LogWatch>();
  private readonly restarting = new Map<Place, Promise<void>>();
  private readonly problems: string[] = [];
  private readonly timers: NodeJS.Timeout[];
  private readonly load: Load;
  private readonly limits: LimitWatch | undefined;
  private turn = 0;
  private readonly counts = { asked: 0, done: 0, beside: 0, skipped: 0 };

  /** @param isStrict only clients of killed workers may fail */
  constructor(stage: Stage, run: RunDir, isStrict: boolean) {
    this.stage = stage;
    this.run = run;
    this.isStrict = isStrict;
    for (const place of stage.places) {
      const { pid } = place.weir;
      this.beginnings.set(place, { pid, files: filesOf(pid), names: namesBeside(place) });
      this.memory.set(place, new WeirMemory());
      this.logs.set(place, new LogWatch(stage.killed.pids));
    }
    this.timers = [
      setInterval(() => this.restartNext(), restartEveryMs),
      setInterval(() => this.sample(), sampleEveryMs),
    ];
    this.load = new Load(stage, run, isStrict);
    const limits = stage.worlds.map(({ name, seats }) => [name, seats.length * mostServers] as const);
    this.limits = isStrict ? new LimitWatch(stage.cluster, new Map(limits)) : undefined;
  }

  /** Call it when the other clients have left. @returns what is wrong */
  async end(): Promise<readonly string[]> {
    const [restarts, samples] = this.timers;
    clearInterval(restarts);
    await Promise.all([this.load.end(), ...this.restarting.values()]);
    clearInterval(samples);
    await this.limits?.end();
    this.problems.push(...this.load.problems, ...(this.limits?.problems() ?? []));
    for (const place of this.stage.places) await this.look(place);
    for (const [{ name }, memory] of this.memory)
      this.problems.push(...memory.problems().map((what) => `${name}: ${what}`));
    for (const place of this.stage.places) await this.stop(place);
    for (const [{ name }, log] of this.logs)
      this.problems.push(...log.problems(this.isStrict).map((what) => `${name}: ${what}`));
    await this.lookAtServers();
    return this.problems;
  }

  /** Lines for people. */
  figures(): string[] {
    const { asked, done, beside, skipped } = this.counts;
    const { killed } = this.stage;
    const lost = [...killed.lost].map(([why, count]) => `${count} ${why}`);
    return [
      `weir restart: ${asked} times, ${done} done, ${beside} cut off by the kill of a worker, ${skipped} left out because one was under way`,
      `workers killed: ${killed.pids.size}; connections that the checker has lost: ${lost.length === 0 ? 'none' : lost.join('; ')}`,
      this.load.figures(),
      ...(this.limits === undefined ? [] : [this.limits.figures()]),
      ...[...this.memory].map(([{ name }, memory]) => `${name}: ${memory.figures()}`),
      ...[...this.logs].map(([{ name }, log]) => `${name}: log: ${log.figures()}`),
    ];
  }

  /* ---- restarts ---- */

  /** One Weir after the other: the start of a worker takes a second or two of CPU time. */
  private restartNext(): void {
    const { places } = this.stage;
    const place = places[this.turn++ % places.length]!;
    if (this.restarting.has(place)) this.counts.skipped++;
    else if (place.weir.isRunning)
      this.restarting.set(
        place,
        this.restart(place).finally(() => this.restarting.delete(place)),
      );
  }

  private async restart(place: Place): Promise<void> {
    const startedAtMs = performance.now();
    this.counts.asked++;
    const { weir, name } = place;
    const args = [join(checkoutDir, 'bin/weir.js'), 'restart', '--url', weir.adminUrl(), '--timeout'];
    const child = new Child(this.run, process.execPath, [...args, `${restartWithinMs}ms`]);
    const { code } = await child.exited;
    if (code === 0) {
      this.counts.done++;
      if (this.isStrict && /had to connect again/.test(child.output))
        this.problems.push(`${name}: weir restart: ${child.output}`);
      return;
    }
    // The console that it talks to may be one of the killed worker.
    if (!this.isStrict || this.wasItsConsoleKilled(child.output, startedAtMs)) this.counts.beside++;
    else this.problems.push(`${name}: weir restart: ${child.output}`);
  }

  private wasItsConsoleKilled(output: string, startedAtMs: number): boolean {
    return this.stage.killed.wasOneKilled(startedAtMs) && /terminated|ECONNRESET|EPIPE|closed/i.test(output);
  }

  private sample(): void {
    for (const [place, memory] of this.memory) {
      if (place.weir.isRunning) memory.look(place.weir.pid);
      this.logs.get(place)?.look(place.weir.output);
    }
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
    if (beginning?.pid === weir.pid) await this.lookAtFiles(place, beginning);
  }

  private async lookAtFiles(place: Place, { files, names }: Beginning): Promise<void> {
    const { weir, name } = place;
    let tooMany: string[] = [];
    const areClosed = (): boolean => {
      tooMany = [...filesOf(weir.pid)].flatMap(([role, count]) => {
        // The first process was the supervisor when it was counted.
        const before = files.get(role) ?? files.get('first') ?? 0;
        return count <= before + slackFiles[role] ? [] : [`${role} has ${count} open files, ${before} at first`];
      });
      return tooMany.length === 0;
    };
    await until('its files to be closed', areClosed, { timeoutMs: 20_000 }).catch(() => {
      this.problems.push(`${name}: ${tooMany.join('; ')}`);
    });
    const more = namesBeside(place).filter((each) => !names.includes(each));
    if (more.length > 0) this.problems.push(`${name}: files are left: ${more.join(', ')}`);
  }

  /** SIGTERM, and nothing of it runs any more. */
  private async stop(place: Place): Promise<void> {
    const { weir, name } = place;
    if (!weir.isRunning) return;
    const pids = processTree(weir.pid);
    await weir.stop().catch((error: unknown) => void this.problems.push(`${name}: ${String(error).slice(0, 2_000)}`));
    await until('its processes to end', () => !pids.some(isProcessRunning), { timeoutMs: 15_000 }).catch(() => {
      this.problems.push(`${name}: processes are left: ${pids.filter(isProcessRunning).join(', ')}`);
    });
    this.logs.get(place)?.look(weir.output);
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
