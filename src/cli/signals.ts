/**
 * What signals do to a Weir that serves. SIGHUP reloads. SIGTERM and SIGINT drain (SHUTDOWN WAIT_FOR_SERVERS; with shutdown_as:
 * pgbouncer, SIGTERM is WAIT_FOR_CLIENTS), and a second one stops at once. SIGUSR1, as in HAProxy, waits for clients to leave.
 * SIGQUIT stops at once. SIGUSR2 replaces the workers of a Weir with several. Called by serve.ts; the supervisor of several
 * workers can use it, too.
 */
import { whatChanges, type ConfigDiff } from '../config/change.ts';
import type { Loaded } from '../config/load.ts';
import { WeirError } from '../errors/errors.ts';
import type { ServiceManager } from '../systemd/notify.ts';
import type { CliIo, ExitCode } from './io.ts';
import { exitCodes } from './io.ts';
import type { ProcessEvents, ServedApp } from './served-app.ts';

export interface Serving {
  readonly app: ServedApp;
  readonly reloadConfig: () => Loaded;
  readonly io: CliIo;
  readonly events: ProcessEvents;
  readonly systemd: ServiceManager;
}

type Finish = ExitCode | 'succeeded';

/** Another process has taken the place of this one, which ends with that exit code when it is not needed any more. */
export interface Succeeded {
  readonly after: Promise<ExitCode>;
}

/** What is a matter of the process that serves. */
export const servingSignals = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT'] as const;

/** When it is to stop at once, the process ends at the latest after this. */
const forcedExitMs = 1_000;

/** Resolves to the exit code when a signal or SHUTDOWN has ended the app; or when another process has taken its place. */
export async function untilEnded(serving: Serving): Promise<ExitCode | Succeeded> {
  const { app, events } = serving;
  const unexpected = (error: unknown): void => noteUnexpected(serving, error);
  const ending = new Ending(serving, unexpected);
  const onSignal: readonly (readonly [NodeJS.Signals, (signal: string) => void])[] = [
    ['SIGHUP', () => void reload(serving).catch(unexpected)],
    ['SIGTERM', (signal) => ending.drain(signal, app.sigtermMode?.())],
    ['SIGINT', (signal) => ending.drain(signal)],
    ['SIGUSR1', (signal) => ending.waitForClients(signal)],
    ['SIGUSR2', () => ending.restart()],
    ['SIGQUIT', (signal) => ending.stop(signal)],
  ];
  for (const [signal, listener] of onSignal) events.on(signal, listener);
  events.on('uncaughtException', unexpected);
  events.on('unhandledRejection', unexpected);
  if (app.ended !== undefined) ending.watch(app.ended);
  void app.succeeded?.then(() => ending.succeeded());
  const outcome = await ending.finished;
  // Before the listeners are gone: a signal in between would end this process.
  const after = outcome === 'succeeded' ? afterSuccession(serving) : Promise.resolve(outcome);
  for (const [signal, listener] of onSignal) events.off(signal, listener);
  events.off('uncaughtException', unexpected);
  events.off('unhandledRejection', unexpected);
  return outcome === 'succeeded' ? { after } : outcome;
}

async function afterSuccession({ app, events }: Serving): Promise<ExitCode> {
  return (await app.afterSuccession?.(events)) ?? exitCodes.done;
}

/** How far the end has come, and with which exit code it ends. */
class Ending {
  readonly finished: Promise<Finish>;
  private readonly serving: Serving;
  private readonly unexpected: (error: unknown) => void;
  private state: 'serving' | 'draining' | 'cut short' = 'serving';
  private finish: (outcome: Finish) => void = () => undefined;
  private forcedExit: NodeJS.Timeout | undefined;

  constructor(serving: Serving, unexpected: (error: unknown) => void) {
    this.serving = serving;
    this.unexpected = unexpected;
    this.finished = new Promise((resolve) => (this.finish = resolve));
    void this.finished.then(() => clearTimeout(this.forcedExit));
  }

  /** @param mode default: wait-for-servers */
  drain(signal: string, mode?: 'wait-for-servers' | 'wait-for-clients'): void {
    if (this.state !== 'serving') return this.stop(signal);
    this.state = 'draining';
    const what = mode === 'wait-for-clients' ? 'no new clients; ends when the last one has left' : 'draining';
    this.say(signal, `${what}; once more stops at once`);
    this.watch(this.serving.app.drain(mode));
  }

