/**
 * The worker processes of a Weir: starts one at each place, starts another where one has ended, replaces them one by one, and
 * ends them all. Made by the supervisor, which connects each to the rest.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Log } from '../observability/types.ts';
import type { Moved } from './ipc.ts';
import type { EndMode } from './messages.ts';
import { hopelessAfter, Restarts } from './restarts.ts';
import { WorkerProcess, type WorkerExit } from './worker-process.ts';

export interface FleetOptions {
  readonly workers: number;
  readonly log: Log;
  readonly nowMs: () => number;
  /** Starts the process of a worker, with IPC. */
  fork(number: number, generation: number): ChildProcess;
  /** Called for each new process, before anything that it says is heard. @returns what to do when it has exited */
  connect(worker: WorkerProcess): () => void;
  /** Resolves when a worker that could serve may. */
  prepare(worker: WorkerProcess): Promise<void>;
  serves(worker: WorkerProcess): void;
  /** A worker that is replaced gives a client away. */
  moved(socket: Socket, moved: Moved): void;
  /** How long a worker that is replaced waits for its clients to come to rest. */
  emptyWithinMs(): number;
  unexpected(error: unknown): void;
}

interface Place {
  readonly number: number;
  readonly restarts: Restarts;
  /** Processes started for it so far. */
  generation: number;
  /** Undefined: it has ended, and the next is not started yet. */
  worker: WorkerProcess | undefined;
  timer: NodeJS.Timeout | undefined;
}

type Outcome = { readonly serves: true } | { readonly serves: false; readonly exit: WorkerExit };

export class Fleet {
  private readonly options: FleetOptions;
  private readonly places: readonly Place[];
  /** Every process that has not exited, those included that are replaced or about to replace one. */
  private readonly processes = new Set<WorkerProcess>();
  private phase: 'starting' | 'serving' | 'ending' = 'starting';
  private replacing: Promise<void> | undefined;
  private onEmpty: () => void = () => undefined;

  constructor(options: FleetOptions) {
    this.options = options;
    this.places = Array.from({ length: options.workers }, (_, index) => ({
      number: index + 1,
      restarts: new Restarts(),
      generation: 0,
      worker: undefined,
      timer: undefined,
    }));
  }

  /** The workers that get new clients. */
  *ready(): Iterable<WorkerProcess> {
    for (const { worker } of this.places) if (worker?.state === 'ready') yield worker;
  }

  alive(): Iterable<WorkerProcess> {
    return this.processes;
  }

  /** Resolves when every worker serves; rejects when one has ended three times before it could. */
  async start(): Promise<void> {
    await Promise.all(this.places.map((place) => this.startFirst(place)));
    this.phase = 'serving';
  }

  private async startFirst(place: Place): Promise<void> {
    for (;;) {
      const { worker, outcome } = this.startAt(place);
      place.worker = worker;
      const what = await outcome;
      if (what.serves) return;
      if (this.phase === 'ending') throw new Error('Weir was stopped before it served');
      const pauseMs = place.restarts.pauseAfter(undefined);
      if (place.restarts.failedStarts >= hopelessAfter)
        throw new Error(
          `${ended(worker, what.exit)}, ${hopelessAfter} times before it served; its last words are above`,
        );
      await new Promise((resolve) => (place.timer = setTimeout(resolve, pauseMs)));
    }
  }

  /** Replaces all workers, one by one. Rejects if the next cannot be started: those that are left go on. */
  replaceAll(): Promise<void> {
    this.replacing ??= this.replaceEach().finally(() => (this.replacing = undefined));
    return this.replacing;
  }

  private async replaceEach(): Promise<void> {
    for (const place of this.places) {
      if (this.phase !== 'serving') throw new Error('Weir starts or ends: nothing is replaced');
      await this.replace(place);
    }
  }

