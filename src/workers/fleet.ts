/**
 * The worker processes of a Weir: starts one at each place, starts another where one has ended, replaces them one by one, and
 * ends them all. Made by the supervisor, which connects each to the rest.
 */
import type { Socket } from 'node:net';
import { Departures } from './departures.ts';
import type { Moved, Returned } from './ipc.ts';
import type { EndMode } from './messages.ts';
import type { FleetOptions, FleetState } from './fleet-types.ts';
import { LastClients } from './last-clients.ts';
import { hopelessAfter, Restarts, WeirEnds } from './restarts.ts';
import type { WorkerBody, WorkerExit } from './worker-body.ts';
import { WorkerProcess, type ServingSince, type WorkerPlace } from './worker-process.ts';

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

interface Making {
  resolve(outcome: Outcome): void;
  connect(worker: WorkerProcess): () => void;
  /** What the supervisor before knew of it. */
  readonly since?: ServingSince;
}

type Outcome = { readonly serves: true } | { readonly serves: false; readonly exit: WorkerExit };

export class Fleet {
  private readonly options: FleetOptions;
  private readonly places: readonly Place[];
  /** Every process that has not exited, those included that are replaced or about to replace one. */
  private readonly processes = new Set<WorkerProcess>();
  /** 'left': another supervisor has the workers. */
  private phase: 'starting' | 'serving' | 'ending' | 'left' = 'starting';
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
      restarts: new Restarts(options.state?.[index]?.restarts),
      generation: options.state?.[index]?.generation ?? 0,
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

  /** Why not every place has one worker that serves, and no other process is left; in words. */
  get problem(): string | undefined {
    for (const { number, worker, isReplaced } of this.places)
      if (worker?.state !== 'ready' || isReplaced) return `worker ${number} does not serve`;
    return this.processes.size > this.places.length ? 'an old worker has not ended' : undefined;
  }

  state(): FleetState {
    return this.places.map(({ generation, restarts }) => ({ generation, restarts: restarts.state() }));
  }

  /** A worker that serves, from the supervisor before. @param connect as in FleetOptions */
  goOn(since: ServingSince, body: WorkerBody, connect: (worker: WorkerProcess) => () => void): void {
    const place = this.places[since.number - 1];
    if (place === undefined) throw new Error(`there is no place for worker ${since.number}`);
    place.worker = this.make(place, since, body, { resolve: () => undefined, connect, since });
    this.phase = 'serving';
  }

  /** Another supervisor has them. */
  letGo(): void {
    this.phase = 'left';
    for (const place of this.places) clearTimeout(place.timer);
    for (const worker of this.processes) worker.letGo();
    this.processes.clear();
    this.onEmpty();
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
    if (this.phase === 'starting') throw new Error('Weir is still starting');
    if (this.phase !== 'serving') throw new WeirEnds();
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
      if (this.phase === 'ending') throw new WeirEnds();
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
      worker.kill('did not end in time');
    }
  }

  private startAt(place: Place): { readonly worker: WorkerProcess; readonly outcome: Promise<Outcome> } {
    const { options } = this;
    const at = { number: place.number, generation: this.nextGeneration(place) };
    let resolve: (outcome: Outcome) => void = () => undefined;
    const outcome = new Promise<Outcome>((settle) => (resolve = settle));
    const body = options.fork(at);
    const worker = this.make(place, at, body, { resolve, connect: options.connect });
    const message = `worker ${at.number} is started`;
    body.onStarted(() => options.log('info', 'worker_started', message, { worker: at.number, pid: worker.pid }));
    return { worker, outcome };
  }

  private make(place: Place, at: WorkerPlace, body: WorkerBody, { resolve, connect, since }: Making): WorkerProcess {
    const { options } = this;
    const { number } = place;
    const events = {
      says: options.says,
      hasRoom: () => options.hasRoom(),
      prepare: options.prepare,
      serves: (): void => {
        options.log('info', 'worker_ready', `worker ${number} serves`, { worker: number, pid: worker.pid });
        resolve({ serves: true });
        options.serves(worker);
        options.hasRoom();
      },
      moved: (_from: WorkerProcess, socket: Socket, moved: Moved) => options.moved(socket, moved),
      returned: (_from: WorkerProcess, socket: Socket, returned: Returned) => options.returned(socket, returned),
      exited: (_gone: WorkerProcess, exit: WorkerExit): void => {
        this.processes.delete(worker);
        afterwards();
        this.lastClients.gone(worker);
        resolve({ serves: false, exit });
        this.exited(place, worker, exit);
      },
      unexpected: options.unexpected,
    };
    const worker: WorkerProcess = new WorkerProcess(at, body, options.nowMs, events, since);
    const afterwards = connect(worker);
    this.processes.add(worker);
    return worker;
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
