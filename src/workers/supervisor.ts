/**
 * The process that `weir serve` starts when `workers` is more than 1, or the one that has taken its place: listens, gives each
 * new client to the worker with the fewest, and keeps what counts for all workers together. Knows nothing of the protocol.
 * Made by cli/supervise.ts.
 */
import type { Socket } from 'node:net';
import { fixedSettings } from '../config/change.ts';
import type { HostPort } from '../config/config.ts';
import { answerFromOthers } from './ask-others.ts';
import { Fleet } from './fleet.ts';
import { ForAll, type WorkerForAll } from './for-all.ts';
import type { Entry, Moved } from './ipc.ts';
import { HandingOver } from './handing-over.ts';
import { Listening } from './listening.ts';
import type { EndMode, WorkerChannel } from './messages.ts';
import type { RelayedWorker } from './relayed-worker.ts';
import { RollingRestart } from './rolling-restart.ts';
import { endWithinMs } from './settings-in-force.ts';
import { Spread } from './spread.ts';
import { Succession } from './succession.ts';
import type { SupervisorOptions } from './supervisor-types.ts';
import { Switchboard } from './switchboard.ts';
import { bodyOfChild, type WorkerBody } from './worker-body.ts';
import type { WorkerPlace, WorkerProcess } from './worker-process.ts';

const sweepMs = 250;
/** The next supervisor, which has nothing to do, has this long to end. */
const successorEndMs = 2_000;

