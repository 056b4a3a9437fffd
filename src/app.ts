/**
 * Makes one proxy of the rooms (folders of src/), starts and stops it. `createApp` may be called twice in one process; two
 * apps share nothing. Called by `weir serve`, the demo and the tests.
 */
import { sigtermMode, type DrainMode } from './app/drain.ts';
import type { HandOvers } from './app/hand-overs.ts';
import { Lifecycle, type Surroundings } from './app/lifecycle.ts';
import { Logs } from './app/logs.ts';
import { recentSlots } from './app/page.ts';
import { Parts } from './app/parts.ts';
import { Reload } from './app/reload.ts';
import { StagedChange } from './app/staged-change.ts';
import { readVersion } from './app/version.ts';
import type { ConfigDiff } from './config/change.ts';
import type { Config, HostPort } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { createLogger, type Logger } from './observability/logger.ts';
import type { Log } from './observability/types.ts';
import type { StuckKind } from './session/types.ts';
import { createClassifier } from './sql/classifier.ts';
import { systemClock } from './util/clock.ts';
import { answerSupervisor } from './workers/worker-answers.ts';

export interface AppDeps {
  /** Secrets by user name. */
  readonly users: ReadonlyMap<string, string>;
  /** Reads the configuration and users again, for RELOAD on the admin console. */
  readonly reloadConfig: () => Loaded;
  /** Replaces the log of the configuration. */
  readonly logger?: Logger;
  readonly surroundings?: Surroundings;
}

export interface App {
  start(): Promise<void>;
  /** No new clients; those there are finish (default wait-for-servers), then everything is stopped. */
  drain(mode?: DrainMode): Promise<void>;
  stop(): Promise<void>;
  /** What SIGTERM waits for (shutdown_as). */
  sigtermMode(): DrainMode;
  isDraining(): boolean;
  /** Rejects with WeirError if any part cannot be used, and then changes nothing. */
  reload(config: Config, users: ReadonlyMap<string, string>, warnings?: readonly string[]): Promise<ConfigDiff>;
  listenAddress(): HostPort;
  httpAddress(): HostPort | undefined;
  /** All servers were looked at, or have had their time to answer. */
  isSettled(): boolean;
  /** How many connections the watchdog has closed. */
  stuck(): Readonly<Record<StuckKind, number>>;
  /** Clients that go to another process of this Weir, or come from one. */
  readonly handOvers: HandOvers;
  readonly ended: Promise<void>;
  readonly log: Log;
  noteUnexpected(error: unknown): void;
}

const version = readVersion();

export async function createApp(config: Config, deps: AppDeps): Promise<App> {
  const current = { config, users: new Map(deps.users) };
  const logs = new Logs(deps.logger ?? createLogger(config.log), systemClock.nowMs);
  const parts: Parts = new Parts({
    ...{ version, current, logs },
    classifier: await createClassifier(),
    worker: deps.surroundings?.worker,
    requests: {
      reload: () => reload.reloadFromFile(),
      apply: (next) => reload.apply(next),
      shutdown: (mode) => lifecycle.shutdown(mode),
      isDraining: () => lifecycle.serving().isDraining,
    },
  });
  const reload: Reload = new Reload(current, logs, parts, () => deps.reloadConfig());
  const lifecycle: Lifecycle = new Lifecycle(version, current, logs, parts, deps.surroundings);
  const worker = deps.surroundings?.worker;
  if (worker !== undefined) {
    answerSupervisor(worker.channel, {
      sources: parts.sources,
      process: () => parts.metrics.ofProcess(),
      period: () => parts.entrance.console.period(),
      serving: () => lifecycle.serving(),
      slots: () => lifecycle.recorder.last(recentSlots),
      nowMs: systemClock.nowMs,
      changes: new StagedChange(current, reload, parts.directory),
      open: (name) => parts.directory.openForOperator(name),
    });
    worker.channel.on('backendGone', ({ database, host, port, processId }) =>
      parts.directory.backendGone(database, { node: { host, port }, processId }),
    );
  }
  return {
    start: () => lifecycle.start(),
    drain: (mode) => lifecycle.drain(mode),
    stop: () => lifecycle.stop(),
    sigtermMode: () => sigtermMode(current.config),
    isDraining: () => lifecycle.serving().isDraining,
    reload: (next, users, warnings) => reload.reload(next, users, warnings),
    listenAddress: () => parts.entrance.listener.address(),
    httpAddress: () => lifecycle.httpAddress(),
    isSettled: () => [...parts.directory.all()].every(({ topology }) => topology.isSettled),
    stuck: () => parts.watchdog.counts,
    handOvers: parts.entrance.handOvers,
    ended: lifecycle.ended,
    log: logs.log,
    noteUnexpected: parts.noteUnexpected,
  };
}
