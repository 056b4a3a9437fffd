/**
 * Which log-ins the monitor of one database uses: those for the server as a whole, and those for the catalog of this
 * database, and how it is read. monitor-logins.ts lists them in order. Called by topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { CatalogReadingsOptions } from './catalog-readings.ts';
import { sharedReading } from './catalog-sharing.ts';
import type { Monitors } from './member.ts';
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

/** How this process reads the catalog itself. */
export function ownReading(options: TopologyOptions, monitors: Monitors): CatalogReadingsOptions {
  const { readCatalog, catalogFingerprint: fingerprint } = options;
  const catalogConnectionsAt = (node: NodeConfig) => monitors.catalogConnectionsAt(node);
  return { ...catalogLogin(options), readCatalog, fingerprint, catalogConnectionsAt };
}

/** How the watch of this process reads the catalog: itself, or through the process that reads it for all. */
export function watchReading(options: TopologyOptions, monitors: Monitors): CatalogReadingsOptions {
  const { sharedCatalogs, databaseName } = options;
  const own = ownReading(options, monitors);
  return sharedCatalogs === undefined ? own : sharedReading(sharedCatalogs, databaseName, own);
}

/** Connects with the first log-in that this database accepts, to read its catalog. */
function catalogLogin(options: TopologyOptions): Pick<SchemaWatchOptions, 'connect' | 'isOffered'> {
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
