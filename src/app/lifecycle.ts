/**
 * Starts the parts of an app, lets its clients finish (drain), and stops the parts once, however often that is requested.
 * Called by app.ts; ending.ts limits how long stopping may take.
 */
import type { HostPort } from '../config/config.ts';
import { WeirError } from '../errors/errors.ts';
import { createHttpServer, type HttpServer } from '../observability/http.ts';
import type { ServingState } from '../observability/types.ts';
import { systemClock } from '../util/clock.ts';
import type { Current } from './current.ts';
import { Stops, underWay } from './ending.ts';
import type { Logs } from './logs.ts';
import type { Parts } from './parts.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import { Sweeper } from './sweeper.ts';

const pollMs = 20;

export class Lifecycle {
  /** Resolves when a SHUTDOWN on the admin console is complete. */
  readonly ended: Promise<void>;
  private readonly version: string;
  private readonly current: Current;
  private readonly logs: Logs;
  private readonly parts: Parts;
  private readonly worker: WorkerLink | undefined;
  private readonly sweeper: Sweeper;
  private http: HttpServer | undefined;
  private httpPort = 0;
  private state: 'new' | 'serving' | 'draining' | 'stopped' = 'new';
  private stopping: Promise<void> | undefined;
  private end: () => void = () => undefined;

  constructor(version: string, current: Current, logs: Logs, parts: Parts, worker: WorkerLink | undefined) {
    this.worker = worker;
    this.version = version;
    this.current = current;
    this.logs = logs;
    this.parts = parts;
    this.sweeper = new Sweeper(parts, logs);
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  httpAddress(): HostPort | undefined {
    const { http } = this.current.config;
    return this.http === undefined || http === undefined ? undefined : { host: http.host, port: this.httpPort };
  }

  async start(): Promise<void> {
    const { parts, current } = this;
    await parts.cache.start();
    parts.directory.open(current.config);
    this.sweeper.start();
    parts.entrance.console.start();
    parts.resizing.start();
    try {
      await parts.entrance.listener.listen();
      if (current.config.http !== undefined) await this.startHttp(current.config.http);
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
    return { isListening: state === 'serving' || state === 'draining', isDraining: state === 'draining' };
  }

  private async startHttp(listen: HostPort): Promise<void> {
    this.http = createHttpServer({
      hosts: () => this.current.config.httpHosts,
      listen,
      metrics: this.parts.metrics,
      sources: this.parts.sources,
      gather: this.parts.totals,
      serving: () => this.serving(),
      nowMs: systemClock.nowMs,
      log: this.logs.log,
    });
    const { http, worker } = this;
    if (worker === undefined) this.httpPort = await http.listen();
    else worker.onHttp((socket) => http.accept(socket));
  }

  async shutdown(mode: 'now' | 'wait-for-servers' | 'wait-for-clients'): Promise<void> {
    // SHUTDOWN is answered before the connection of its operator is closed.
    setImmediate(() => {
      const end = mode === 'now' ? this.stop() : this.drain(mode === 'wait-for-clients');
      void end.then(this.end, this.parts.noteUnexpected);
    });
  }

  /** No new clients; statements and transactions in flight end, then everything is stopped. */
  async drain(waitsForClients = false): Promise<void> {
    if (this.state !== 'serving') return this.stop();
    this.state = 'draining';
    const { entrance, clients, directory } = this.parts;
    const { log } = this.logs;
    entrance.reception.isDraining = true;
    log('info', 'draining', 'no new clients; statements in flight end first', { clients: clients.count });
    const { nowMs } = systemClock;
    const sinceMs = nowMs();
    // SHUTDOWN WAIT_FOR_CLIENTS does not wait for console sessions.
    const left = (): number => clients.count - (waitsForClients ? [...clients.consoles()].length : 0);
    while (left() > 0 && (waitsForClients || nowMs() - sinceMs < this.current.config.shutdownTimeoutMs)) {
      if (this.isStopped()) return this.stop();
      if (!waitsForClients) {
        for (const session of clients.all()) if (session.isIdle) session.terminate(new WeirError('shutting_down'));
        this.closeConsoles();
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    if (clients.count > 0)
      log('warn', 'shutdown_cut', 'shutdown_timeout is over: the rest is cut', underWay(clients, directory));
    await this.stop();
  }

  private isStopped(): boolean {
    return this.state === 'stopped';
  }

  private closeConsoles(): void {
    for (const each of this.parts.clients.consoles()) each.close(new WeirError('shutting_down'));
  }

  /** Stops everything once; every call resolves at its end. */
  stop(): Promise<void> {
    return (this.stopping ??= this.stopAll());
  }

  private async stopAll(): Promise<void> {
    this.state = 'stopped';
    const { parts } = this;
    parts.entrance.reception.isDraining = true;
    this.sweeper.stop();
    parts.entrance.console.stop();
    parts.resizing.stop();
    const stops = new Stops();
    await stops.stop('log-ins', parts.entrance.listener.close());
    for (const session of parts.clients.all()) session.terminate(new WeirError('shutting_down'));
    this.closeConsoles();
    parts.authQuery.stop();
    await stops.stop('servers', parts.directory.stop());
    await stops.stop('the cache', parts.cache.stop());
    await stops.stop('http', this.http?.close());
    stops.done();
    if (stops.late.length > 0)
      this.logs.log('warn', 'shutdown_cut', `not waited for any longer: ${stops.late.join(', ')}`);
    parts.metrics.close();
    this.logs.end('stopped', 'weir has stopped');
  }
}
