/**
 * The log-ins that the monitor tries at a node, in order: the user in the node's URL, else auth.user, else the user in
 * the primary's URL; each at the database itself, then at "postgres" (roles and positions are the same in every
 * database). Then log-ins borrowed from clients (app/borrowed-logins.ts). Used by database-logins.ts.
 */
import type { DatabaseConfig, NodeConfig } from '../config/config.ts';
import { createPgConnect } from './probe.ts';
import type { Credentials, ProbeOptions } from './probe.ts';
import type { MonitorLogin } from './server-connector.ts';

/** The default maintenance database: every server has it unless an administrator dropped it. */
const MAINTENANCE = 'postgres';

export interface LoginSources {
  readonly database: DatabaseConfig;
  readonly databaseName: string;
  readonly monitorCredentials: Credentials | undefined;
  readonly probe: Omit<ProbeOptions, 'databaseName'>;
  /**
   * Log-ins of clients that the database's servers have accepted; `queryTimeoutMs` limits each query sent with them.
   */
  readonly borrowed: (node: NodeConfig, queryTimeoutMs: number) => readonly MonitorLogin[];
}

export function monitorLogins(sources: LoginSources, node: NodeConfig): readonly MonitorLogin[] {
  const { database, monitorCredentials, probe } = sources;
  const login = ofUrl(node) ?? monitorCredentials ?? ofUrl(database.primary);
  const borrowed = sources.borrowed(node, probe.queryTimeoutMs);
  if (login === undefined) return borrowed;
  const own = node.database ?? sources.databaseName;
  return [
    ...[...new Set([own, MAINTENANCE])].map((databaseName, rank) => ({
      key: JSON.stringify([login.user, login.password, databaseName]),
      rank,
      connect: createPgConnect({ ...probe, databaseName }, login),
    })),
    ...borrowed,
  ];
}

/** The log-ins at the database itself, to read its catalog. */
export function catalogLogins(sources: LoginSources, node: NodeConfig): readonly MonitorLogin[] {
  const own = node.database ?? sources.databaseName;
  return monitorLogins(sources, node).filter(({ rank }) => rank !== 1 || own === MAINTENANCE);
}

function ofUrl(node: NodeConfig): Credentials | undefined {
  return node.user === undefined ? undefined : { user: node.user, password: node.password };
}
