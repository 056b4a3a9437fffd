/**
 * What `weir serve` needs of the app and of the process. Types only.
 */
import type { HandOvers } from '../app/hand-overs.ts';
import type { Surroundings } from '../app/lifecycle.ts';
import type { ConfigDiff } from '../config/change.ts';
import type { Config, HostPort } from '../config/config.ts';
import type { Loaded } from '../config/load.ts';
import type { BegunRestart, RestartRow } from '../console/sources.ts';
import type { Logger } from '../observability/logger.ts';
import type { Log } from '../observability/types.ts';
import type { ExitCode } from './io.ts';

/** The part of the app that `weir serve` uses. */
export interface ServedApp {
  start(): Promise<void>;
  /** Refuses new clients, lets those there finish as the mode says (default wait-for-servers), then stops. */
  drain(mode?: 'wait-for-servers' | 'wait-for-clients'): Promise<void>;
  stop(): Promise<void>;
  /** What SIGTERM waits for (shutdown_as); absent: wait-for-servers. */
  sigtermMode?(): 'wait-for-servers' | 'wait-for-clients';
  /** It ends, and waits for clients. */
  isDraining?(): boolean;
  /** @throws WeirError if the configuration cannot be used; nothing has changed then */
  reload(
    config: Config,
    users: ReadonlyMap<string, string>,
    /** For the log. Workers find them by themselves. */
    warnings?: readonly string[],
  ): ConfigDiff | Promise<ConfigDiff>;
  listenAddress(): HostPort;
  httpAddress(): HostPort | undefined;
  /** Resolves when the app has ended by SHUTDOWN on the admin console. */
  readonly ended?: Promise<void>;
  /** All servers were looked at, or have had their time to answer. */
  isSettled?(): boolean;
  /** Clients that go to another worker, or come from one. */
  readonly handOvers?: HandOvers;
  /** Replaces all workers one by one, or joins the restart that is under way. `over` resolves to what became of it. */
  restart?(): BegunRestart & { readonly over: Promise<RestartRow> };
  /** Resolves when another process has taken its place. */
  readonly succeeded?: Promise<void>;
  /** What this process has to do then; resolves to its exit code. */
  afterSuccession?(events: ProcessEvents): Promise<ExitCode>;
  /** Its log. */
  log?: Log;
  /** Logs and counts an error that was not caught. */
  noteUnexpected?(error: unknown): void;
}

export interface ServeDeps {
  /** Secrets by user name. */
  readonly users: ReadonlyMap<string, string>;
  /** Reads the file, the environment and the users again. */
  readonly reloadConfig: () => Loaded;
  /** Sockets that systemd has opened, and who is told that the end begins. */
  readonly surroundings?: Surroundings;
  /** Replaces the log of the configuration. */
  readonly logger?: Logger;
}

export type CreateServedApp = (config: Config, deps: ServeDeps) => Promise<ServedApp>;

/** Makes the supervisor of several workers, which do the work. */
export type Supervise = (config: Config, surroundings: Surroundings) => Promise<ServedApp>;

/** The source of signals and uncaught errors: the process, or an emitter in tests. */
export type ProcessEvents = Pick<NodeJS.Process, 'on' | 'off'>;
