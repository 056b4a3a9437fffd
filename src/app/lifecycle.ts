/**
 * Starts the parts of an app, lets its clients finish (drain.ts), and stops the parts once, however often that is requested.
 * Called by app.ts; ending.ts limits how long stopping may take.
 */
import type { HostPort } from '../config/config.ts';
import type { ShutdownMode } from '../console/sources.ts';
import { WeirError } from '../errors/errors.ts';
import { createDoor } from './invalidate-door.ts';
import { createHttpServer, type HttpServer } from '../observability/http.ts';
import { assignSockets, openSockets, type PassedFd } from '../systemd/open-sockets.ts';
import type { OpenSocket } from '../systemd/types.ts';
import type { Recorder } from '../observability/page/recorder.ts';
import type { ServingState } from '../observability/types.ts';
import { systemClock } from '../util/clock.ts';
import type { Current } from './current.ts';
import { Drain, type DrainMode } from './drain.ts';
import { Stops } from './ending.ts';
import type { Logs } from './logs.ts';
import { createAppPage, createRecorder } from './page.ts';
import type { Parts } from './parts.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import { Sweeper } from './sweeper.ts';

/** What surrounds the process: systemd, a supervisor, or nothing. */
export interface Surroundings {
  /** Sockets to listen on that are open already. */
  readonly passedFds?: readonly PassedFd[];
  /** This process is one of several workers. */
  readonly worker?: WorkerLink;
  /** Called when the end begins, and when it becomes a shorter one; 'now' last. */
  onEnding?(mode: ShutdownMode): void;
}

export class Lifecycle {
  /** Resolves when a SHUTDOWN on the admin console is complete. */
  readonly ended: Promise<void>;
  private readonly version: string;
  private readonly current: Current;
  private readonly logs: Logs;
  private readonly parts: Parts;
  private readonly surroundings: Surroundings;
  private readonly sweeper: Sweeper;
  private readonly clientDrain: Drain;
  /** For the page. */
  readonly recorder: Recorder;
  private http: HttpServer | undefined;
  private httpPort = 0;
  private state: 'new' | 'serving' | 'draining' | 'stopped' = 'new';
  private stopping: Promise<void> | undefined;
  private end: () => void = () => undefined;

  constructor(version: string, current: Current, logs: Logs, parts: Parts, surroundings: Surroundings = {}) {
    this.version = version;
    this.current = current;
    this.logs = logs;
    this.parts = parts;
    this.surroundings = surroundings;
    this.sweeper = new Sweeper(parts, logs);
    this.clientDrain = this.makeDrain();
    this.recorder = createRecorder(parts);
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  httpAddress(): HostPort | undefined {
    const { http } = this.current.config;
    return this.http === undefined || http === undefined ? undefined : { host: http.host, port: this.httpPort };
  }

  async start(): Promise<void> {
    const { parts, current } = this;
    await parts.cache.start();
    parts.services.limits.apply(current.config.limits);
    await parts.services.tracing.apply(current.config.tracing);
    parts.directory.open(current.config);
    this.sweeper.start();
    parts.memory.start();
    parts.entrance.console.start();
    parts.regular.resizing.start();
    parts.regular.budgets.start();
    parts.regular.connections.start();
    parts.regular.decodings.start();
    try {
      const open = await openSockets(this.surroundings.passedFds ?? []);
      const { clients, http } = assignSockets(open, current.config.http);
      await parts.entrance.listener.listen(clients);
      if (current.config.http !== undefined) await this.startHttp(current.config.http, http);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.state = 'serving';
    const { host, port } = parts.entrance.listener.address();
    const socketPath = parts.entrance.listener.socketPath();
    const where = socketPath === undefined ? `${host}:${port}` : `${host}:${port} and ${socketPath}`;
    this.logs.log('info', 'listening', `weir ${this.version} listens on ${where}`);
  }

  serving(): ServingState {
    const { state } = this;
    const isSuspended = this.parts.services.turn.suspension.isOn;
    return { isListening: state === 'serving' || state === 'draining', isDraining: state === 'draining', isSuspended };
  }

  private async startHttp(listen: HostPort, open: OpenSocket | undefined): Promise<void> {
    const serving = (): ServingState => this.serving();
    const pageOptions = { parts: this.parts, current: this.current, log: this.logs.log, serving };
    this.recorder.start();
    this.http = createHttpServer({
      hosts: () => this.current.config.httpHosts,
      listen,
      open,
      metrics: this.parts.metrics,
      sources: this.parts.sources,
      gather: this.parts.totals,
      page: createAppPage(pageOptions, this.recorder),
      door: createDoor(this.parts, this.current),
      serving,
      nowMs: systemClock.nowMs,
      log: this.logs.log,
    });
    const { http } = this;
    const { worker } = this.surroundings;
    if (worker === undefined) this.httpPort = await http.listen();
    else worker.onHttp((socket) => http.accept(socket));
  }

  async shutdown(mode: ShutdownMode): Promise<void> {
    // SHUTDOWN is answered before the connection of its operator is closed.
    setImmediate(() => {
      const end = mode === 'now' ? this.stop() : this.drain(mode);
      void end.then(this.end, this.parts.noteUnexpected);
    });
  }

  /** Lets the clients finish as `mode` says, then stops everything. Called again, it can only make the wait shorter. */
  async drain(mode: DrainMode = 'wait-for-servers'): Promise<void> {
    if (this.state === 'serving' || this.state === 'draining') {
      this.state = 'draining';
      // Clients could not end their statements.
      await this.parts.sources.endSuspend();
      await this.clientDrain.run(mode);
    }
    await this.stop();
  }

  private makeDrain(): Drain {
    const { clients, directory, entrance } = this.parts;
    const { worker } = this.surroundings;
    return new Drain({
      config: () => this.current.config,
      clients,
      directory,
      listener: entrance.listener,
      reception: entrance.reception,
      log: this.logs.log,
      ...(worker !== undefined && { othersAreDone: () => worker.drained() }),
      isStopped: () => this.state === 'stopped',
      onMode: (mode) => this.surroundings.onEnding?.(mode),
    });
  }

  /** Stops everything once; every call resolves at its end. */
  stop(): Promise<void> {
    return (this.stopping ??= this.stopAll());
  }

  private async stopAll(): Promise<void> {
    this.state = 'stopped';
    this.surroundings.onEnding?.('now');
    const { parts } = this;
    parts.entrance.reception.isDraining = true;
    this.sweeper.stop();
    parts.memory.stop();
    parts.entrance.console.stop();
    parts.regular.resizing.stop();
    parts.regular.budgets.stop();
    this.recorder.stop();
    const stops = new Stops();
    await stops.stop('log-ins', parts.entrance.listener.close());
    for (const session of parts.clients.all()) session.terminate(new WeirError('shutting_down'));
    for (const each of parts.clients.consoles()) each.close(new WeirError('shutting_down'));
    parts.authQuery.stop();
    parts.services.limits.stop();
    await stops.stop('the reading of the WAL', parts.regular.decodings.stop());
    await stops.stop('the connection budget', parts.regular.connections.stop());
    await stops.stop('servers', parts.directory.stop());
    await stops.stop('the cache', parts.cache.stop());
    await stops.stop('http', this.http?.close());
    // Last, as a collector that does not answer uses up the time.
    await stops.stop('spans of statements', parts.services.tracing.stop());
    stops.done();
    if (stops.late.length > 0)
      this.logs.log('warn', 'shutdown_cut', `not waited for any longer: ${stops.late.join(', ')}`);
    parts.metrics.close();
    this.logs.end('stopped', 'weir has stopped');
  }
}
