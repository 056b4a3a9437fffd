/**
 * `weir serve` with several workers: makes the supervisor of workers/supervisor.ts as the app that is served. Called by
 * serve.ts. Each worker is `weir worker` (worker.ts) with the same arguments.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { Logs } from '../app/logs.ts';
import type { Surroundings } from '../app/lifecycle.ts';
import { diffConfig, keepNotReloadable } from '../config/change.ts';
import type { Config } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { systemClock } from '../util/clock.ts';
import type { EndMode } from '../workers/messages.ts';
import { Supervisor } from '../workers/supervisor.ts';
import type { WorkerPost } from '../workers/worker-link.ts';
import type { ServedApp } from './served-app.ts';

function forkWorker(serveArguments: readonly string[], post: WorkerPost): ChildProcess {
  const args = ['worker', JSON.stringify(post), ...serveArguments];
  return fork(process.argv[1] ?? '', args, { serialization: 'advanced', stdio: ['inherit', 'inherit', 'pipe', 'ipc'] });
}

/** @param serveArguments those of `weir serve`, which each worker gets, too */
export function superviseWorkers(
  config: Config,
  surroundings: Surroundings,
  serveArguments: readonly string[],
): ServedApp {
  const logs = new Logs(createLogger(config.log), systemClock.nowMs);
  const noteUnexpected = (error: unknown): void => {
    const bug = error instanceof Error ? error : new Error(String(error));
    logs.log('error', 'unexpected_error', bug.message, { stack: bug.stack });
  };
  const { workers } = config;
  const supervisor: Supervisor = new Supervisor({
    config,
    passedFds: surroundings.passedFds ?? [],
    log: logs.log,
    nowMs: systemClock.nowMs,
    unexpected: noteUnexpected,
    says: (chunk) => void process.stderr.write(chunk),
    fork: (number, generation) =>
      forkWorker(serveArguments, { number, workers, generation, ...addressesOf(supervisor) }),
  });
  return { ...served(supervisor, config, surroundings, logs), noteUnexpected };
}

function addressesOf(supervisor: Supervisor): Pick<WorkerPost, 'listen' | 'socketPath' | 'http'> {
  return { listen: supervisor.listenAddress(), socketPath: supervisor.socketPath(), http: supervisor.httpAddress() };
}

function served(supervisor: Supervisor, config: Config, { onEnding }: Surroundings, logs: Logs): ServedApp {
  let running = config;
  const flushing = setInterval(() => logs.flush(), 1_000).unref();
  const end = async (mode: EndMode): Promise<void> => {
    onEnding?.(mode);
    await supervisor.end(mode);
    clearInterval(flushing);
    logs.end('stopped', 'weir has stopped');
  };
  return {
    start: () => supervisor.start(),
    drain: (mode = 'wait-for-servers') => end(mode),
    stop: () => end('now'),
    async reload(next) {
      const diff = diffConfig(running, next);
      await supervisor.switchboard.reload();
      running = keepNotReloadable(running, next);
      return diff;
    },
    restart: () => supervisor.restart(),
    ended: supervisor.whenEnded,
    listenAddress: () => supervisor.listenAddress(),
    httpAddress: () => supervisor.httpAddress(),
  };
}
