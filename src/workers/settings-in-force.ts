/**
 * The settings that the supervisor itself needs. A reload, SET or a restart changes them in the workers, which tell; so the
 * supervisor reads no file. Made by for-all.ts; workers tell through worker-answers.ts.
 */
import type { EndMode, WorkerChannel } from './messages.ts';
import type { SupervisorSettings } from './settings-topics.ts';

/** A worker, as far as it matters here. */
export interface Teller {
  readonly state: string;
  readonly channel: Pick<WorkerChannel, 'on'>;
}

/** After shutdown_timeout, workers have this long to close what they have. */
const killAfterMs = 10_000;

/** Nothing but the last client, or the last server, ends such an end. */
export function isEndless(settings: SupervisorSettings, mode: EndMode): boolean {
  return mode === 'wait-for-clients' || (mode === 'wait-for-servers' && settings.shutdownAs === 'pgbouncer');
}

/** How long workers that are told to end may take. */
export function endWithinMs(settings: SupervisorSettings, mode: EndMode): number {
  return killAfterMs + (mode === 'now' ? 0 : settings.shutdownDelayMs + settings.shutdownTimeoutMs);
}

export class SettingsInForce {
  private settings: SupervisorSettings;
  /** What each worker has told last. */
  private readonly told = new WeakMap<Teller, SupervisorSettings>();

  constructor(settings: SupervisorSettings) {
    this.settings = settings;
  }

  get current(): SupervisorSettings {
    return this.settings;
  }

  /** What a worker tells counts from when it serves: before, it may not know yet what operators have set. */
  attach(worker: Teller): void {
    worker.channel.on('settings', (settings) => {
      this.told.set(worker, settings);
      if (worker.state === 'ready') this.settings = settings;
      return undefined;
    });
  }

  serves(worker: Teller): void {
    this.settings = this.told.get(worker) ?? this.settings;
  }
}
