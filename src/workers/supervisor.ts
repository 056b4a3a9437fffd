/**
 * The process that `weir serve` starts when `workers` is more than 1: listens, starts the workers, gives them the clients,
 * replaces a worker that has ended, and ends them all. Knows nothing of the protocol. Made by cli/supervise.ts.
 */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Config, HostPort } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import type { PassedFd } from '../systemd/open-sockets.ts';
import { Seats } from './seats.ts';
import type { Entry, Moved } from './ipc.ts';
import { Lessor } from './lessor.ts';
import { Listening } from './listening.ts';
import { whenGone } from './lost-places.ts';
import type { CancelKey, EndMode } from './messages.ts';
import { hopelessAfter, Restarts } from './restarts.ts';
import { Spread } from './spread.ts';
import { Stamps } from './stamps.ts';
import { Switchboard } from './switchboard.ts';
import { WorkerProcess, type WorkerEvents, type WorkerExit } from './worker-process.ts';

export interface SupervisorOptions {
  readonly config: Config;
  readonly workers: number;
  /** Sockets that systemd has opened. */
  readonly passedFds: readonly PassedFd[];
  readonly log: Log;
  readonly nowMs: () => number;
  /** Starts the process of a worker, with IPC. */
  fork(number: number, generation: number): ChildProcess;
  unexpected(error: unknown): void;
}

interface Place {
  readonly restarts: Restarts;
  /** Processes started for it so far. */
  generation: number;
  worker: WorkerProcess | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** After shutdown_timeout, workers have this long to close what they have. */
const killAfterMs = 10_000;
const sweepMs = 250;

export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly listening: Listening;
  private readonly spread: Spread;
  private readonly seats: Seats;
  private readonly places: readonly Place[];
  private readonly lessor: Lessor;
  private readonly stamps: Stamps;
  /** Consoles and HTTP of the workers reach all of them through it. */
  readonly switchboard: Switchboard;
  /** Workers that were replaced and still have clients. */
  private readonly leaving = new Set<WorkerProcess>();
  private restarting: Promise<void> | undefined;
  private lastId = 0;
  private readonly sweeper: NodeJS.Timeout;
  private phase: 'starting' | 'serving' | 'ending' | 'ended' = 'starting';
  private started: { resolve(): void; reject(error: Error): void } | undefined;
  private ended: () => void = () => undefined;
  readonly whenEnded: Promise<void>;

  constructor(options: SupervisorOptions) {
    this.options = options;
    const { config, log, nowMs, passedFds } = options;
    this.listening = new Listening({ config, passedFds, log, onSocket: (entry, socket) => this.accept(entry, socket) });
    this.spread = new Spread({
      // While Weir drains, load balancers still send clients (shutdown_delay), and /readyz must say why not.
      takers: () => (this.phase === 'ending' ? this.alive() : this.ready()),
      mostWaiting: () => config.maxClientConn,
      longestWaitMs: () => config.clientLoginTimeoutMs,
      nowMs,
    });
    this.seats = new Seats(() => config.maxClientConn);
    this.places = Array.from({ length: options.workers }, () => ({
      restarts: new Restarts(),
      generation: 0,
      worker: undefined,
      timer: undefined,
    }));
    const { unexpected } = options;
    this.lessor = new Lessor({
      nowMs,
      unexpected,
      whenGone: (places) =>
        whenGone(places, {
          asked: () => [...this.ready()][0],
          connectTimeoutMs: () => config.pool.serverConnectTimeoutMs,
        }),
    });
    const { maxMemoryBytes: maxBytes } = config.cache;
    this.stamps = new Stamps({ now: nowMs, name: randomUUID(), maxBytes, isFirst: true, unexpected });
    this.switchboard = new Switchboard({
      workers: () => this.alive(),
      isDraining: () => this.phase === 'ending',
      shutdown: (mode) => void setImmediate(() => void this.end(mode)),
      nowMs,
      log,
    });
    this.sweeper = setInterval(() => this.spread.sweep(), sweepMs).unref();
    this.whenEnded = new Promise((resolve) => (this.ended = resolve));
  }

