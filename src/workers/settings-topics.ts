/**
 * The settings that the supervisor itself needs, as a worker tells them. Types, and how they are picked.
 */
import type { Config } from '../config/config.ts';

/** Survives a structured clone. */
export interface SupervisorSettings {
  readonly maxClientConn: number;
  readonly clientLoginTimeoutMs: number;
  readonly serverConnectTimeoutMs: number;
  readonly shutdownDelayMs: number;
  readonly shutdownTimeoutMs: number;
}

export interface SettingsTopicsOfWorker {
  /** As they are in force in the worker: when it is made, and after each change. */
  readonly settings: { readonly body: SupervisorSettings; readonly reply: void };
}

export function supervisorSettings(config: Config): SupervisorSettings {
  const { maxClientConn, clientLoginTimeoutMs, shutdownDelayMs, shutdownTimeoutMs, pool } = config;
  const { serverConnectTimeoutMs } = pool;
  return { maxClientConn, clientLoginTimeoutMs, serverConnectTimeoutMs, shutdownDelayMs, shutdownTimeoutMs };
}
