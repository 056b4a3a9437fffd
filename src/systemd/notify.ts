/**
 * Tells systemd what the service does (sd_notify): that it is ready, reloads, ends, and that its event loop runs (watchdog).
 * Node has no datagram sockets of the Unix family, so the program systemd-notify sends each message; the unit needs
 * NotifyAccess=all. Without NOTIFY_SOCKET nothing is told. Called by cli/serve.ts.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { droppedBecause } from './notify-access.ts';

/** Sends one message; resolves to what went wrong, or undefined. */
export type SendToSystemd = (assignments: readonly string[]) => Promise<string | undefined>;

export interface ServiceManager {
  ready(status: string): void;
  /** This process takes the place of another one of the service, which had said that it was ready. */
  tookOver(status: string): void;
  reloading(): void;
  /** TimeoutStopSec= counts from here. */
  stopping(status: string): void;
  status(text: string): void;
  /** Ends the watchdog, and resolves when all has been told, at the latest after a second. */
  end(): Promise<void>;
}

const sendTimeoutMs = 5_000;
const endMs = 1_000;

export function sendWithProgram(env: NodeJS.ProcessEnv): SendToSystemd {
  return (assignments) =>
    new Promise((resolve) => {
      const child = spawn('systemd-notify', assignments, {
        env,
        stdio: 'ignore',
        timeout: sendTimeoutMs,
        killSignal: 'SIGKILL',
      });
      child.once('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ENOENT' ? 'there is no program systemd-notify in PATH' : error.message),
      );
      child.once('exit', (code, signal) =>
        resolve(code === 0 ? undefined : `systemd-notify ended with ${String(code ?? signal)}`),
      );
    });
}

/** @param warn told once if a message cannot be sent, and once if systemd drops them */
export function createServiceManager(
  env: NodeJS.ProcessEnv,
  warn: (text: string) => void,
  send: SendToSystemd = sendWithProgram(env),
  dropped: () => Promise<string | undefined> = droppedBecause,
): ServiceManager {
  const notifier = (env['NOTIFY_SOCKET'] ?? '') === '' ? undefined : new Notifier(send, warn);
  let isFirst = true;
  const tell = (...assignments: string[]): void => notifier?.tell(assignments);
  const watchdogMs = watchdogIntervalMs(env, process.pid);
  const watchdog = watchdogMs === undefined ? undefined : setInterval(() => notifier?.keepAlive(), watchdogMs).unref();
  return {
    ready(status) {
      tell('READY=1', statusOf(status));
      if (isFirst && notifier !== undefined) void dropped().then((why) => why !== undefined && warn(why));
      isFirst = false;
    },
    // The other one had been silent for some time already.
    tookOver: (status) => tell('WATCHDOG=1', statusOf(status)),
    // CLOCK_MONOTONIC, from which systemd sees that this is the answer to its own request.
    reloading: () => tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`),
    stopping: (status) => tell('STOPPING=1', statusOf(status)),
    status: (text) => tell(statusOf(text)),
    async end() {
      clearInterval(watchdog);
      if (notifier === undefined) return;
      const timer = new AbortController();
      const late = sleep(endMs, undefined, { signal: timer.signal }).catch(() => undefined);
      await Promise.race([notifier.told, late]);
      timer.abort();
    },
  };
}

/** One line: a line feed would begin the next assignment. */
function statusOf(text: string): string {
  return `STATUS=${text.replace(/[\u0000-\u001f\u007f]+/g, ' ')}`;
}

/** Half of WatchdogSec=, as systemd recommends; undefined: no watchdog, or that of another process. */
export function watchdogIntervalMs(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const microseconds = Number(env['WATCHDOG_USEC']);
  if (!(microseconds > 0) || (env['WATCHDOG_PID'] ?? String(pid)) !== String(pid)) return undefined;
  return microseconds / 2_000;
}

/** One message after the other, so that READY=1 never overtakes RELOADING=1. */
class Notifier {
  /** Resolves when everything so far was told. */
  told: Promise<void> = Promise.resolve();
  private readonly send: SendToSystemd;
  private readonly warn: (text: string) => void;
  private waiting = 0;
  private hasWarned = false;

  constructor(send: SendToSystemd, warn: (text: string) => void) {
    this.send = send;
    this.warn = warn;
  }

  tell(assignments: readonly string[]): void {
    this.waiting++;
    this.told = this.told.then(async () => {
      const problem = await this.send(assignments);
      this.waiting--;
      if (problem === undefined || this.hasWarned) return;
      this.hasWarned = true;
      this.warn(`systemd is told nothing: ${problem}`);
    });
  }

  /** Nothing if a message is under way: that one would only wait behind it. */
  keepAlive(): void {
    if (this.waiting === 0) this.tell(['WATCHDOG=1']);
  }
}
