/**
 * The timers of an app: regularly checks deadlines of clients, idle servers and held-back lines of the log. Called by
 * lifecycle.ts.
 */
import { systemClock } from '../util/clock.ts';
import type { Logs } from './logs.ts';
import type { Parts } from './parts.ts';

const sweepMs = 100;
const sweepsPerClientSweep = 10;

export class Sweeper {
  private readonly parts: Parts;
  private readonly logs: Logs;
  private timer: NodeJS.Timeout | undefined;
  private sweeps = 0;

  constructor(parts: Parts, logs: Logs) {
    this.parts = parts;
    this.logs = logs;
  }

  start(): void {
    this.timer = setInterval(() => this.sweep(), sweepMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private sweep(): void {
    const { directory, clients, watchdog, services } = this.parts;
    const now = systemClock.nowMs();
    try {
      directory.sweep(now);
      // While nobody is read, nobody is late; nor before what has come meanwhile is read.
      if (services.turn.suspension.isOn) this.sweeps = 0;
      if (++this.sweeps % sweepsPerClientSweep !== 0) return;
      for (const session of clients.sessions()) session.sweep(now);
      for (const replication of clients.replications()) replication.sweep();
      watchdog.pass(now);
      this.logs.flush();
    } catch (error) {
      this.parts.noteUnexpected(error);
    }
  }
}
