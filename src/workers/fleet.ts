/**
 * The worker processes of a Weir: starts one at each place, starts another where one has ended, replaces them one by one, and
 * ends them all. Made by the supervisor, which connects each to the rest.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Log } from '../observability/types.ts';
import { Departures } from './departures.ts';
import type { Moved, Returned } from './ipc.ts';
import type { EndMode } from './messages.ts';
import { LastClients } from './last-clients.ts';
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
  /** It gives a connection away as it came in. */
  returned(socket: Socket, returned: Returned): void;
  /** What workers write to their standard error. */
  says(chunk: Buffer): void;
  /** How long a worker that is replaced waits for its clients to come to rest. */
  emptyWithinMs(): number;
  /** How long a worker may take to end when it has been told. */
  endWithinMs(): number;
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
  /** Another worker is started for it, whatever becomes of the one that is there. */
  isReplaced: boolean;
}

type Outcome = { readonly serves: true } | { readonly serves: false; readonly exit: WorkerExit };

export class Fleet {
  private readonly options: FleetOptions;
  private readonly places: readonly Place[];
  /** Every process that has not exited, those included that are replaced or about to replace one. */
  private readonly processes = new Set<WorkerProcess>();
  private phase: 'starting' | 'serving' | 'ending' = 'starting';
  private readonly departures: Departures;
  private readonly lastClients = new LastClients<WorkerProcess>();
  private onEmpty: () => void = () => undefined;

  constructor(options: FleetOptions) {
    this.options = options;
    this.departures = new Departures({
      log: options.log,
      emptyWithinMs: () => options.emptyWithinMs(),
      endWithinMs: () => options.endWithinMs(),
      isServing: () => this.phase === 'serving',
    });
    this.places = Array.from({ length: options.workers }, (_, index) => ({
      number: index + 1,
      restarts: new Restarts(),
      generation: 0,
      worker: undefined,
      timer: undefined,
      isReplaced: false,
    }));
  }

  /** The workers that get new clients. */
  *ready(): Iterable<WorkerProcess> {
    for (const { worker } of this.places) if (worker?.state === 'ready') yield worker;
  }