  private async replace(place: Place): Promise<void> {
    const fresh = await this.startFresh(place);
    const old = place.worker;
    clearTimeout(place.timer);
    place.worker = fresh;
    // Started meanwhile, after a death: nobody needs it any more, and it may never get as far as to serve.
    if (old?.state === 'starting') void old.end('now');
    if (old?.state !== 'ready') return;
    const left = await old.empty(this.options.emptyWithinMs());
    if (left > 0)
      this.options.log('warn', 'restart_cut', `${left} clients of worker ${old.number} did not come to rest in time`);
    await old.end('wait-for-servers');
  }

  private async startFresh(place: Place): Promise<WorkerProcess> {
    for (let tries = 1; ; tries++) {
      const { worker, outcome } = this.startAt(place);
      const what = await outcome;
      if (what.serves) return worker;
      if (this.phase === 'ending') throw new Error('Weir ends: nothing is replaced');
      if (tries < hopelessAfter) continue;
      throw new Error(`${ended(worker, what.exit)}, ${tries} times before it served: the old workers go on`);
    }
  }

  /** Ends all. Resolves when no process is left. A second call with `now` cuts the first short. */
  async end(mode: EndMode): Promise<void> {
    this.phase = 'ending';
    for (const place of this.places) clearTimeout(place.timer);
    const isEmpty = new Promise<void>((resolve) => (this.onEmpty = andThen(this.onEmpty, resolve)));
    for (const worker of this.processes) void worker.end(mode);
    if (this.processes.size === 0) this.onEmpty();
    await isEmpty;
  }

  kill(): void {
    for (const worker of this.processes) {
      this.options.log('warn', 'worker_killed', `worker ${worker.number} did not end in time: it is killed`);
      worker.kill();
    }
  }

  private startAt(place: Place): { readonly worker: WorkerProcess; readonly outcome: Promise<Outcome> } {
    const { options } = this;
    const { number } = place;
    let resolve: (outcome: Outcome) => void = () => undefined;
    const outcome = new Promise<Outcome>((settle) => (resolve = settle));
    const worker: WorkerProcess = new WorkerProcess(number, options.fork(number, place.generation++), options.nowMs, {
      prepare: options.prepare,
      serves: () => {
        options.log('info', 'worker_ready', `worker ${number} serves`, { worker: number, pid: worker.pid });
        resolve({ serves: true });
        options.serves(worker);
      },
      moved: (_from, socket, moved) => options.moved(socket, moved),
      exited: (_gone, exit) => {
        this.processes.delete(worker);
        afterwards();
        resolve({ serves: false, exit });
        this.exited(place, worker, exit);
      },
      unexpected: options.unexpected,
    });
    const afterwards = options.connect(worker);
    this.processes.add(worker);
    options.log('info', 'worker_started', `worker ${number} is started`, { worker: number, pid: worker.pid });
    return { worker, outcome };
  }

  private exited(place: Place, worker: WorkerProcess, exit: WorkerExit): void {
    if (this.phase === 'ending' && this.processes.size === 0) this.onEmpty();
    // One that was replaced, or was to replace another, is not missed.
    if (this.phase !== 'serving' || place.worker !== worker) return;
    const { log, nowMs } = this.options;
    const servedMs = worker.servesSinceMs === undefined ? undefined : nowMs() - worker.servesSinceMs;
    const pauseMs = place.restarts.pauseAfter(servedMs);
    const next = pauseMs === 0 ? 'it is started again' : `it is started again in ${pauseMs} ms`;
    const level = place.restarts.failedStarts >= hopelessAfter ? 'error' : 'warn';
    const fields = { worker: worker.number, pid: worker.pid, connections: worker.connections };
    log(level, 'worker_died', `${ended(worker, exit)}: ${next}`, fields);
    place.worker = undefined;
    place.timer = setTimeout(() => (place.worker = this.startAt(place).worker), pauseMs);
  }
}

function ended({ number }: WorkerProcess, { code, signal }: WorkerExit): string {
  return `worker ${number} has ended (${signal ?? `exit code ${code ?? 'unknown'}`})`;
}

function andThen(first: () => void, second: () => void): () => void {
  return () => {
    first();
    second();
  };
}
