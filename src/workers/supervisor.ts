/**
 * The process that `weir serve` starts when `workers` is more than 1: listens, starts the workers, gives them the clients,
 * replaces a worker that has ended, and ends them all. Knows nothing of the protocol. Made by cli/supervise.ts.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Config, HostPort } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import { Seats } from './seats.ts';
import type { Entry } from './ipc.ts';
import { Lead } from './lead.ts';
import { Listening } from './listening.ts';
import type { CancelKey, EndMode } from './messages.ts';
import { hopelessAfter, Restarts } from './restarts.ts';
import { Spread } from './spread.ts';
import { WorkerProcess, type WorkerExit } from './worker-process.ts';

export interface SupervisorOptions {
  readonly config: Config;
  readonly workers: number;
  readonly log: Log;
  readonly nowMs: () => number;
  /** Starts the process of a worker, with IPC. */
  fork(number: number): ChildProcess;
  unexpected(error: unknown): void;
}

interface Place {
  readonly restarts: Restarts;
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
  private readonly lead: Lead;
  private readonly places: readonly Place[];
  private readonly sweeper: NodeJS.Timeout;
  private phase: 'starting' | 'serving' | 'ending' | 'ended' = 'starting';
  private started: { resolve(): void; reject(error: Error): void } | undefined;
  private ended: () => void = () => undefined;
  private readonly whenEnded: Promise<void>;

  constructor(options: SupervisorOptions) {
    this.options = options;
    const { config, log, nowMs } = options;
    this.listening = new Listening({ config, log, onSocket: (entry, socket) => this.accept(entry, socket) });
    this.spread = new Spread({
      takers: () => this.ready(),
      mostWaiting: () => config.maxClientConn,
      longestWaitMs: () => config.clientLoginTimeoutMs,
      nowMs,
    });
    this.seats = new Seats(() => config.maxClientConn);
    this.lead = new Lead(log, nowMs);
    this.places = Array.from({ length: options.workers }, () => ({
      restarts: new Restarts(),
      worker: undefined,
      timer: undefined,
    }));
    this.sweeper = setInterval(() => this.sweep(), sweepMs).unref();
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
  }

  /** Ends all workers, then itself. A second call with `now` cuts the first short. */
  async end(mode: EndMode): Promise<void> {
    if (this.phase === 'ended') return;
    this.phase = 'ending';
    this.listening.closeForClients();
    this.spread.close();
    for (const place of this.places) clearTimeout(place.timer);
    const graceMs = mode === 'now' ? killAfterMs : this.options.config.shutdownTimeoutMs + killAfterMs;
    // SHUTDOWN WAIT_FOR_CLIENTS has no end but that of the last client.
    const killer = mode === 'wait-for-clients' ? undefined : setTimeout(() => this.killAll(), graceMs);
    for (const worker of this.alive()) void worker.end(mode);
    this.endIfEmpty();
    await this.whenEnded;
    clearTimeout(killer);
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
    this.listening.close();
    this.ended();
  }

  private sweep(): void {
    this.spread.sweep();
    this.lead.sweep();
  }

  private accept(entry: Entry, socket: Socket): void {
    this.spread.add(entry, socket);
  }

  private startWorker(index: number): void {
    const place = this.places[index] as Place;
    const number = index + 1;
    const worker = new WorkerProcess(number, this.options.fork(number), this.options.nowMs, {
      serves: (ready) => this.serves(ready),
      exited: (gone, exit) => this.exited(index, gone, exit),
      unexpected: this.options.unexpected,
    });
    place.worker = worker;
    worker.channel.on('enter', () => this.seats.tryEnter(worker));
    worker.channel.on('left', (count) => this.seats.leave(worker, count));
    this.lead.attach(worker);
    worker.channel.on('cancel', (key) => this.cancel(worker, key));
    this.options.log('info', 'worker_started', `worker ${number} is started`, { worker: number, pid: worker.pid });
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
    this.lead.workerGone(worker);
    if (this.phase === 'ending') return this.endIfEmpty();
    const servedMs = worker.servesSinceMs === undefined ? undefined : nowMs() - worker.servesSinceMs;
    const pauseMs = place.restarts.pauseAfter(servedMs);
    const how = exit.signal === null ? `exit code ${exit.code ?? 'unknown'}` : exit.signal;
    const what = `worker ${worker.number} has ended (${how})`;
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
