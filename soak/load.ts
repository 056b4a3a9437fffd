/**
 * pgbench beside the checker: in its modes, a few clients each, again and again until it is over. A client that fails must have
 * been one of a killed worker. Used by rolling.ts.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../integration/harness/child.ts';
import { findProgram } from '../integration/harness/programs.ts';
import type { RunDir } from '../integration/harness/run-dir.ts';
import type { Place, Stage } from './stage.ts';

const modes = ['simple', 'extended', 'prepared'];
const clients = 4;
const perStart = ['-n', '-c', String(clients), '-j', String(clients), '-T', '8', '-R', '200'];

const script = `\\set i random(1, 1000)
SELECT :i + 1;
BEGIN;
SELECT count(*) FROM pgbench_soak WHERE i = :i;
INSERT INTO pgbench_soak VALUES (:i);
END;
`;
/** Of one transaction of the script. */
const statementsEach = 5;

export class Load {
  isOver = false;
  readonly problems: string[] = [];
  private readonly stage: Stage;
  private readonly run: RunDir;
  private readonly isStrict: boolean;
  private readonly working: Promise<void>;
  private readonly counts = { starts: 0, transactions: 0, lost: 0, doomed: 0, notConnected: 0 };

  /** @param isStrict only clients of killed workers may fail */
  constructor(stage: Stage, run: RunDir, isStrict: boolean) {
    this.stage = stage;
    this.run = run;
    this.isStrict = isStrict;
    this.working = Promise.all(stage.places.map((place) => this.workAt(place))).then(() => undefined);
  }

  /** Resolves when its clients have left. */
  async end(): Promise<void> {
    this.isOver = true;
    await this.working;
    if (this.counts.transactions === 0) this.problems.push('pgbench has done nothing');
  }

  /** One line for people. */
  figures(): string {
    const { starts, transactions, lost, doomed, notConnected } = this.counts;
    return `pgbench: ${starts} starts, ${transactions} transactions of ${statementsEach} statements; ${lost} clients lost, ${doomed} were of killed workers; ${notConnected} starts could not connect`;
  }

  private async workAt(place: Place): Promise<void> {
    const pgbench = findProgram('pgbench');
    if (pgbench === undefined) return;
    const table = 'CREATE TABLE IF NOT EXISTS pgbench_soak (i int); GRANT ALL ON pgbench_soak TO app';
    await this.stage.cluster.query(table, { database: place.world.name }).catch(() => undefined);
    const file = join(this.run.dir, `soak-${place.name}.sql`);
    writeFileSync(file, script);
    await Promise.all(modes.map((mode) => this.work(place, pgbench, mode, file)));
  }

  private async work(place: Place, pgbench: string, mode: string, file: string): Promise<void> {
    const { stage, counts } = this;
    while (!this.isOver) {
      const url = place.weir.url({ user: 'app', database: place.world.name });
      const startedAtMs = performance.now();
      const child = new Child(this.run, pgbench, [...perStart, '-M', mode, '-f', file, url]);
      stage.killed.watch(child.pid);
      await child.exited;
      counts.starts++;
      counts.transactions += Number(/actually processed: (\d+)/.exec(child.output)?.[1] ?? 0);
      this.judge(child.output, stage.killed.unwatch(child.pid), {
        who: `pgbench -M ${mode} of ${place.name}`,
        wasOneKilled: stage.killed.wasOneKilled(startedAtMs),
      });
      await sleep(200);
    }
  }

  private judge(output: string, doomed: number, { who, wasOneKilled }: { who: string; wasOneKilled: boolean }): void {
    const { counts } = this;
    const lost = output.match(/client \d+ (script \d+ )?aborted/g)?.length ?? 0;
    const failed = Number(/number of failed transactions: (\d+)/.exec(output)?.[1] ?? 0);
    const isNotConnected = /connection to server .* failed/.test(output);
    counts.lost += lost;
    counts.doomed += doomed;
    if (isNotConnected) counts.notConnected++;
    if (!this.isStrict || (lost <= doomed && failed === 0 && (!isNotConnected || wasOneKilled))) return;
    this.problems.push(`${who}: ${lost} clients lost, ${doomed} were of killed workers: ${output.slice(0, 1_000)}`);
  }
}
