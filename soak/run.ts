/**
 * One run: both worlds at work, faults by a schedule that the seed decides, then quiet until all agree, and what was found.
 * Used by `npm run soak` and by integration/consistency.test.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunDir } from '../integration/harness/run-dir.ts';
import type { WeirConfig } from '../integration/harness/weir.ts';
import type { Fault } from './faults.ts';
import { faults as allFaults } from './faults.ts';
import type { Anomaly, Level } from './history.ts';
import { KilledWorkers } from './killed-workers.ts';
import { kinds as allKinds } from './kinds.ts';
import type { Kind } from './kinds.ts';
import { formKinds, formsOf, tables as allTables } from './model.ts';
import type { FormKind, Table } from './model.ts';
import { Random } from './random.ts';
import { Rolling } from './rolling.ts';
import { Stage } from './stage.ts';
import { usualMeasures } from './world.ts';
import type { Measures, World } from './world.ts';

export interface RunOptions extends Partial<Measures> {
  readonly run: RunDir;
  readonly seed: number;
  /** At most. */
  readonly seconds: number;
  /** Over as soon as so many are checked, if that is sooner. */
  readonly reads?: number;
  readonly kinds?: readonly Kind[];
  readonly forms?: readonly FormKind[];
  /** How much work the reads of the form `heavy` are. */
  readonly heavyRows?: number | undefined;
  readonly faults?: readonly Fault[];
  readonly config?: WeirConfig;
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly worlds?: readonly ('shared' | 'alone')[];
  /** Only these are read; all unless given. */
  readonly tables?: readonly Table[];
  /** Nobody knows of the replicas: what is old is of a cache. */
  readonly isPrimaryOnly?: boolean;
  /** How likely a long time without faults follows one: what a fault has left in caches is used. 0 unless given. */
  readonly calm?: number;
  /** Of each reading session the level; undefined: what the configuration says, judged as `session`. */
  readonly readers?: readonly (Level | undefined)[];
  /** Weirs of several workers: every 10 s one is restarted, each has pgbench as well and must leave nothing behind. */
  readonly rolling?: boolean;
  /** Over as soon as something is found. */
  readonly stopsAtFirst?: boolean;
  readonly say?: (line: string) => void;
}

export interface Result {
  readonly reads: number;
  readonly writes: number;
  readonly unknown: number;
  readonly seconds: number;
  /** Of a sample of the checked reads, the share that replicas and cache answered. */
  readonly share: { readonly cache: number; readonly replica: number; readonly sample: number };
  readonly anomalies: readonly Anomaly[];
  readonly unexpected: readonly string[];
  readonly stuck: readonly string[];
  /** What Weirs have left behind, and what became more and more: see rolling.ts. */
  readonly left: readonly string[];
  /** Of restarts, pgbench and memory, for people. */
  readonly figures: readonly string[];
  readonly byFault: ReadonlyMap<string, number>;
  /** Why reads went to the primary, of the sample. */
  readonly byReason: ReadonlyMap<string, number>;
  readonly byKind: ReadonlyMap<string, number>;
  readonly bySqlstate: ReadonlyMap<string, number>;
}

/** Longer than the longest fault and query_wait_timeout together. */
const usualStuckMs = 45_000;
/** Where nobody may get an error, limits are for what hangs: on a busy machine, much takes long. */
const patience = { query_wait_timeout: '60s', server_connect_timeout: '30s', shutdown_timeout: '60s' };
const patientStuckMs = 100_000;
/** After the last write, so that the bound on age becomes a test of convergence. */
const quietMs = 9_000;
const readers: readonly Level[] = [...Array.from({ length: 10 }, () => 'session' as const), 'eventual', 'strict'];

export async function runSoak(options: RunOptions): Promise<Result> {
  const random = new Random(options.seed);
  const { tables = allTables } = options;
  const killed = new KilledWorkers();
  const isHarmless = (options.faults ?? allFaults).every((fault) => fault.isHarmless === true);
  const stage = await Stage.start({
    ...options,
    config: { ...(isHarmless ? patience : {}), ...options.config },
    random: random.fork(),
    killed,
    world: {
      killed: isHarmless ? killed : undefined,
      ...usualMeasures,
      ...options,
      kinds: options.kinds ?? allKinds,
      forms: formsOf(new Set(options.forms ?? formKinds), options.heavyRows).filter(({ first, second = first }) =>
        [first, second].every((table) => tables.includes(table)),
      ),
      hasTransactions: (options.forms ?? formKinds).includes('read only'),
      readers: options.readers ?? readers,
    },
  });
  try {
    return await new Run(stage, options, random.fork()).go();
  } finally {
    await stage.stop();
  }
}

class Run {
  private readonly stage: Stage;
  private readonly options: RunOptions;
  private readonly random: Random;
  private readonly byFault = new Map<string, number>();
  private readonly startedAtMs = performance.now();
  private readonly stuck = new Set<string>();
  private playing: string[] = [];
  private told = 0;
  /** What is not as it was at the beginning. */
  private readonly left: string[] = [];
  private readonly figures: string[] = [];

  constructor(stage: Stage, options: RunOptions, random: Random) {
    this.stage = stage;
    this.options = options;
    this.random = random;
  }

  private get worlds(): readonly World[] {
    return this.stage.worlds;
  }

  private get elapsedMs(): number {
    return performance.now() - this.startedAtMs;
  }