  /** The workers that answer clients, also those that end. */
  *answering(): Iterable<WorkerProcess> {
    for (const worker of this.processes) if (worker.servesSinceMs !== undefined) yield worker;
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
      if (place.restarts.failedStarts >= hopelessAfter) throw await hopeless(worker, what.exit, hopelessAfter);
      await new Promise((resolve) => (place.timer = setTimeout(resolve, pauseMs)));
    }
  }

  /** Replaces the worker with this number. Rejects, with words for the operator, if no other can be started. */
  async replace(number: number): Promise<void> {
    const place = this.places[number - 1];
    if (place === undefined) throw new Error(`there is no worker ${number}`);
    if (this.phase !== 'serving') throw new Error('Weir starts or ends: nothing is replaced');
    const old = await this.swap(place);
    if (old !== undefined) await this.departures.empty(old);
  }

  /** After the last replace(). Resolves to how many clients had to connect again, when the old workers have ended. */
  finishReplacing(): Promise<number> {
    return this.departures.finish();
  }

  /** @returns the worker that gets no new clients any more; undefined: there was none that served */
  private async swap(place: Place): Promise<WorkerProcess | undefined> {
    clearTimeout(place.timer);
    place.isReplaced = true;
    try {
      const fresh = await this.startFresh(place);
      const old = place.worker;
      place.worker = fresh;
      // Started after a death, and it may never get as far as to serve.
      if (old?.state === 'starting') void old.end('now');
      return old?.state === 'ready' ? old : undefined;
    } finally {
      place.isReplaced = false;
      // One of the two has died meanwhile.
      if (place.worker === undefined || place.worker.state === 'gone') this.startLater(place, 0);
    }
  }

  private async startFresh(place: Place): Promise<WorkerProcess> {
    for (let tries = 1; ; tries++) {
      const { worker, outcome } = this.startAt(place);
      const what = await outcome;
      if (this.phase === 'ending') throw new Error('Weir ends: nothing is replaced');
      if (what.serves) return worker;
      if (tries >= hopelessAfter) throw await hopeless(worker, what.exit, tries);
    }
  }

  private startLater(place: Place, pauseMs: number): void {
    place.worker = undefined;
    if (this.phase !== 'serving') return;
    clearTimeout(place.timer);
    place.timer = setTimeout(() => (place.worker = this.startAt(place).worker), pauseMs);
  }

  /** This worker has no clients left. Resolves when no worker has; at once if only this worker ends. */
  drained(worker: WorkerProcess): Promise<void> {
    return this.lastClients.whenNoneIsLeft(worker);
  }

  /** Ends all. Resolves when no process is left. A second call with `now` cuts the first short. */
  async end(mode: EndMode): Promise<void> {
    this.phase = 'ending';
    for (const place of this.places) clearTimeout(place.timer);
    const isEmpty = new Promise<void>((resolve) => (this.onEmpty = andThen(this.onEmpty, resolve)));
    for (const worker of this.processes) {
      if (worker.state === 'ready' || worker.state === 'emptying') this.lastClients.waitFor(worker);
      void worker.end(mode);
    }
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
    const post = { number, generation: this.nextGeneration(place) };
    let resolve: (outcome: Outcome) => void = () => undefined;
    const outcome = new Promise<Outcome>((settle) => (resolve = settle));
    const worker: WorkerProcess = new WorkerProcess(post, options.fork(number, post.generation), options.nowMs, {
      says: options.says,
      prepare: options.prepare,
      serves: () => {
        options.log('info', 'worker_ready', `worker ${number} serves`, { worker: number, pid: worker.pid });
        resolve({ serves: true });
        options.serves(worker);
      },
      moved: (_from, socket, moved) => options.moved(socket, moved),
      returned: (_from, socket, returned) => options.returned(socket, returned),
      exited: (_gone, exit) => {
        this.processes.delete(worker);
        afterwards();
        this.lastClients.gone(worker);
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

  /** Numbers of clients depend on whether the generation is even: two processes of one place must differ there. */
  private nextGeneration(place: Place): number {
    const isTaken = (generation: number): boolean =>
      [...this.processes].some((each) => each.number === place.number && (each.generation - generation) % 2 === 0);
    const next = isTaken(place.generation) ? place.generation + 1 : place.generation;
    place.generation = next + 1;
    return next;
  }

  private exited(place: Place, worker: WorkerProcess, exit: WorkerExit): void {
    if (this.phase === 'ending' && this.processes.size === 0) this.onEmpty();
    // One that was replaced, or was to replace another, is not missed.
    if (this.phase !== 'serving' || place.worker !== worker) return;
    const { log, nowMs } = this.options;
    const servedMs = worker.servesSinceMs === undefined ? undefined : nowMs() - worker.servesSinceMs;
    const pauseMs = place.restarts.pauseAfter(servedMs);
    const again = pauseMs === 0 ? 'it is started again' : `it is started again in ${pauseMs} ms`;
    const next = place.isReplaced ? 'it is being replaced' : again;
    const level = place.restarts.failedStarts >= hopelessAfter ? 'error' : 'warn';
    const fields = { worker: worker.number, pid: worker.pid, connections: worker.connections };
    void worker.epitaph(exit).then((how) => log(level, 'worker_died', `${how}: ${next}`, fields));
    if (place.isReplaced) place.worker = undefined;
    else this.startLater(place, pauseMs);
  }
}

/** Why no worker can be started, with what the last one said. */
async function hopeless(worker: WorkerProcess, exit: WorkerExit, tries: number): Promise<Error> {
  return new Error(`${tries} times in a row, ${await worker.epitaph(exit)}`);
}

function andThen(first: () => void, second: () => void): () => void {
  return () => {
    first();
    second();
  };
}
