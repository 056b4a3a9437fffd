/**
 * Which log-ins the monitor of one database uses: those for the server as a whole, and those for the catalog of this
 * database. monitor-logins.ts lists them in order. Called by topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import { catalogLogins, monitorLogins } from './monitor-logins.ts';
import type { LoginSources } from './monitor-logins.ts';
import type { TopologyOptions } from './options.ts';
import { ProbeError, asProbeFailure } from './probe.ts';
import type { SchemaWatchOptions } from './schema-watch.ts';
import type { MonitorLogin } from './server-connector.ts';
import { NO_LOGIN } from './server-connector.ts';

const PROBE_TIMEOUT_MS = 5000;
const CATALOG_TIMEOUT_MS = 30_000;

function loginSources(options: TopologyOptions, queryTimeoutMs: number): LoginSources {
  const { database, databaseName, monitorCredentials, tls, connectTimeoutMs } = options;
  return {
    database,
    databaseName,
    monitorCredentials,
    probe: { tls, connectTimeoutMs, queryTimeoutMs },
    borrowed: options.borrowedLogins ?? (() => []),
  };
}

/** Log-ins for probing the server. */
export function loginsOf(options: TopologyOptions): (node: NodeConfig) => readonly MonitorLogin[] {
  const { connect } = options;
  if (connect !== undefined) return () => [{ key: '', rank: 0, connect }];
  const sources = loginSources(options, PROBE_TIMEOUT_MS);
  return (node) => monitorLogins(sources, node);
}

/** Connects with the first log-in that this database accepts, to read its catalog. */
export function catalogLogin(options: TopologyOptions): Pick<SchemaWatchOptions, 'connect' | 'isOffered'> {
  if (options.connect !== undefined) return { connect: options.connect };
  const sources = loginSources(options, CATALOG_TIMEOUT_MS);
  let used: string | undefined;
  return {
    async connect(node, onLost, signal) {
      let refusal = new ProbeError(NO_LOGIN, false);
      for (const { key, connect } of catalogLogins(sources, node)) {
        try {
          const connection = await connect(node, onLost, signal);
          used = key;
          return connection;
        } catch (error) {
          refusal = asProbeFailure(error, 'cannot connect');
          if (!refusal.isRefused) throw refusal;
        }
      }
      throw refusal;
    },
    isOffered: (node) => catalogLogins(sources, node).some(({ key }) => key === used),
  };
}
