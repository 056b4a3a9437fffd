/**
 * What a program that runs Weir inside of itself gets and gives: `import { startWeir } from 'weir'`. Types only, and the error
 * for a configuration that cannot be used. Exported by index.ts; docs/embedding.md is the page for its users.
 */
export type { DatabaseSettings, NodeSettings, WeirSettings } from './settings-types.ts';
import type { WeirSettings } from './settings-types.ts';

/** One line of the log. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** ISO 8601. */
  readonly time: string;
  /** A fixed name of what has happened, such as `listening`. */
  readonly event: string;
  /** The same in words. */
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface StartOptions {
  /** Passwords, or secrets as in auth.file, of users who may log in: over those of `auth.file` and of the URLs. */
  readonly users?: Readonly<Record<string, string>>;
  /** Where WEIR_<KEY> variables, which win over the configuration, are read. Default: none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Gets each line of the log; default: standard output, in the form of `log.format`. */
  readonly log?: (line: LogLine) => void;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Login {
  readonly user?: string;
  readonly password?: string;
}

export interface Reloaded {
  /** Settings that have changed. */
  readonly changed: readonly string[];
  /** Settings that differ now, but only a new start applies them. */
  readonly needRestart: readonly string[];
}

/** A Weir that serves. */
export interface Weir {
  /** Where clients connect: the real port if `listen` had 0. */
  readonly address: Address;
  /** Where /metrics, /healthz and /readyz are; undefined if `http` is null. */
  readonly http: Address | undefined;
  /** What is strange in the configuration, in words. */
  readonly warnings: readonly string[];
  /** Resolves when it has stopped: by stop(), drain(), or SHUTDOWN on the admin console. */
  readonly ended: Promise<void>;
  /** postgres://user:password@host:port/database of this Weir, for clients of this machine. */
  url(database: string, login?: Login): string;
  /**
   * Resolves when all servers have been looked at, or have had their time to answer: from then on, reads can go to replicas.
   * Rejects if it has stopped before.
   */
  ready(): Promise<void>;
  /**
   * Applies another configuration, or reads the file again. Rejects, and changes nothing, if it cannot be used.
   * @throws WeirConfigError
   */
  reload(settings?: WeirSettings): Promise<Reloaded>;
  /** No new clients; statements and transactions under way end first, for at most `shutdown_timeout`; then as stop(). */
  drain(): Promise<void>;
  /**
   * Ends all connections. When it has resolved, no timer, listening socket, server connection or file of this Weir is left. A client
   * has five seconds to close its end of its connection, which then is closed, too.
   */
  stop(): Promise<void>;
}

/** The configuration cannot be used. */
export class WeirConfigError extends Error {
  override readonly name = 'WeirConfigError';
  /** All of them, one line each. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}
