/**
 * Lets the clients of an app finish. First only /readyz changes (shutdown_delay), then no new clients come in, then the
 * others end: each when it leaves by itself (wait-for-clients), or at its next boundary, for at most shutdown_timeout
 * (wait-for-servers; as PgBouncer: until-released.ts). Called by lifecycle.ts, which then stops everything.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { lastClientLeft, type ShutdownMode } from '../console/sources.ts';
import { WeirError } from '../errors/errors.ts';
import type { Listener } from '../frontend/listener.ts';
import type { Log } from '../observability/types.ts';
import { systemClock } from '../util/clock.ts';
import type { Clients } from './clients.ts';
import type { Directory } from './directory.ts';
import { underWay } from './ending.ts';
import { UntilReleased } from './until-released.ts';

export type DrainMode = Exclude<ShutdownMode, 'now'>;

export interface DrainParts {
  config(): Config;
  readonly clients: Clients;
  readonly directory: Directory;
  readonly listener: Pick<Listener, 'stopAccepting'>;
  readonly reception: { isDraining: boolean };
  readonly log: Log;
  /** Only of a worker: resolves when no other worker has clients either. */
  othersAreDone?(): Promise<void>;
  /** Everything is being stopped: there is nothing left to wait for. */
  isStopped(): boolean;
  /** Called when the drain begins, and when it becomes a shorter one. */
  onMode(mode: DrainMode): void;
}

/** What SIGTERM waits for: in PgBouncer for clients. */
export function sigtermMode({ shutdownAs }: Partial<Pick<Config, 'shutdownAs'>>): DrainMode {
  return shutdownAs === 'pgbouncer' ? 'wait-for-clients' : 'wait-for-servers';
}

const pollMs = 20;

export class Drain {
  private readonly parts: DrainParts;
  private readonly nowMs = systemClock.nowMs;
  private mode: DrainMode | undefined;
  private phase: 'delay' | 'no new clients' = 'delay';
  /** shutdown_timeout counts from here; undefined while clients are waited for. */
  private endingSinceMs: number | undefined;
  private running: Promise<void> | undefined;
  /** Of shutdown_as: pgbouncer, in wait-for-servers. */
  private released: UntilReleased | undefined;
  /** Of the other workers. */
  private others: 'not asked' | 'have clients' | 'done' = 'not asked';

  constructor(parts: DrainParts) {
    this.parts = parts;
  }

  /**
   * Begins to drain, or joins the drain under way, which it can make shorter (wait-for-servers after wait-for-clients) but
   * not longer. Resolves when the clients are gone, or the time is over.
   */
  run(mode: DrainMode): Promise<void> {
    if (this.mode === undefined || (mode === 'wait-for-servers' && this.mode !== mode)) {
      this.mode = mode;
      this.parts.onMode(mode);
      if (this.running !== undefined && this.phase !== 'delay') this.refuseNewClients(mode);
    }
    return (this.running ??= this.drain(mode));
  }

  private async drain(mode: DrainMode): Promise<void> {
    await this.delay();
    if (this.parts.isStopped()) return;
    this.phase = 'no new clients';
    this.refuseNewClients(this.mode ?? mode);
    while (!this.isOver() && !this.isTimeOver()) {
      if (this.parts.isStopped()) return;
      if (this.released !== undefined) this.released.look();
      else if (this.mode === 'wait-for-servers') this.endAtBoundaries();
      await sleep(pollMs);
    }
    const { clients, directory, log } = this.parts;
    if (this.released !== undefined) return;
    if (this.left() > 0) {
      log('warn', 'shutdown_cut', 'shutdown_timeout is over: the rest is cut', underWay(clients, directory));
    } else if (this.mode === 'wait-for-clients') {
      this.closeConsoles(lastClientLeft);
    }
  }

  /** Time for load balancers to see that /readyz says 503. */
  private async delay(): Promise<void> {
    const { config, log, isStopped } = this.parts;
    const sinceMs = this.nowMs();
    const leftMs = (): number => config().shutdownDelayMs - (this.nowMs() - sinceMs);
    if (leftMs() <= 0) return;
    log('info', 'draining', '/readyz says 503; new clients are served until shutdown_delay is over');
    while (leftMs() > 0 && !isStopped()) await sleep(Math.min(pollMs, Math.max(leftMs(), 1)));
  }

  /** No new clients. Where they can reach another Weir or wait for the next one, they are not even refused. */
  private refuseNewClients(mode: DrainMode): void {
    const { reception, listener, clients, directory, log, config } = this.parts;
    const isPgbouncer = config().shutdownAs === 'pgbouncer';
    reception.isDraining = true;
    listener.stopAccepting(isPgbouncer ? 'own' : 'shared');
    if (mode === 'wait-for-servers') {
      if (isPgbouncer) this.released = new UntilReleased({ clients, directory, nowMs: this.nowMs });
      else this.endingSinceMs = this.nowMs();
      listener.stopAccepting('inherited');
    }
    const what = mode === 'wait-for-servers' ? 'statements in flight end first' : 'those who are connected may stay';
    log('info', 'draining', `no new clients; ${what}`, { clients: clients.count });
  }

  /** No client is left, neither here nor in another worker; or no server that a client has. */
  private isOver(): boolean {
    const { othersAreDone } = this.parts;
    if (this.released === undefined ? this.left() > 0 : !this.released.isOver) return false;
    if (this.others === 'not asked' && othersAreDone !== undefined) {
      this.others = 'have clients';
      void othersAreDone().then(() => (this.others = 'done'));
    }
    return this.others !== 'have clients';
  }

  /** wait-for-clients does not wait for sessions of the admin console. */
  private left(): number {
    const { clients } = this.parts;
    return clients.count - (this.mode === 'wait-for-clients' ? [...clients.consoles()].length : 0);
  }

  private isTimeOver(): boolean {
    const sinceMs = this.endingSinceMs;
    return sinceMs !== undefined && this.nowMs() - sinceMs >= this.parts.config().shutdownTimeoutMs;
  }

  private endAtBoundaries(): void {
    for (const session of this.parts.clients.all())
      if (session.isIdle) session.terminate(new WeirError('shutting_down'));
    for (const each of this.parts.clients.consoles()) if (!each.isAnswering) each.close(new WeirError('shutting_down'));
  }

  private closeConsoles(detail: string): void {
    for (const each of this.parts.clients.consoles()) each.close(new WeirError('shutting_down', {}, detail));
  }
}
