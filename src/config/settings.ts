/**
 * The one table of settings: key, type, default, range, whether it can be changed while Weir runs and per database, and
 * one sentence. The loader, environment names, SHOW CONFIG, reload and docs/settings.md are all made from it.
 * The `databases` section, which is no list of fixed keys, is in databases.ts.
 */
import type { Config } from './config.ts';
import type { ValueType } from './values.ts';
import {
  boolean,
  duration,
  hostPort,
  integer,
  list,
  longestDurationMs,
  nothingForNow,
  oneOf,
  onlyForNow,
  optional,
  redisUrl,
  size,
  string,
} from './values.ts';

export interface Setting<T> {
  readonly type: ValueType<T>;
  readonly default: T;
  /** Can be changed by a reload or SET; otherwise a restart is needed. */
  readonly isReloadable: boolean;
  /** Can also be set under `databases.NAME`. */
  readonly isPerDatabase: boolean;
  /** One sentence for the documentation. */
  readonly about: string;
  /** Where its value is in a checked configuration. */
  read(config: Config): T;
}

type Scope = 'restart' | 'reload' | 'per database';

function setting<T>(
  type: ValueType<T>,
  standard: NoInfer<T>,
  scope: Scope,
  about: string,
  read: (config: Config) => NoInfer<T>,
): Setting<T> {
  return {
    type,
    default: standard,
    isReloadable: scope !== 'restart',
    isPerDatabase: scope === 'per database',
    about,
    read,
  };
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const poolModes = oneOf(['session', 'transaction', 'statement']);
const tlsModes = oneOf(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']);
const connections = integer(0, 100_000);
const someConnections = integer(1, 100_000);
const atLeast1ms = duration(1, longestDurationMs);
const orNever = (zero: string): ValueType<number> => duration(1, longestDurationMs, zero);
const pemFile = optional(string('a file name (PEM)'));
const userNames = list('user names');

export const settings = {
  listen: setting(
    hostPort(),
    { host: '127.0.0.1', port: 6432 },
    'restart',
    'Address and port on which clients connect.',
    (c) => c.listen,
  ),
  http: setting(
    optional(hostPort()),
    { host: '127.0.0.1', port: 9432 },
    'restart',
    'Address and port of /metrics, /healthz and /readyz.',
    (c) => c.http,
  ),
  workers: setting(
    onlyForNow(1, 'integer', 'several processes sharing the port'),
    1,
    'restart',
    'Processes sharing the port.',
    () => 1 as const,
  ),
  pool_mode: setting(
    poolModes,
    'transaction',
    'per database',
    'When a server goes back to the pool: at the end of the session, the transaction or the statement.',
    (c) => c.pool.poolMode,
  ),
  default_pool_size: setting(
    someConnections,
    20,
    'per database',
    'Server connections a pool (database, user, node) may have at the start; gives way to an explicit max_pool_size or min_pool_size.',
    (c) => c.pool.defaultPoolSize,
  ),
  min_pool_size: setting(
    connections,
    0,
    'per database',
    'Server connections kept open even when nobody needs them, and the least a pool shrinks to.',
    (c) => c.pool.minPoolSize,
  ),
  max_pool_size: setting(
    someConnections,
    100,
    'per database',
    'How far a pool may grow under pressure; gives way to a larger explicit default_pool_size.',
    (c) => c.pool.maxPoolSize,
  ),
  max_db_connections: setting(
    connections,
    0,
    'per database',
    'Server connections per node over all pools of the database; 0 = what the node itself can spare.',
    (c) => c.pool.maxDbConnections,
  ),
  max_client_conn: setting(
    integer(1, 1_000_000),
    10_000,
    'reload',
    'Client connections allowed at the same time.',
    (c) => c.maxClientConn,
  ),
  query_wait_timeout: setting(
    atLeast1ms,
    30 * second,
    'per database',
    'How long a client may wait for a server connection before it gets an error.',
    (c) => c.pool.queryWaitTimeoutMs,
  ),
  server_lifetime: setting(
    atLeast1ms,
    hour,
    'per database',
    'Server connections older than this are closed when they are next unused.',
    (c) => c.pool.serverLifetimeMs,
  ),
  server_idle_timeout: setting(
    orNever('never'),
    10 * minute,
    'per database',
    'Server connections unused for longer than this are closed, down to min_pool_size.',
    (c) => c.pool.serverIdleTimeoutMs,
  ),
  server_connect_timeout: setting(
    atLeast1ms,
    5 * second,
    'per database',
    'How long connecting and logging in to a server may take.',
    (c) => c.pool.serverConnectTimeoutMs,
  ),
  server_login_retry: setting(
    atLeast1ms,
    second,
    'per database',
    'Pause after a failed log-in to a server; it grows while log-ins go on failing.',
    (c) => c.pool.serverLoginRetryMs,
  ),
  client_idle_timeout: setting(
    orNever('never'),
    0,
    'per database',
    'Clients that send nothing for longer than this, outside a transaction, are disconnected.',
    (c) => c.pool.clientIdleTimeoutMs,
  ),
  idle_transaction_timeout: setting(
    orNever('never'),
    0,
    'per database',
    'Clients idle in a transaction for longer than this are disconnected.',
    (c) => c.pool.idleTransactionTimeoutMs,
  ),
  max_prepared_statements: setting(
    integer(0, 100_000),
    500,
    'per database',
    'Prepared statements kept on each server connection, the least recently used closed first; 0 = passed on as they are.',
    (c) => c.pool.maxPreparedStatements,
  ),
  'auth.type': setting(
    oneOf(['trust', 'md5', 'scram-sha-256', 'cert'], ['hba']),
    'scram-sha-256',
    'restart',
    'How clients prove who they are.',
    (c) => c.auth.type,
  ),
  'auth.file': setting(
    optional(string('a file name')),
    'users.txt',
    'reload',
    'File of "name" "secret" lines, as auth_file of PgBouncer; relative to the configuration file, and the default need not exist.',
    (c) => c.auth.file,
  ),
  'auth.query': setting(
    nothingForNow('asking the server for secrets'),
    undefined,
    'restart',
    'Query that asks a server for the secret of a user who is not in auth.file.',
    () => undefined,
  ),
  'auth.user': setting(
    optional(string('a user name')),
    undefined,
    'restart',
    'User who runs auth.query; without that it has no use yet.',
    (c) => c.auth.user,
  ),
  'auth.admin_users': setting(
    userNames,
    ['weir'],
    'reload',
    'Users who may run every command of the admin console.',
    (c) => c.auth.adminUsers,
  ),
  'auth.stats_users': setting(
    userNames,
    [],
    'reload',
    'Users who may run SHOW on the admin console.',
    (c) => c.auth.statsUsers,
  ),
  'tls.client.mode': setting(
    tlsModes,
    'prefer',
    'restart',
    'TLS with clients; without a certificate, disable, allow and prefer simply do not offer it.',
    (c) => c.tls.client.mode,
  ),
  'tls.client.cert': setting(pemFile, undefined, 'restart', 'Certificate shown to clients.', (c) => c.tls.client.cert),
  'tls.client.key': setting(pemFile, undefined, 'restart', 'Private key of that certificate.', (c) => c.tls.client.key),
  'tls.client.ca': setting(
    pemFile,
    undefined,
    'restart',
    'Authority that must have signed the certificates of clients; needed by verify-ca, verify-full and auth.type cert.',
    (c) => c.tls.client.ca,
  ),
  'tls.server.mode': setting(
    tlsModes,
    'prefer',
    'restart',
    'TLS with servers; the modes are those of sslmode in libpq.',
    (c) => c.tls.server.mode,
  ),
  'tls.server.ca': setting(
    pemFile,
    undefined,
    'restart',
    'Authority that must have signed the certificates of servers; needed by verify-ca and verify-full.',
    (c) => c.tls.server.ca,
  ),
  'tls.server.cert': setting(
    pemFile,
    undefined,
    'restart',
    'Client certificate that Weir shows to servers.',
    (c) => c.tls.server.cert,
  ),
  'tls.server.key': setting(pemFile, undefined, 'restart', 'Private key of that certificate.', (c) => c.tls.server.key),
  'routing.load_balance_hosts': setting(
    oneOf(['least-load', 'round-robin', 'random', 'weighted']),
    'least-load',
    'reload',
    'How reads are spread over the replicas.',
    (c) => c.routing.loadBalanceHosts,
  ),
  'routing.max_replica_lag': setting(
    atLeast1ms,
    second,
    'reload',
    'Replicas further behind than this get no reads.',
    (c) => c.routing.maxReplicaLagMs,
  ),
  'routing.consistency': setting(
    oneOf(['eventual', 'session', 'strict']),
    'session',
    'reload',
    'What reads may see: any healthy replica, at least the own writes, or only the primary; a session may choose with SET weir.consistency.',
    (c) => c.routing.consistency,
  ),
  'routing.read_only_functions': setting(
    list('function names'),
    [],
    'reload',
    'Volatile functions of your own that you vouch for: they write nothing, so calling them is a read.',
    (c) => c.routing.readOnlyFunctions,
  ),
  'routing.primary_reads': setting(
    oneOf(['never', 'when-needed', 'always-included']),
    'when-needed',
    'reload',
    'Whether reads go to the primary: never, when no replica may take them, or always as one of the nodes.',
    (c) => c.routing.primaryReads,
  ),
  'routing.auto_discover': setting(
    onlyForNow(false, 'boolean', 'finding replicas in pg_stat_replication'),
    false,
    'restart',
    'Find replicas in pg_stat_replication of the primary.',
    () => false as const,
  ),
  'cache.enabled': setting(
    boolean(),
    false,
    'restart',
    'Keep results of safe reads and answer repeated ones from them.',
    (c) => c.cache.enabled,
  ),
  'cache.mode': setting(
    oneOf(['session', 'bounded', 'ttl'], ['strict']),
    'session',
    'restart',
    'What a cached answer promises: never older than the own writes and reads, never older than the ttl, or only the ttl.',
    (c) => c.cache.mode,
  ),
  'cache.ttl': setting(atLeast1ms, minute, 'restart', 'Longest life of a cached result.', (c) => c.cache.ttlMs),
  'cache.max_memory': setting(
    size(64 * 1024),
    128 * 1024 ** 2,
    'restart',
    'Memory for cached results in this process.',
    (c) => c.cache.maxMemoryBytes,
  ),
  'cache.max_entry_size': setting(
    size(1024, 1024 ** 3),
    256 * 1024,
    'restart',
    'Larger results are not cached.',
    (c) => c.cache.maxEntrySizeBytes,
  ),
  'cache.redis': setting(
    optional(redisUrl()),
    undefined,
    'restart',
    'Redis for a second level shared by all proxies and for invalidation between them.',
    (c) => c.cache.redis,
  ),
  'cache.out_of_band_writes': setting(
    oneOf(['off'], ['logical-replication']),
    'off',
    'restart',
    'How writes that go past Weir invalidate the cache.',
    () => 'off' as const,
  ),
  'cache.tables': setting(
    list('table names'),
    [],
    'restart',
    'Tables whose reads may be cached; empty = every table that is safe.',
    (c) => c.cache.tables,
  ),
  'resize.enabled': setting(
    boolean(),
    true,
    'reload',
    'Let pools grow and shrink by themselves.',
    (c) => c.resize.enabled,
  ),
  'resize.target_wait': setting(
    atLeast1ms,
    10,
    'reload',
    'A pool grows when its clients wait longer than this for a server.',
    (c) => c.resize.targetWaitMs,
  ),
  'resize.shrink_after': setting(
    atLeast1ms,
    5 * minute,
    'reload',
    'A pool shrinks when it had connections to spare for this long.',
    (c) => c.resize.shrinkAfterMs,
  ),
  'log.level': setting(
    oneOf(['debug', 'info', 'warn', 'error']),
    'info',
    'reload',
    'Least important messages that are logged.',
    (c) => c.log.level,
  ),
  'log.format': setting(
    oneOf(['json', 'pretty']),
    'json',
    'restart',
    'One JSON object a line, or lines for people.',
    (c) => c.log.format,
  ),
} as const satisfies Readonly<Record<string, Setting<unknown>>>;

export type SettingKey = keyof typeof settings;
export type SettingValues = {
  readonly [K in SettingKey]: (typeof settings)[K] extends Setting<infer T> ? T : never;
};
/** A setting of which only the key is known at run time. */
export type AnySetting = Setting<unknown>;

export const settingKeys = Object.keys(settings) as readonly SettingKey[];

export function settingOf(key: SettingKey): AnySetting {
  return settings[key];
}

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(settings, key);
}

/** `cache.ttl` -> `WEIR_CACHE_TTL`. */
export function environmentName(key: string): string {
  return `WEIR_${key.replace(/[^A-Za-z0-9]/g, '_').toUpperCase()}`;
}
