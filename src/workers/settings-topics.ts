/**
 * The settings that the supervisor itself needs, as a worker tells them. Types, and how they are picked.
 */
import type { Config } from '../config/config.ts';
import { clientLimitsOf, type ClientLimits } from '../util/client-counts.ts';

/** Survives a structured clone. */
export interface SupervisorSettings {
  readonly maxClientConn: number;
  /** Absent: of a process that knew none of them but max_client_conn. */
  readonly clientLimits?: ClientLimits;
  readonly clientLoginTimeoutMs: number;
  readonly serverConnectTimeoutMs: number;
  readonly shutdownDelayMs: number;
  readonly shutdownTimeoutMs: number;
  /** Absent: of a process that did not know it. */
  readonly shutdownAs?: Config['shutdownAs'];
}

export interface SettingsTopicsOfWorker {
  /** As they are in force in the worker: when it is made, and after each change. */
  readonly settings: { readonly body: SupervisorSettings; readonly reply: void };
}

export function supervisorSettings(config: Config): SupervisorSettings {
  const { maxClientConn, clientLoginTimeoutMs, shutdownDelayMs, shutdownTimeoutMs, shutdownAs, pool } = config;
  const { serverConnectTimeoutMs } = pool;
  const clientLimits = clientLimitsOf(config);
  return {
    maxClientConn,
    clientLimits,
    clientLoginTimeoutMs,
    serverConnectTimeoutMs,
    shutdownDelayMs,
    shutdownTimeoutMs,
    shutdownAs,
  };
}
