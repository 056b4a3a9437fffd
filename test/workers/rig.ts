/** Three workers with made-up figures, their supervisor's switchboard, and the memory wires between them. */
import { createConsole } from '../../src/console/console.ts';
import type { ConsoleSources, Gather } from '../../src/console/sources.ts';
import type { CommandResult, Value } from '../../src/console/types.ts';
import type { StatsPeriod } from '../../src/console/stats-types.ts';
import type { ProcessFigures, ServingState } from '../../src/observability/types.ts';
import { createGather } from '../../src/workers/all-workers.ts';
import { Channel } from '../../src/workers/channel.ts';
import type { Applied, Change } from '../../src/workers/console-topics.ts';
import { memoryWires } from './memory-wire.ts';
import type { SupervisorChannel, WorkerChannel } from '../../src/workers/messages.ts';
import { Switchboard, type SwitchboardOptions } from '../../src/workers/switchboard.ts';
import type { KnownWorker } from '../../src/workers/switchboard-types.ts';
import { supervisorSettings } from '../../src/workers/settings-topics.ts';
import { answerSupervisor, type WorkerSide } from '../../src/workers/worker-answers.ts';
import { defaults } from '../config/defaults.ts';
import { fakeProcess, fakeSources } from '../console/fakes.ts';

export interface TestWorker {
  readonly known: KnownWorker;
  readonly sources: ConsoleSources;
  readonly gather: Gather;
  /** Changes of the configuration, step by step: "prepare set a = 1", "apply", "discard". */
  readonly changes: string[];
  readonly opened: string[];
  nowMs(): number;
  /** Kills it. */
  die(): void;
}

export interface WorkerOptions {
  readonly number: number;
  /** Default 4000 + number. */
  readonly pid?: number;
  readonly sources?: Partial<ConsoleSources>;
  readonly process?: Partial<ProcessFigures>;
  readonly period?: StatsPeriod;
  readonly serving?: ServingState;
  readonly startedAtMs?: number;
  readonly clockMs?: number;
  prepare?(change: Change): string;
  readonly applied?: Applied;
  /** Never answers anything. */
  readonly isSilent?: boolean;
}

export class Rig {
  readonly workers: TestWorker[] = [];
  readonly unexpected: unknown[] = [];
  readonly logged: string[] = [];
  readonly shutdowns: string[] = [];
  readonly changed: Change[] = [];
  readonly switchboard: Switchboard;
  isDraining = false;
  nowMs = 1_000;

  constructor(options: Partial<SwitchboardOptions> = {}) {
    this.switchboard = new Switchboard({
      workers: () => this.workers.map(({ known }) => known),
      isDraining: () => this.isDraining,
      shutdown: (mode) => void this.shutdowns.push(mode),
      changed: (change) => void this.changed.push(change),
      nowMs: () => this.nowMs,
      log: (level, event, message) => void this.logged.push(`${level} ${event}: ${message}`),
      figuresLimitMs: 200,
      actionLimitMs: 200,
      ...options,
    });
  }

  /** A worker that is started, and admitted unless told. */
  add(options: WorkerOptions, isAdmitted = true): TestWorker {
    const [a, b] = memoryWires();
    const note = (error: unknown): void => void this.unexpected.push(error);
    const ofSupervisor: WorkerChannel = new Channel(a, note);
    const ofWorker: SupervisorChannel = new Channel(b, note);
    ofSupervisor.on('settings', () => undefined);
    const { number, pid = 4000 + number, startedAtMs = this.nowMs, clockMs = 0 } = options;
    const sources = fakeSources(options.sources);
    const changes: string[] = [];
    const opened: string[] = [];
    const nowMs = (): number => clockMs + performance.now();
    const side = sideOf(options, sources, changes, opened, nowMs);
    if (options.isSilent !== true) answerSupervisor(ofWorker, side);
    else for (const topic of ['figures', 'act', 'prepare', 'apply'] as const) ofWorker.on(topic, () => never());
    const worker: TestWorker = {
      known: { number, pid, state: 'ready', startedAtMs, channel: ofSupervisor },
      sources,
      gather: createGather(ofWorker, { sources: () => sources, nowMs }),
      changes,
      opened,
      nowMs,
      die: () => {
        this.workers.splice(this.workers.indexOf(worker), 1);
        a.close();
      },
    };
    this.workers.push(worker);
    if (isAdmitted) void this.switchboard.admit(worker.known);
    return worker;
  }
}

const never = (): Promise<never> => new Promise(() => {});

function sideOf(
  options: WorkerOptions,
  sources: ConsoleSources,
  changes: string[],
  opened: string[],
  nowMs: () => number,
): WorkerSide {
  const { period = { seconds: 1, added: [] }, applied = { notices: [], resized: [] } } = options;
  return {
    sources,
    process: () => fakeProcess(options.process),
    period: () => period,
    slots: () => [],
    serving: () => options.serving ?? { isListening: true, isDraining: false },
    nowMs,
    open: (name) => void opened.push(name),
    changes: {
      prepare(change) {
        const text = change.do === 'set' ? `set ${change.key} = ${change.value}` : change.do;
        changes.push(`prepare ${text}`);
        return options.prepare?.(change) ?? text;
      },
      apply: () => {
        changes.push('apply');
        return Promise.resolve(applied);
      },
      discard: () => void changes.push('discard'),
      settings: () => supervisorSettings(defaults),
    },
  };
}

export interface Ran {
  readonly rows: Record<string, Value>[];
  readonly notices: readonly string[];
}

/** Runs a command on the console of a worker: for all workers with its `gather`, for it alone without. */
export async function run(
  worker: Pick<TestWorker, 'sources' | 'nowMs'> & { readonly gather?: Gather | undefined },
  text: string,
  signal = new AbortController().signal,
  database = 'weir',
): Promise<Ran> {
  const { sources, gather, nowMs } = worker;
  const console = createConsole({ sources, gather, roleOf: () => 'admin', nowMs, log: () => {} });
  const [statement] = console.parse(text, { user: 'weir', database, client: '' });
  if (statement === undefined) throw new Error('no statement');
  const result: CommandResult = await console.execute(statement, { user: 'weir', database, client: '', signal });
  const rows = [...(result.rows ?? [])].map((row) =>
    Object.fromEntries(statement.columns.map((column, index) => [column.name, row[index] ?? null])),
  );
  return { rows, notices: result.notices ?? [] };
}

export const settled = async (): Promise<void> => {
  for (let i = 0; i < 12; i++) await new Promise(setImmediate);
};
