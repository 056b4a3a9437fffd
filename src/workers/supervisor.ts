/**
 * The process that `weir serve` starts when `workers` is more than 1: listens, gives each new client to the worker with the
 * fewest, and keeps what counts for all workers together. Knows nothing of the protocol. Made by cli/supervise.ts.
 */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Config, HostPort } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import { resizeLine } from '../pool/resize-words.ts';
import type { ResizeRecord } from '../pool/types.ts';
import type { LeasedPool } from '../sizing/lease-types.ts';
import type { PassedFd } from '../systemd/open-sockets.ts';
import { Fleet } from './fleet.ts';
import type { Moved } from './ipc.ts';
import { Lead } from './lead.ts';
import { Lessor } from './lessor.ts';
import { Listening } from './listening.ts';
import { whenGone } from './lost-places.ts';
import type { CancelKey, EndMode } from './messages.ts';
import { Resizes } from './resizes.ts';
import { RollingRestart } from './rolling-restart.ts';
import { Seats } from './seats.ts';
import { fewestFirst, Spread } from './spread.ts';
import { Stamps } from './stamps.ts';
import { Switchboard } from './switchboard.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface SupervisorOptions {
  readonly config: Config;
  /** Sockets that systemd has opened. */
  readonly passedFds: readonly PassedFd[];
  readonly log: Log;
  readonly nowMs: () => number;
  /** Starts the process of a worker, with IPC. */
  fork(number: number, generation: number): ChildProcess;
  /** What workers write to their standard error. */
  says(chunk: Buffer): void;
  unexpected(error: unknown): void;
}

/** After shutdown_timeout, workers have this long to close what they have. */
const killAfterMs = 10_000;
const sweepMs = 250;

