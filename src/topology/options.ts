/**
 * The options of the topology of one database, given by the app and by tests. Types only.
 */
import type { Catalog } from '../catalog/types.ts';
import type { DatabaseConfig, NodeConfig, RoutingSettings, TlsSide } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import type { TopologyLog } from './announce.ts';
import type { CatalogReader } from './catalog-link.ts';
import type { SharedCatalogs } from './catalog-sharing.ts';
import type { Monitors } from './member.ts';
import type { Credentials } from './probe.ts';
import type { ConnectProbe, ProbeQuery } from './samples.ts';
import type { MonitorLogin } from './server-connector.ts';
import type { NodeFailure } from './types.ts';

export interface TopologyOptions {
  readonly database: DatabaseConfig;
  /** The database name that clients use; under a "*" entry the actual name, which is also the name on the server. */
  readonly databaseName: string;
  readonly routing: Pick<RoutingSettings, 'maxReplicaLagMs' | 'primaryReads'>;
  /** routing.slow_start, which a reload may change; absent: the default. */
  readonly slowStartMs?: () => number;
  /**
   * The monitor's log-in at nodes without user:password in their URL; undefined: the one in the primary's URL, if any.
   */
  readonly monitorCredentials: Credentials | undefined;
  /** The tls.server section. */
  readonly tls: TlsSide;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly log: TopologyLog;
  readonly readCatalog: CatalogReader;
  readonly catalogFingerprint?: (query: ProbeQuery) => Promise<string>;
  readonly onCatalog?: (catalog: Catalog) => void;
  /** The catalog was read from the primary, or a comparison with the primary found it unchanged. */
  readonly onCatalogConfirmed?: () => void;
  /** For the metric node_ejections_total{reason}. */
  readonly onEjection?: (node: string, reason: NodeFailure) => void;
  /** Shared by all databases, so that a server is probed only once; absent: this database has its own. */
  readonly monitors?: Monitors;
  /** Set if one process of several reads the catalogs for all; absent: this process reads them itself. */
  readonly sharedCatalogs?: SharedCatalogs;
  /** Log-ins of clients that the servers have accepted, used when the monitor has none of its own. */
  readonly borrowedLogins?: (node: NodeConfig, queryTimeoutMs: number) => readonly MonitorLogin[];
  /** The clients' users in `borrowedLogins`. */
  readonly borrowedUsers?: (node: NodeConfig) => readonly string[];
  /** Whether a client used the database lately. Absent: always true. */
  readonly isUsed?: () => boolean;
  /** With a single node: nothing needs the monitor while nothing goes wrong (routing.monitor). Absent: always false. */
  readonly isMonitorIdle?: () => boolean;
  /** Replaces real connections; for tests. */
  readonly connect?: ConnectProbe;
}
