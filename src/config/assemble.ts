/**
 * From the flat values of the table to the shape that the other rooms read (config.ts), and back. The only place
 * that knows both. Called by the loader, by reload and by SET.
 */
import type { Config, DatabaseConfig, PoolSettings } from './config.ts';
import type { SettingKey, SettingValues } from './settings.ts';
import { settingKeys, settingOf } from './settings.ts';

export function assemblePool(v: SettingValues): PoolSettings {
  return {
    poolMode: v.pool_mode,
    defaultPoolSize: v.default_pool_size,
    minPoolSize: v.min_pool_size,
    maxPoolSize: v.max_pool_size,
    maxDbConnections: v.max_db_connections,
    queryWaitTimeoutMs: v.query_wait_timeout,
    serverLifetimeMs: v.server_lifetime,
    serverIdleTimeoutMs: v.server_idle_timeout,
    serverRoundRobin: v.server_round_robin,
    serverConnectTimeoutMs: v.server_connect_timeout,
    serverLoginRetryMs: v.server_login_retry,
    clientIdleTimeoutMs: v.client_idle_timeout,
    idleTransactionTimeoutMs: v.idle_transaction_timeout,
    maxPreparedStatements: v.max_prepared_statements,
  };
}

export function assemble(v: SettingValues, databases: ReadonlyMap<string, DatabaseConfig>): Config {
  return {
    listen: v.listen,
    unixSocketDir: v.unix_socket_dir,
    unixSocketMode: v.unix_socket_mode,
    http: v.http,
    httpHosts: v.http_hosts,
    maxClientConn: v.max_client_conn,
    shutdownTimeoutMs: v.shutdown_timeout,
    maxClientLogins: v.max_client_logins,
    clientLoginTimeoutMs: v.client_login_timeout,
    pool: assemblePool(v),
    auth: assembleAuth(v),
    tls: assembleTls(v),
    databases,
    routing: {
      loadBalanceHosts: v['routing.load_balance_hosts'],
      maxReplicaLagMs: v['routing.max_replica_lag'],
      consistency: v['routing.consistency'],
      readOnlyFunctions: v['routing.read_only_functions'],
      primaryReads: v['routing.primary_reads'],
    },
    cache: assembleCache(v),
    resize: {
      enabled: v['resize.enabled'],
      targetWaitMs: v['resize.target_wait'],
      shrinkAfterMs: v['resize.shrink_after'],
    },
    log: { level: v['log.level'], format: v['log.format'] },
  };
}

function assembleAuth(v: SettingValues): Config['auth'] {
  return {
    type: v['auth.type'],
    file: v['auth.file'],
    hbaFile: v['auth.hba_file'],
    identFile: v['auth.ident_file'],
    query: v['auth.query'],
    user: v['auth.user'],
    dbname: v['auth.dbname'],
    adminUsers: v['auth.admin_users'],
    statsUsers: v['auth.stats_users'],
  };
}

function assembleTls(v: SettingValues): Config['tls'] {
  return {
    client: {
      mode: v['tls.client.mode'],
      cert: v['tls.client.cert'],
      key: v['tls.client.key'],
      ca: v['tls.client.ca'],
    },
    server: {
      mode: v['tls.server.mode'],
      cert: v['tls.server.cert'],
      key: v['tls.server.key'],
      ca: v['tls.server.ca'],
    },
  };
}

function assembleCache(v: SettingValues): Config['cache'] {
  return {
    enabled: v['cache.enabled'],
    mode: v['cache.mode'],
    ttlMs: v['cache.ttl'],
    maxMemoryBytes: v['cache.max_memory'],
    maxEntrySizeBytes: v['cache.max_entry_size'],
    redis: v['cache.redis'],
    leaseMs: v['cache.lease'],
    memberTimeoutMs: v['cache.member_timeout'],
    tables: v['cache.tables'],
  };
}

function collect(valueOf: (key: SettingKey) => unknown): SettingValues {
  // Each value comes from the setting of its key, so the record has the type that the table gives it.
  return Object.fromEntries(settingKeys.map((key) => [key, valueOf(key)])) as SettingValues;
}

export function defaultValues(): SettingValues {
  return collect((key) => settingOf(key).default);
}

/** The inverse of `assemble`. */
export function valuesOf(config: Config): SettingValues {
  return collect((key) => settingOf(key).read(config));
}

export function withValue(values: SettingValues, key: SettingKey, value: unknown): SettingValues {
  return { ...values, [key]: value };
}
