/**
 * What the topology of one database is made from; given by the app, and in parts by tests. Types only.
 */
import type { Catalog } from '../catalog/types.ts';
import type { DatabaseConfig, NodeConfig, RoutingSettings, TlsSide } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import type { TopologyLog } from './announce.ts';
import type { Credentials } from './probe.ts';
import type { ConnectProbe, ProbeQuery } from './samples.ts';
import type { MonitorLogin } from './server-connector.ts';
import type { ServerMonitors } from './server-monitors.ts';
import type { NodeFailure } from './types.ts';

export interface TopologyOptions {
  readonly database: DatabaseConfig;
  /** The name clients use; under a "*" entry the actual one, which is also the name on the server. */
  readonly databaseName: string;
  readonly routing: Pick<RoutingSettings, 'maxReplicaLagMs' | 'primaryReads'>;
  /** For nodes without user:password in their URL; undefined: those of the primary's URL, if any. */
  readonly monitorCredentials: Credentials | undefined;
  /** tls.server. */
  readonly tls: TlsSide;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly log: TopologyLog;
  readonly readCatalog: (query: ProbeQuery) => Promise<Catalog>;
  readonly catalogFingerprint?: (query: ProbeQuery) => Promise<string>;
  readonly onCatalog?: (catalog: Catalog) => void;
  /** The catalog was read from the primary, or was found to be as it was. */
  readonly onCatalogConfirmed?: () => void;
  /** For the metric node_ejections_total{reason}. */
  readonly onEjection?: (node: string, reason: NodeFailure) => void;
  /** Shared by all databases, so that a server is watched once; absent: of its own. */
  readonly monitors?: ServerMonitors;
  /** Log-ins of clients that the servers have accepted, for want of better ones. */
  readonly borrowedLogins?: (node: NodeConfig, queryTimeoutMs: number) => readonly MonitorLogin[];
  /** Has there been a client lately? Absent: always. */
  readonly isUsed?: () => boolean;
  /** In place of real connections; for tests. */
  readonly connect?: ConnectProbe;
}
