/**
 * `weir serve` with several workers: makes the supervisor of workers/supervisor.ts as the app that is served, in a process that
 * goes on as the parent of the next supervisor when that has taken over. Called by serve.ts; successor.ts makes the next
 * one. Each worker is `weir worker` (worker.ts) with the same arguments.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { sigtermMode } from '../app/drain.ts';
import { Logs } from '../app/logs.ts';
import type { Surroundings } from '../app/lifecycle.ts';
import { diffConfig, keepNotReloadable } from '../config/change.ts';
import type { Config } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { systemClock } from '../util/clock.ts';
import type { EndMode } from '../workers/messages.ts';
import { Parent } from '../workers/parent.ts';
import { machineNowMs } from '../workers/shared-time.ts';
import type { SuccessorPost } from '../workers/supervisor-ports.ts';
import type { SupervisorOptions } from '../workers/supervisor-types.ts';
import { Supervisor } from '../workers/supervisor.ts';
import type { WorkerPost } from '../workers/worker-link.ts';
import { execArgvOfWorker, keepSupervisorSmall } from './heap-flags.ts';
import { exitCodes, type ExitCode } from './io.ts';
import type { ProcessEvents, ServedApp } from './served-app.ts';
import { servingSignals } from './signals.ts';

/** After it was told to stop at once. */
const stopLimitMs = 3_000;
/** Its last words are written by then. */
const lastWordsMs = 100;

/** Not a link with the name of PgBouncer: see called-as.ts. */
const program = (): string => realpathSync(process.argv[1] ?? '');

export function forkWorker(serveArguments: readonly string[], post: WorkerPost): ChildProcess {
  const args = ['worker', JSON.stringify(post), ...serveArguments];
  return fork(program(), args, {
    serialization: 'advanced',
    stdio: ['inherit', 'inherit', 'pipe', 'ipc'],
    execArgv: execArgvOfWorker(),
  });
}

function forkSupervisor(serveArguments: readonly string[], post: SuccessorPost, fds: readonly number[]): ChildProcess {
  const args = ['successor', JSON.stringify(post), ...serveArguments];
  return fork(program(), args, {
    serialization: 'advanced',
    stdio: ['inherit', 'inherit', 'pipe', 'ipc', ...fds],
    // systemd accepts signs of life from any process of the service, but names the one that it has started.
    env: { ...process.env, WATCHDOG_PID: undefined },
  });
}

/** What every supervisor needs, the first and the next ones. */
export interface Common {
  readonly logs: Logs;
  readonly noteUnexpected: (error: unknown) => void;
  readonly options: Pick<SupervisorOptions, 'config' | 'log' | 'nowMs' | 'unexpected' | 'says' | 'fork'>;
}

export function commonOf(config: Config, serveArguments: readonly string[]): Common {
  keepSupervisorSmall();
  const logs = new Logs(createLogger(config.log), systemClock.nowMs);
  const noteUnexpected = (error: unknown): void => {
    const bug = error instanceof Error ? error : new Error(String(error));
    logs.log('error', 'unexpected_error', bug.message, { stack: bug.stack });
  };
  const options = {
    config,
    log: logs.log,
    nowMs: machineNowMs,
    unexpected: noteUnexpected,
    says: (chunk: Buffer): void => void process.stderr.write(chunk),
    fork: (post: WorkerPost): ChildProcess => forkWorker(serveArguments, post),
  };
  return { logs, noteUnexpected, options };
}

/** @param serveArguments those of `weir serve`, which each worker gets, too */
export function superviseWorkers(
  config: Config,
  surroundings: Surroundings,
  serveArguments: readonly string[],
): ServedApp {
  const common = commonOf(config, serveArguments);
  const parent = new Parent({
    fork: (post, fds) => forkSupervisor(serveArguments, post, fds),
    says: common.options.says,
  });
  const supervisor = new Supervisor({
    ...common.options,
    workers: config.workers,
    passedFds: surroundings.passedFds ?? [],
    parent,
  });
  return {
    ...served(supervisor, config, surroundings, common),
    afterSuccession: (events) => untilChildEnded(parent, events, common.noteUnexpected),
  };
}

/** The supervisor as an app. */
export function served(supervisor: Supervisor, config: Config, { onEnding }: Surroundings, common: Common): ServedApp {
  const { logs, noteUnexpected } = common;
  let running = config;
  const flushing = setInterval(() => logs.flush(), 1_000).unref();
  const end = async (mode: EndMode): Promise<void> => {
    onEnding?.(mode);
    await supervisor.end(mode);
    if (mode !== 'now') onEnding?.('now');
    clearInterval(flushing);
    logs.end('stopped', 'weir has stopped');
  };
  return {
    start: () => supervisor.start(),
    drain: (mode = 'wait-for-servers') => end(mode),
    stop: () => end('now'),
    sigtermMode: () => sigtermMode(supervisor.forAll.settings),
    isDraining: () => supervisor.isEnding,
    async reload(next) {
      const diff = diffConfig(running, next);
      await supervisor.switchboard.reload();
      logs.reopen();
      running = keepNotReloadable(running, next);
      return diff;
    },
    restart: () => supervisor.restart(),
    ended: supervisor.whenEnded,
    succeeded: supervisor.whenLeft,
    async afterSuccession() {
      // What became of the restart is still to be said.
      await sleep(lastWordsMs);
      clearInterval(flushing);
      logs.flush();
      return exitCodes.done;
    },
    listenAddress: () => supervisor.listenAddress(),
    httpAddress: () => supervisor.httpAddress(),
    log: logs.log,
    noteUnexpected,
  };
}

/** Signals are for the supervisor that works now; its end is the end of this process. */
async function untilChildEnded(
  parent: Parent,
  events: ProcessEvents,
  unexpected: (error: unknown) => void,
): Promise<ExitCode> {
  let stopping: NodeJS.Timeout | undefined;
  let isDraining = false;
  /** It hung, and was killed. */
  let killed: ExitCode | undefined;
  const kill = (code: ExitCode): void => {
    killed = code;
    parent.killAll();
  };
  const pass = (signal: NodeJS.Signals): void => {
    parent.pass(signal);
    const isStop = signal === 'SIGQUIT' || (isDraining && (signal === 'SIGTERM' || signal === 'SIGINT'));
    // In case it hangs. As in signals.ts, a drain that is cut short is not a success.
    const code = isDraining ? exitCodes.refused : exitCodes.done;
    if (isStop) stopping ??= setTimeout(() => kill(code), stopLimitMs);
    isDraining ||= signal === 'SIGTERM' || signal === 'SIGINT';
  };
  for (const signal of servingSignals) events.on(signal, pass);
  events.on('uncaughtException', unexpected);
  events.on('unhandledRejection', unexpected);
  const { code } = await parent.ended;
  for (const signal of servingSignals) events.off(signal, pass);
  events.off('uncaughtException', unexpected);
  events.off('unhandledRejection', unexpected);
  clearTimeout(stopping);
  if (killed !== undefined) return killed;
  return code === exitCodes.done || code === exitCodes.usage ? code : exitCodes.refused;
}