  async go(): Promise<Result> {
    const working = Promise.all(this.worlds.map((world) => world.work()));
    const rolling =
      this.options.rolling === true ? new Rolling(this.stage, this.options.run, this.isStrict) : undefined;
    const ticker = setInterval(() => this.tick(), 1_000);
    try {
      await Promise.race([this.playFaults(), working]);
      for (const world of this.worlds) world.pauses++;
      if (!this.isFound) await sleep(quietMs);
      for (const world of this.worlds) world.isOver = true;
      const late = sleep(this.stuckMs, 'late' as const);
      if ((await Promise.race([working, late])) === 'late') this.noteStuck(0);
      this.left.push(...((await rolling?.end()) ?? []));
      this.figures.push(...(rolling?.figures() ?? []));
    } finally {
      clearInterval(ticker);
    }
    this.tick();
    return this.result();
  }

  private get isStrict(): boolean {
    return this.worlds.some(({ options }) => options.killed !== undefined);
  }

  private get stuckMs(): number {
    return this.isStrict ? patientStuckMs : usualStuckMs;
  }

  private get reads(): number {
    return this.worlds.reduce((sum, { ledger }) => sum + ledger.reads, 0);
  }

  private get isFound(): boolean {
    return this.options.stopsAtFirst === true && this.worlds.some(({ ledger }) => ledger.anomalies.length > 0);
  }

  private async playFaults(): Promise<void> {
    const { random, options } = this;
    const faults = options.faults ?? allFaults;
    const isOver = (): boolean =>
      this.elapsedMs > options.seconds * 1_000 || this.reads >= (options.reads ?? Infinity) || this.isFound;
    // Caches fill first, and a run without faults is one as well.
    await this.pause(2_000, isOver);
    while (!isOver()) {
      if (faults.length > 0) {
        const first = random.pick(faults);
        const others = faults.filter(({ group }) => group !== first.group);
        const both = random.chance(0.3) && others.length > 0 ? [first, random.pick(others)] : [first];
        await Promise.all(both.map((fault) => this.playFault(fault)));
      }
      const isCalm = random.chance(options.calm ?? 0);
      await this.pause(isCalm ? random.between(5_000, 20_000) : random.between(200, 2_500), isOver);
    }
  }

  private async pause(ms: number, isOver: () => boolean): Promise<void> {
    for (let left = ms; left > 0 && !isOver(); left -= 100) await sleep(Math.min(100, left));
  }

  private async playFault(fault: Fault): Promise<void> {
    this.byFault.set(fault.name, (this.byFault.get(fault.name) ?? 0) + 1);
    const startedAtMs = performance.now();
    this.playing.push(fault.name);
    await fault.play(this.stage, this.random.fork());
    this.playing = this.playing.filter((name) => name !== fault.name);
    this.options.say?.(`  fault ${fault.name} ${startedAtMs.toFixed(0)}-${performance.now().toFixed(0)}`);
  }

  private noteStuck(limitMs: number): void {
    for (const world of this.worlds) for (const name of world.stuck(limitMs)) this.stuck.add(name);
  }

  private tick(): void {
    this.noteStuck(this.stuckMs);
    const { say } = this.options;
    if (say === undefined) return;
    for (const world of this.worlds) {
      for (const { text, history } of world.ledger.anomalies.slice(this.told, this.told + 5)) {
        say(`ANOMALY ${text}`);
        for (const line of history) say(`    ${line}`);
      }
    }
    this.told = Math.max(...this.worlds.map(({ ledger }) => ledger.anomalies.length));
    if (Math.round(this.elapsedMs / 1_000) % 10 === 0) say(this.progress());
  }

  private progress(): string {
    const { reads, writes, share, anomalies } = this.result();
    const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;
    const rate = Math.round(reads / (this.elapsedMs / 1_000));
    const during = this.playing.length === 0 ? '' : `, ${this.playing.join(' and ')}`;
    return `${Math.round(this.elapsedMs / 1_000)} s: ${reads} reads checked (${rate}/s), ${writes} writes, cache ${percent(share.cache)}, replicas ${percent(share.replica)}, ${anomalies.length} anomalies${during}`;
  }

  private result(): Result {
    const { worlds } = this;
    const sum = (of: (world: World) => number): number => worlds.reduce((total, world) => total + of(world), 0);
    const sample = sum(({ byRoute }) => byRoute.cache + byRoute.replica + byRoute.primary);
    const merged = (of: (world: World) => ReadonlyMap<string, number>): Map<string, number> => {
      const all = new Map<string, number>();
      for (const world of worlds) for (const [key, n] of of(world)) all.set(key, (all.get(key) ?? 0) + n);
      return all;
    };
    return {
      reads: this.reads,
      writes: sum(({ ledger }) => ledger.writes),
      unknown: sum(({ ledger }) => ledger.unknown),
      seconds: this.elapsedMs / 1_000,
      share: {
        cache: sample === 0 ? 0 : sum(({ byRoute }) => byRoute.cache) / sample,
        replica: sample === 0 ? 0 : sum(({ byRoute }) => byRoute.replica) / sample,
        sample,
      },
      anomalies: worlds.flatMap(({ ledger }) => ledger.anomalies),
      unexpected: worlds.flatMap(({ unexpected }) => unexpected),
      left: this.left,
      figures: this.figures,
      stuck: [...this.stuck],
      byFault: this.byFault,
      byReason: merged(({ byReason }) => byReason),
      byKind: merged(({ byKind }) => byKind),
      bySqlstate: merged(({ bySqlstate }) => bySqlstate),
    };
  }
}
