/**
 * The shape of a checked configuration: what every other room is given. Units are in the names.
 * Made by `loadConfig` (config/load.ts) from the table of settings; never built by hand outside tests.
 */

import type { AuthType } from '../auth/methods/table.ts';
import type { BalanceHosts } from '../balancing/policies.ts';

export type PoolMode = 'session' | 'transaction' | 'statement';
export type TlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
export type Consistency = 'eventual' | 'session' | 'strict';
export type PrimaryReads = 'never' | 'when-needed' | 'always-included';
export type CacheMode = 'session' | 'bounded' | 'ttl';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** One PostgreSQL server as the configuration names it. `user` undefined: log in as the client's own user. */
export interface NodeConfig {
  /** Unique within its database; the host name (plus `:port` when two share a host) unless given. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Name of the database on the server; undefined in the "*" entry: the same as the client asked for. */
  readonly database: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Share of reads relative to the other replicas, > 0. */
  readonly weight: number;
}

/** Settings that exist globally and can be set per database. */
export interface PoolSettings {
  readonly poolMode: PoolMode;
  readonly defaultPoolSize: number;
  readonly minPoolSize: number;
  readonly maxPoolSize: number;
  /** Per node over all pools; 0 = what the node itself can spare. */
  readonly maxDbConnections: number;
  readonly queryWaitTimeoutMs: number;
  readonly serverLifetimeMs: number;
  readonly serverIdleTimeoutMs: number;
  /** The one idle for longest is handed out, not the one used last. */
  readonly serverRoundRobin: boolean;
  readonly serverConnectTimeoutMs: number;
  readonly serverLoginRetryMs: number;
  /** 0 = never, for this and the next. */
  readonly clientIdleTimeoutMs: number;
  readonly idleTransactionTimeoutMs: number;
  /** Per server connection; 0 = prepared statements are passed on as they are. */
  readonly maxPreparedStatements: number;
}

export interface DatabaseConfig {
  /** The name clients use; "*" for the template of all others. */
  readonly name: string;
  readonly primary: NodeConfig;
  readonly replicas: readonly NodeConfig[];
  readonly pool: PoolSettings;
}

export interface TlsSide {
  readonly mode: TlsMode;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
}

export interface RoutingSettings {
  readonly loadBalanceHosts: BalanceHosts;
  readonly maxReplicaLagMs: number;
  readonly consistency: Consistency;
  readonly readOnlyFunctions: readonly string[];
  readonly primaryReads: PrimaryReads;
}

export interface CacheSettings {
  readonly enabled: boolean;
  readonly mode: CacheMode;
  readonly ttlMs: number;
  readonly maxMemoryBytes: number;
  readonly maxEntrySizeBytes: number;
  readonly redis: string | undefined;
  readonly leaseMs: number;
  readonly memberTimeoutMs: number;
  /** Empty = every table that is safe. Names as `schema.table` or `table` (public). */
  readonly tables: readonly string[];
}

export interface Config {
  readonly listen: HostPort;
  readonly unixSocketDir: string | undefined;
  readonly unixSocketMode: number;
  readonly http: HostPort | undefined;
  readonly httpHosts: readonly string[];
  readonly maxClientConn: number;
  readonly shutdownTimeoutMs: number;
  /** 0 = as many as maxClientConn. */
  readonly maxClientLogins: number;
  readonly clientLoginTimeoutMs: number;
  readonly pool: PoolSettings;
  readonly auth: {
    readonly type: AuthType;
    readonly file: string | undefined;
    readonly hbaFile: string | undefined;
    readonly identFile: string | undefined;
    /** `default`: Weir's own, of pg_authid. */
    readonly query: string | undefined;
    readonly user: string | undefined;
    /** Name of the database whose servers answer it; undefined: the client's own. */
    readonly dbname: string | undefined;
    readonly adminUsers: readonly string[];
    readonly statsUsers: readonly string[];
  };
  readonly tls: { readonly client: TlsSide; readonly server: TlsSide };
  readonly databases: ReadonlyMap<string, DatabaseConfig>;
  readonly routing: RoutingSettings;
  readonly cache: CacheSettings;
  readonly resize: { readonly enabled: boolean; readonly targetWaitMs: number; readonly shrinkAfterMs: number };
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly format: 'json' | 'pretty' };
}