export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly listening: Listening;
  private readonly fleet: Fleet;
  private readonly spread: Spread;
  private readonly seats: Seats;
  private readonly lessor: Lessor;
  private readonly stamps: Stamps;
  private readonly lead: Lead;
  private readonly resizes: Resizes;
  private readonly restarts: RollingRestart;
  /** Consoles and HTTP of the workers reach all of them through it. */
  readonly switchboard: Switchboard;
  /** Resolves when nothing of Weir runs any more. */
  readonly whenEnded: Promise<void>;
  private ended: () => void = () => undefined;
  private phase: 'starting' | 'serving' | 'ending' = 'starting';
  private lastId = 0;

  constructor(options: SupervisorOptions) {
    this.options = options;
    const { config, log, nowMs, passedFds, unexpected } = options;
    this.fleet = this.makeFleet();
    this.restarts = new RollingRestart({
      workers: config.workers,
      replace: (number) => this.fleet.replace(number),
      finish: () => this.fleet.finishReplacing(),
      epochMs: Date.now,
      log,
    });
    this.spread = new Spread({
      takers: () => this.takers(),
      mostWaiting: () => config.maxClientConn,
      longestWaitMs: () => config.clientLoginTimeoutMs,
      nowMs,
    });
    this.listening = new Listening({
      config,
      passedFds,
      log,
      onSocket: (entry, socket) => this.spread.add(entry, socket),
    });
    this.seats = new Seats(() => config.maxClientConn);
    this.lessor = this.makeLessor();
    this.lead = new Lead(log, nowMs);
    const { maxMemoryBytes: maxBytes } = config.cache;
    this.stamps = new Stamps({ now: nowMs, name: randomUUID(), maxBytes, isFirst: true, unexpected });
    this.switchboard = new Switchboard({
      workers: () => this.fleet.alive(),
      isDraining: () => this.phase === 'ending',
      shutdown: (mode) => void setImmediate(() => void this.end(mode)),
      nowMs,
      log,
    });
    const sizesVersion = (): number | undefined => this.switchboard.sizesVersion;
    this.resizes = new Resizes({ lead: this.lead, lessor: this.lessor, sizesVersion, log });
    const sweeper = setInterval(() => this.sweep(), sweepMs).unref();
    this.whenEnded = new Promise<void>((resolve) => (this.ended = resolve)).finally(() => clearInterval(sweeper));
  }

  private makeFleet(): Fleet {
    const { config, log, nowMs, unexpected } = this.options;
    return new Fleet({
      workers: config.workers,
      log,
      nowMs,
      fork: (number, generation) => this.options.fork(number, generation),
      connect: (worker) => this.connect(worker),
      prepare: (worker) => this.switchboard.admit(worker),
      serves: () => this.spread.retry(),
      moved: (socket, moved) => this.passOn(socket, moved),
      returned: (socket, { entry, ahead }) => this.spread.add(entry, socket, ahead),
      says: (chunk) => this.options.says(chunk),
      emptyWithinMs: () => config.shutdownTimeoutMs,
      endWithinMs: () => config.shutdownDelayMs + config.shutdownTimeoutMs + killAfterMs,
      unexpected,
    });
  }

  private makeLessor(): Lessor {
    const { config, nowMs, unexpected } = this.options;
    const options = {
      asked: () => [...this.fleet.ready()][0],
      connectTimeoutMs: () => config.pool.serverConnectTimeoutMs,
    };
    return new Lessor({
      nowMs,
      unexpected,
      whenGone: (places) => whenGone(places, options),
      resized: (pool, resize, isProven) => this.resized(pool, resize, isProven),
    });
  }

  private resized(pool: LeasedPool, resize: ResizeRecord, isProven: boolean): void {
    this.switchboard.resized(resize);
    // Without a successful log-in the name may be a typing error: its pools are not logged.
    if (!isProven) return;
    const { message, fields } = resizeLine({ ...pool, user: pool.user ?? '' }, resize);
    this.options.log('info', 'pool_resize', message, fields);
  }

  /** Resolves when every worker serves; rejects when one cannot be started, or Weir cannot listen. Nothing runs then. */
  async start(): Promise<void> {
    try {
      await this.listening.open();
      await this.fleet.start();
      this.switchboard.start();
      this.phase = 'serving';
      this.spread.retry();
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

  /** Replaces all workers one by one, or joins the restart that is under way. */
  restart(): ReturnType<RollingRestart['begin']> {
    return this.restarts.begin();
  }

  /** Ends all workers, then everything else. A second call with `now` cuts the first short. */
  async end(mode: EndMode): Promise<void> {
    const { config } = this.options;
    this.phase = 'ending';
    const delayMs = mode === 'now' ? 0 : config.shutdownDelayMs;
    if (mode === 'now') this.listening.closeForClients();
    const graceMs = mode === 'now' ? killAfterMs : delayMs + config.shutdownTimeoutMs + killAfterMs;
    // SHUTDOWN WAIT_FOR_CLIENTS has no end but that of the last client.
    const killer = mode === 'wait-for-clients' ? undefined : setTimeout(() => this.fleet.kill(), graceMs);
    await this.fleet.end(mode);
    clearTimeout(killer);
    this.spread.close();
    this.switchboard.stop();
    this.lessor.stop();
    this.stamps.stop();
    this.listening.close();
    this.ended();
  }

  /** The workers that may be given connections. */
  private takers(): Iterable<WorkerProcess> {
    switch (this.phase) {
      // A Weir that answers is complete: it obeys signals, and all its workers can be asked.
      case 'starting':
        return [];
      case 'serving':
        return this.fleet.ready();
      // While Weir drains, workers refuse clients in words, but not consoles and CancelRequests; /readyz must say why.
      case 'ending':
        return this.fleet.answering();
    }
  }

  private sweep(): void {
    this.spread.sweep();
    this.lead.sweep();
  }

  /** @returns what to do when the worker has exited */
  private connect(worker: WorkerProcess): () => void {
    const end = this.stamps.attach(worker.channel);
    const leaveLead = this.lead.attach(worker);
    this.lessor.add(++this.lastId, worker.channel, () => worker.state === 'starting');
    this.resizes.attach(worker.channel);
    worker.channel.on('enter', () => this.seats.tryEnter(worker));
    worker.channel.on('arrived', () => this.seats.arrived(worker));
    worker.channel.on('left', (count) => this.seats.leave(worker, count));
    worker.channel.on('restart', () => {
      const { restart, isJoined } = this.restarts.begin();
      return { restart, isJoined };
    });
    worker.channel.on('restarts', () => this.restarts.rows());
    worker.channel.on('drained', () => this.fleet.drained(worker));
    worker.channel.on('stopAccepting', (where) => {
      // A worker that is only replaced leaves the doors open.
      if (this.phase === 'ending') this.listening.stopAccepting(where);
    });
    worker.channel.on('cancel', (key) => this.cancel(worker, key));
    return () => {
      end.processEnded();
      this.seats.leaveAll(worker);
      leaveLead();
    };
  }

  /** A client that a worker gives away goes on in the one with the fewest. */
  private passOn(socket: Socket, moved: Moved): void {
    if (!fewestFirst(this.fleet.ready()).some((taker) => taker.giveMoved(socket, moved))) socket.destroy();
  }

  /** A CancelRequest that reached a worker without that client: the others are asked. */
  private async cancel(from: WorkerProcess, key: CancelKey): Promise<boolean> {
    const others = [...this.fleet.alive()].filter((worker) => worker !== from);
    const found = await Promise.all(others.map((other) => other.channel.ask('cancel', key).catch(() => false)));
    return found.includes(true);
  }
}