export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly listening: Listening;
  private readonly fleet: Fleet;
  private readonly spread: Spread;
  readonly forAll: ForAll;
  private readonly restarts: RollingRestart;
  private readonly succession: Succession;
  /** Consoles and HTTP of the workers reach all of them through it. */
  readonly switchboard: Switchboard;
  /** Resolves when nothing of Weir runs any more. */
  readonly whenEnded: Promise<void>;
  private ended: () => void = () => undefined;
  /** Resolves when the next supervisor works. */
  readonly whenLeft: Promise<void>;
  private left: () => void = () => undefined;
  private readonly sweeper: NodeJS.Timeout;
  /** 'left': another supervisor has taken over. */
  private phase: 'starting' | 'serving' | 'ending' | 'left' = 'starting';
  private endMode: EndMode | undefined;

  constructor(options: SupervisorOptions) {
    this.options = options;
    const { config, log, nowMs, passedFds, unexpected, before } = options;
    this.fleet = this.makeFleet();
    this.restarts = this.makeRestarts();
    this.spread = new Spread({
      takers: () => this.takers(),
      mostWaiting: () => this.forAll.settings.maxClientConn,
      longestWaitMs: () => this.forAll.settings.clientLoginTimeoutMs,
      nowMs,
    });
    this.listening = new Listening({
      config,
      passedFds,
      taken: before?.listeners,
      log,
      onSocket: (entry, socket) => this.spread.add(entry, socket),
    });
    this.succession = new Succession({
      parent: options.parent,
      fixed: fixedSettings(config),
      listeners: () => this.listening.passed(),
      goesOn: () => this.listening.claim(),
    });
    this.switchboard = new Switchboard({
      workers: () => this.fleet.alive(),
      isDraining: () => this.phase === 'ending',
      shutdown: (mode) => void setImmediate(() => void this.end(mode)),
      nowMs,
      log,
      state: before?.state.switchboard,
    });
    this.forAll = new ForAll({
      config,
      log,
      nowMs,
      ready: () => this.fleet.ready(),
      serving: () => this.fleet.answering(),
      sizesVersion: () => this.switchboard.sizesVersion,
      resized: (resize) => this.switchboard.resized(resize),
      unexpected,
      state: before?.state.forAll,
    });
    this.whenLeft = new Promise((resolve) => (this.left = resolve));
    this.sweeper = setInterval(() => this.sweep(), sweepMs).unref();
    this.whenEnded = new Promise<void>((resolve) => (this.ended = resolve)).finally(() => clearInterval(this.sweeper));
  }

  private makeFleet(): Fleet {
    const { log, nowMs, unexpected, workers, before } = this.options;
    return new Fleet({
      workers,
      log,
      nowMs,
      fork: (place) => this.fork(place),
      connect: (worker) => this.connect(worker),
      prepare: (worker) => this.switchboard.admit(worker),
      serves: (worker) => this.forAll.serves(worker),
      hasRoom: () => this.spread.retry(),
      moved: (socket, moved) => this.passOn(socket, moved),
      returned: (socket, { entry, ahead }) => this.spread.add(entry, socket, ahead),
      says: (chunk) => this.options.says(chunk),
      emptyWithinMs: () => this.forAll.settings.shutdownTimeoutMs,
      endWithinMs: () => endWithinMs(this.forAll.settings, 'wait-for-servers'),
      unexpected,
      state: before?.state.fleet,
    });
  }

  private makeRestarts(): RollingRestart {
    const { workers, log, before } = this.options;
    return new RollingRestart({
      workers,
      prepare: () => this.succession.prepare(),
      replace: (number) => this.fleet.replace(number),
      finish: () => this.fleet.finishReplacing(),
      handOver: (isWanted) => this.handOver(isWanted),
      epochMs: Date.now,
      log,
      rows: before?.state.restarts,
    });
  }

  private fork(place: WorkerPlace): WorkerBody {
    const { options, listening } = this;
    const post = {
      ...place,
      workers: options.workers,
      fixed: fixedSettings(options.config),
      listen: listening.address(),
      socketPath: listening.socketPath(),
      http: listening.httpAddress(),
    };
    return this.succession.fork(post) ?? bodyOfChild(options.fork(post));
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

  /**
   * Goes on where the supervisor before has ended. Rejects if that cannot be; that one must go on then.
   * @param bodies the workers by the numbers that the supervisor before has given them
   */
  async goOn(bodies: ReadonlyMap<number, RelayedWorker>): Promise<void> {
    const known = this.options.before?.state.workers ?? [];
    if (known.some(({ worker }) => !bodies.has(worker))) throw new Error('a worker is gone');
    await this.listening.take();
    for (const { worker, since, forAll } of known) {
      const body = bodies.get(worker) as RelayedWorker;
      body.leaveStderr();
      this.fleet.goOn(since, body, (adopted) => this.connect(adopted, forAll));
    }
    this.forAll.goOn();
    this.switchboard.start();
    this.phase = 'serving';
    this.spread.retry();
  }

  listenAddress(): HostPort {
    return this.listening.address();
  }

  httpAddress(): HostPort | undefined {
    return this.listening.httpAddress();
  }

  get isEnding(): boolean {
    return this.phase === 'ending';
  }

  /** Replaces all workers one by one and then the supervisor, or joins the restart that is under way. */
  restart(): ReturnType<RollingRestart['begin']> {
    return this.restarts.begin();
  }

  /** Ends all workers, then everything else. A second call with `now` cuts the first short. */
  async end(mode: EndMode): Promise<void> {
    if (this.hasLeft()) return this.succession.shutDown(mode);
    this.phase = 'ending';
    this.endMode = mode;
    if (mode === 'now') this.listening.closeForClients();
    const killer = this.forAll.onceLate(mode, () => this.fleet.kill());
    this.succession.stop();
    await this.fleet.end(mode);
    clearTimeout(killer);
    // The next supervisor has taken over meanwhile, and ends Weir.
    if (this.hasLeft()) return new Promise(() => undefined);
    await this.succession.end(successorEndMs);
    this.stop();
    this.listening.close();
    this.ended();
  }

  private hasLeft(): boolean {
    return this.phase === 'left';
  }

  private stop(): void {
    this.spread.close();
    this.switchboard.stop();
    this.forAll.stop();
  }

  /** Resolves when the next supervisor works. Rejects with words for the operator. */
  private async handOver(isWanted: boolean): Promise<void> {
    if (!isWanted) return this.succession.dismiss();
    const { fleet, forAll, switchboard, restarts } = this;
    const isServing = (): boolean => this.phase === 'serving';
    const what = new HandingOver({ fleet, forAll, switchboard, restarts, isServing });
    const next = await this.succession.handOver(what);
    if (this.endMode !== undefined) this.succession.shutDown(this.endMode);
    this.spread.leaveTo(next);
    this.leave();
  }

  /** Another supervisor has the sockets, the workers, and what is known of them. */
  leave(): void {
    this.phase = 'left';
    clearInterval(this.sweeper);
    this.listening.release();
    this.fleet.letGo();
    this.stop();
    this.left();
  }

  /** The workers that may be given connections. */
  private takers(): Iterable<WorkerProcess> {
    switch (this.phase) {
      // A Weir that answers is complete: it obeys signals, and all its workers can be asked.
      case 'starting':
      case 'left':
        return [];
      case 'serving':
        return this.forAll.takers();
      // While Weir drains, workers refuse clients in words, but not consoles and CancelRequests; /readyz must say why.
      case 'ending':
        return this.fleet.answering();
    }
  }

  private sweep(): void {
    this.spread.sweep();
    this.forAll.sweep();
  }

  /**
   * @param since what the supervisor before knew of it
   * @returns what to do when the worker has exited
   */
  private connect(worker: WorkerProcess, since?: WorkerForAll): () => void {
    const { channel } = worker;
    const gone = this.forAll.attach(worker, since);
    if (since !== undefined) this.switchboard.goOn(worker);
    channel.on('restart', () => {
      const { restart, isJoined } = this.restarts.begin();
      return { restart, isJoined };
    });
    channel.on('restarts', () => this.restarts.rows());
    channel.on('drained', () => this.fleet.drained(worker));
    // A worker that is only replaced leaves the doors open.
    channel.on('stopAccepting', (where) => void (this.isEnding && this.listening.stopAccepting(where)));
    answerFromOthers(channel, () => this.channelsBut(channel));
    return gone;
  }

  /** A connection that the supervisor before had accepted. */
  accepted(entry: Entry, socket: Socket, ahead: Uint8Array): void {
    this.spread.add(entry, socket, ahead);
  }

  /** A client that a worker gives away goes on in the one with the fewest. */
  passOn(socket: Socket, moved: Moved): void {
    this.spread.addMoved(socket, moved);
  }

  private channelsBut(own: WorkerChannel): WorkerChannel[] {
    return Array.from(this.fleet.alive(), ({ channel }) => channel).filter((channel) => channel !== own);
  }
}