  /** Resolves when every worker serves; rejects when one cannot be started, or Weir cannot listen. Nothing runs then. */
  async start(): Promise<void> {
    try {
      await this.listening.open();
      await new Promise<void>((resolve, reject) => {
        this.started = { resolve, reject };
        for (const index of this.places.keys()) this.startWorker(index);
      });
      this.phase = 'serving';
      this.switchboard.start();
    } catch (error) {
      await this.end('now');
      throw error;
    }
  }

  listenAddress(): HostPort {
    return this.listening.address();
  }

  httpAddress(): HostPort | undefined {
    return this.listening.httpAddress();
  }

  socketPath(): string | undefined {
    return this.listening.socketPath();
  }

  /** The workers that serve. */
  *ready(): Iterable<WorkerProcess> {
    for (const { worker } of this.places) if (worker?.state === 'ready') yield worker;
  }

  private *alive(): Iterable<WorkerProcess> {
    for (const { worker } of this.places) if (worker !== undefined && worker.state !== 'gone') yield worker;
    yield* this.leaving;
  }

  /** Ends all workers, then itself. A second call with `now` cuts the first short. */
  async end(mode: EndMode): Promise<void> {
    if (this.phase === 'ended') return;
    this.phase = 'ending';
    const delayMs = mode === 'now' ? 0 : this.options.config.shutdownDelayMs;
    const doors = setTimeout(() => this.listening.closeForClients(), delayMs);
    for (const place of this.places) clearTimeout(place.timer);
    const graceMs = mode === 'now' ? killAfterMs : delayMs + this.options.config.shutdownTimeoutMs + killAfterMs;
    // SHUTDOWN WAIT_FOR_CLIENTS has no end but that of the last client.
    const killer = mode === 'wait-for-clients' ? undefined : setTimeout(() => this.killAll(), graceMs);
    for (const worker of this.alive()) void worker.end(mode);
    this.endIfEmpty();
    await this.whenEnded;
    clearTimeout(killer);
    clearTimeout(doors);
  }

  private killAll(): void {
    for (const worker of this.alive()) {
      this.options.log('warn', 'worker_killed', `worker ${worker.number} did not end in time: it is killed`);
      worker.kill();
    }
  }

  private endIfEmpty(): void {
    if (this.phase !== 'ending' || [...this.alive()].length > 0) return;
    this.phase = 'ended';
    clearInterval(this.sweeper);
    this.spread.close();
    this.switchboard.stop();
    this.lessor.stop();
    this.stamps.stop();
    this.listening.close();
    this.ended();
  }

  private accept(entry: Entry, socket: Socket): void {
    this.spread.add(entry, socket);
  }

  private startWorker(index: number): void {
    (this.places[index] as Place).worker = this.makeWorker(index, {
      serves: (ready) => this.serves(ready),
      exited: (gone, exit) => this.exited(index, gone, exit),
    });
  }

  private makeWorker(index: number, events: Pick<WorkerEvents, 'serves' | 'exited'>): WorkerProcess {
    const place = this.places[index] as Place;
    const number = index + 1;
    const worker: WorkerProcess = new WorkerProcess(
      number,
      this.options.fork(number, place.generation++),
      this.options.nowMs,
      {
        ...events,
        exited: (gone, exit) => {
          end.processEnded();
          events.exited(gone, exit);
        },
        prepare: (ready) => this.switchboard.admit(ready),
        moved: (_from, socket, moved) => this.passOn(socket, moved),
        unexpected: this.options.unexpected,
      },
    );
    const end = this.stamps.attach(worker.channel);
    this.lessor.add(++this.lastId, worker.channel);
    worker.channel.on('enter', () => this.seats.tryEnter(worker));
    worker.channel.on('arrived', () => this.seats.arrived(worker));
    worker.channel.on('left', (count) => this.seats.leave(worker, count));
    worker.channel.on('cancel', (key) => this.cancel(worker, key));
    this.options.log('info', 'worker_started', `worker ${number} is started`, { worker: number, pid: worker.pid });
    return worker;
  }

  /** A client that a worker gives away goes on in the one with the fewest. */
  private passOn(socket: Socket, moved: Moved): void {
    const takers = [...this.ready()].sort((a, b) => a.connections - b.connections);
    if (!takers.some((taker) => taker.giveMoved(socket, moved))) socket.destroy();
  }

