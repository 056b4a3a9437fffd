/**
 * The shape of a checked configuration, which loadConfig (load.ts) makes and every other room reads. Its sections get their
 * fields from the table of settings (settings.ts), where each row says what its setting means. Types only.
 */
import type { FieldsOf } from './setting.ts';
import type { authRows, tlsClientRows, tlsServerRows } from './settings-auth.ts';
import type { connectionBudgetRows } from './settings-connection-budget.ts';
import type { limitRows } from './settings-limits.ts';
import type { generalRows, poolRows } from './settings-pools.ts';
import type { cacheRows, routingRows } from './settings-reads.ts';
import type { statementLogRows, statementRows } from './settings-statements.ts';
import type { tracingRows } from './settings-tracing.ts';
import type { forecastRows, logRows, resizeRows } from './settings.ts';

export type { HostPort } from './values.ts';

/** Settings that exist globally and can be set per database. */
export type PoolSettings = FieldsOf<typeof poolRows>;
export type RoutingSettings = FieldsOf<typeof routingRows>;
export type CacheSettings = FieldsOf<typeof cacheRows>;
export type ConnectionBudgetSettings = FieldsOf<typeof connectionBudgetRows>;
export type LimitSettings = FieldsOf<typeof limitRows>;
export type ForecastSettings = FieldsOf<typeof forecastRows>;
type TlsFields = FieldsOf<typeof tlsClientRows>;
/** TLS on one side; without protocols: TLS 1.2 and 1.3. */
export type TlsSide = Pick<TlsFields, 'mode' | 'cert' | 'key' | 'ca'> & Partial<TlsFields>;

export type PoolMode = PoolSettings['poolMode'];
export type TlsMode = TlsSide['mode'];
export type Consistency = RoutingSettings['consistency'];
export type PrimaryReads = RoutingSettings['primaryReads'];

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
  /** Availability zone; undefined: not known. */
  readonly zone?: string | undefined;
  /** Who has named it; absent: the configuration. */
  readonly source?: 'operator' | 'replication' | 'dns' | undefined;
  /** The name that its certificate must have, and that TLS asks for; absent: the host. */
  readonly tlsName?: string | undefined;
}

/** Replicas found in DNS: each address of the host (A, AAAA), or each target of its SRV records, is a node. */
export interface DnsReplicas extends Omit<NodeConfig, 'name' | 'weight' | 'source' | 'tlsName'> {
  readonly kind: 'a' | 'srv';
  /** What the names of the nodes begin with; undefined: the host, and nothing for SRV. */
  readonly name: string | undefined;
  /** Undefined: 1, or what an SRV record says. */
  readonly weight: number | undefined;
}

export interface DatabaseConfig {
  /** The name clients use; "*" for the template of all others. */
  readonly name: string;
  readonly primary: NodeConfig;
  readonly replicas: readonly NodeConfig[];
  /** Absent: none. */
  readonly dns?: readonly DnsReplicas[] | undefined;
  readonly pool: PoolSettings;
  /** What wins over `auth` for its clients (auth_user, auth_query, auth_dbname); absent: nothing. */
  readonly auth?: DatabaseAuth;
}

export type DatabaseAuth = Partial<Pick<FieldsOf<typeof authRows>, 'user' | 'query' | 'dbname'>>;

/** What is set for one user, in the section `users`; absent: as the database says. */
export interface UserConfig extends Partial<
  Pick<
    PoolSettings,
    | 'reservePoolSize'
    | 'poolMode'
    | 'queryWaitTimeoutMs'
    | 'queryTimeoutMs'
    | 'transactionTimeoutMs'
    | 'idleTransactionTimeoutMs'
    | 'clientIdleTimeoutMs'
  >
> {
  readonly poolSize?: number;
  readonly maxUserConnections?: number;
  readonly maxUserClientConnections?: number;
}

export interface Config extends FieldsOf<typeof generalRows> {
  readonly pool: PoolSettings;
  readonly limits: LimitSettings;
  readonly budget: ConnectionBudgetSettings;
  readonly auth: FieldsOf<typeof authRows>;
  readonly tls: { readonly client: TlsFields; readonly server: FieldsOf<typeof tlsServerRows> };
  readonly databases: ReadonlyMap<string, DatabaseConfig>;
  readonly users: ReadonlyMap<string, UserConfig>;
  readonly routing: RoutingSettings;
  readonly cache: CacheSettings;
  readonly resize: FieldsOf<typeof resizeRows>;
  readonly forecast: ForecastSettings;
  readonly log: FieldsOf<typeof logRows>;
  readonly tracing: FieldsOf<typeof tracingRows>;
  readonly statements: FieldsOf<typeof statementRows> & FieldsOf<typeof statementLogRows>;
}