  restart(): void {
    const { app } = this.serving;
    if (app.isDraining?.() !== true) return restart(this.serving);
    app.log?.('info', 'restart_refused', 'got SIGUSR2 while shutting down, ignoring');
  }

  /** A drain that is under way goes on: this would only make it longer. */
  waitForClients(signal: string): void {
    if (this.state !== 'serving') return;
    this.say(signal, 'no new clients; ends when the last one has left; SIGTERM ends them at their transactions');
    this.watch(this.serving.app.drain('wait-for-clients'));
  }

  stop(signal: string): void {
    this.say(signal, 'stopping at once');
    // In case stop() hangs, or the workers take their time.
    this.forcedExit ??= setTimeout(() => this.finish(this.exitCode()), forcedExitMs);
    if (this.state === 'draining') this.state = 'cut short';
    this.watch(this.serving.app.stop());
  }

  succeeded(): void {
    this.finish('succeeded');
  }

  watch(task: Promise<void>): void {
    task.then(
      () => this.finish(this.exitCode()),
      (error: unknown) => {
        this.unexpected(error);
        this.finish(exitCodes.refused);
      },
    );
  }

  /** After a second signal the drain was not complete, so the exit code is not 0. */
  private exitCode(): ExitCode {
    return this.state === 'cut short' ? exitCodes.refused : exitCodes.done;
  }

  private say(signal: string, what: string): void {
    const { app, io } = this.serving;
    io.err(`weir: ${signal}: ${what}\n`);
    app.log?.('info', 'signal', `${signal}: ${what}`);
  }
}

/** Handles an error that nothing caught: logs it and keeps the process, and so all other connections, alive. */
function noteUnexpected({ app, io }: Serving, error: unknown): void {
  if (app.noteUnexpected !== undefined) app.noteUnexpected(error);
  else io.err(`unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}

const whyNoRestart = 'a restart replaces workers one by one, but this Weir is one process (workers: 1)';

/** Only a Weir with several workers can replace them. */
function restart({ app, io }: Serving): void {
  if (app.restart === undefined) {
    app.log?.('warn', 'restart_refused', `SIGUSR2: ${whyNoRestart}`);
    return;
  }
  const { isJoined, over } = app.restart();
  io.err(`weir: SIGUSR2: ${isJoined ? 'a restart is under way already' : 'the workers are replaced one by one'}\n`);
  // The request that has begun it says how it ends.
  if (!isJoined)
    void over.then((row) => io.err(`weir: restart: ${row.problem ?? 'the supervisor and all workers are replaced'}\n`));
}

async function reload(serving: Serving): Promise<void> {
  const { systemd } = serving;
  systemd.reloading();
  let outcome = 'reload failed; the log says why';
  try {
    outcome = await reloadConfiguration(serving);
  } finally {
    // systemd waits for it, also after a reload that has changed nothing.
    systemd.ready(outcome);
  }
}

/** In the background nobody reads standard error: what went wrong must be in the log, too. */
function noteReload(app: ServedApp, what: string): void {
  app.log?.('warn', 'reload', `SIGHUP: ${what}`);
}

/** Resolves to the outcome in a few words. */
async function reloadConfiguration({ app, reloadConfig, io }: Serving): Promise<string> {
  const { result, users } = reloadConfig();
  for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
  if ('problems' in result) {
    io.err('weir: reload: nothing was changed, because of:\n');
    for (const problem of result.problems) {
      io.err(`${problem}\n`);
      noteReload(app, `nothing was changed: ${problem}`);
    }
    return `reload changed nothing: ${result.problems[0] ?? ''}`;
  }
  let diff: ConfigDiff;
  try {
    diff = await app.reload(result.config, users, result.warnings);
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    io.err(`weir: reload: ${error.message}\n`);
    noteReload(app, error.message);
    return `reload: ${error.message}`;
  }
  const { reloadable, notReloadable } = diff;
  const changed =
    reloadable.length === 0 ? 'no setting changed; files were read again' : `changed ${reloadable.join(', ')}`;
  io.err(`weir: reload: ${changed}\n`);
  for (const what of ['a restart', 'a new start of Weir'] as const) {
    const keys = notReloadable.filter((key) => whatChanges(key) === what);
    if (keys.length === 0) continue;
    io.err(`weir: reload: needs ${what}: ${keys.join(', ')}\n`);
    noteReload(app, `needs ${what}: ${keys.join(', ')}`);
  }
  return `reload: ${changed}`;
}