  /** Replaces the workers one by one. Rejects if the next cannot be started: those that are left go on. */
  restart(): Promise<void> {
    this.restarting ??= this.replaceAll().finally(() => (this.restarting = undefined));
    return this.restarting;
  }

  private async replaceAll(): Promise<void> {
    for (const index of this.places.keys()) {
      if (this.phase !== 'serving') throw new Error('Weir is not serving');
      await this.replace(index);
    }
  }

  private async replace(index: number): Promise<void> {
    const place = this.places[index] as Place;
    const fresh = await this.startFresh(index);
    const old = place.worker;
    clearTimeout(place.timer);
    place.worker = fresh;
    if (old?.state !== 'ready') return;
    this.leaving.add(old);
    const left = await old.empty(this.options.config.shutdownTimeoutMs);
    if (left > 0)
      this.options.log('warn', 'restart_cut', `${left} clients of worker ${old.number} did not come to rest in time`);
    await old.end('wait-for-servers');
  }

  /** Rejects after three tries. */
  private async startFresh(index: number): Promise<WorkerProcess> {
    for (let tries = 1; ; tries++) {
      const fresh = await new Promise<WorkerProcess | WorkerExit>((resolve) => {
        this.makeWorker(index, {
          serves: resolve,
          exited: (gone, exit) => {
            resolve(exit);
            this.replacedOrGone(index, gone, exit);
          },
        });
      });
      if (fresh instanceof WorkerProcess) return fresh;
      if (tries >= hopelessAfter)
        throw new Error(
          `the new worker ${index + 1} ended ${tries} times before it served (${howEnded(fresh)}): the old ones go on`,
        );
    }
  }

  /** A worker that was started by a restart has ended: at its place, or before it got there. */
  private replacedOrGone(index: number, gone: WorkerProcess, exit: WorkerExit): void {
    if (this.places[index]?.worker === gone || this.leaving.has(gone)) this.exited(index, gone, exit);
    else this.seats.leaveAll(gone);
  }

  private serves(worker: WorkerProcess): void {
    this.options.log('info', 'worker_ready', `worker ${worker.number} serves`, { worker: worker.number });
    this.spread.retry();
    if (this.phase === 'starting' && [...this.ready()].length === this.places.length) this.started?.resolve();
  }

  private exited(index: number, worker: WorkerProcess, exit: WorkerExit): void {
    const { log, nowMs } = this.options;
    const place = this.places[index] as Place;
    this.seats.leaveAll(worker);
    const wasReplaced = this.leaving.delete(worker);
    if (this.phase === 'ending') return this.endIfEmpty();
    if (wasReplaced) return;
    const servedMs = worker.servesSinceMs === undefined ? undefined : nowMs() - worker.servesSinceMs;
    const pauseMs = place.restarts.pauseAfter(servedMs);
    const what = `worker ${worker.number} has ended (${howEnded(exit)})`;
    const fields = { worker: worker.number, pid: worker.pid, connections: worker.connections };
    const tries = place.restarts.failedStarts;
    if (this.phase === 'starting' && tries >= hopelessAfter) {
      this.started?.reject(new Error(`${what}, ${tries} times in a row before it served; its last words are above`));
      return;
    }
    const next = pauseMs === 0 ? 'it is started again' : `it is started again in ${pauseMs} ms`;
    log(tries >= hopelessAfter ? 'error' : 'warn', 'worker_died', `${what}: ${next}`, fields);
    place.timer = setTimeout(() => this.startWorker(index), pauseMs);
  }

  /** A CancelRequest that reached a worker without that client: the others are asked. */
  private async cancel(from: WorkerProcess, key: CancelKey): Promise<boolean> {
    const others = [...this.alive()].filter((worker) => worker !== from);
    const found = await Promise.all(others.map((other) => other.channel.ask('cancel', key).catch(() => false)));
    return found.includes(true);
  }
}

function howEnded({ code, signal }: WorkerExit): string {
  return signal ?? `exit code ${code ?? 'unknown'}`;
}
