/**
 * The one table of settings: key, type, default, range, whether it can be changed while Weir runs and per database, and
 * one sentence. The loader, environment names, SHOW CONFIG, reload and docs/settings.md are all made from it.
 * The `databases` section, which is no list of fixed keys, is in databases.ts.
 */
import { readSettings } from './settings-reads.ts';
import type { Setting } from './setting.ts';
import { atLeast1ms, hour, minute, orZero, second, setting } from './setting.ts';
import { boolean, fileMode, hostPort, integer, list, oneOf, onlyForNow, optional, string } from './values.ts';

const poolModes = oneOf(['session', 'transaction', 'statement']);
const tlsModes = oneOf(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']);
const connections = integer(0, 100_000);
const someConnections = integer(1, 100_000);
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
  unix_socket_dir: setting(
    optional(string('a directory')),
    undefined,
    'restart',
    'Directory of a Unix socket on which clients of this machine connect, too: .s.PGSQL.PORT.',
    (c) => c.unixSocketDir,
  ),
  unix_socket_mode: setting(
    fileMode(),
    0o777,
    'restart',
    'Permissions of that socket: who may write may connect.',
    (c) => c.unixSocketMode,
  ),
  http: setting(
    optional(hostPort()),
    { host: '127.0.0.1', port: 9432 },
    'restart',
    'Address and port of /metrics, /healthz and /readyz.',
    (c) => c.http,
  ),
  http_hosts: setting(
    list('host names'),
    [],
    'reload',
    'Names by which browsers and Prometheus may ask the HTTP side, besides IP addresses and names that only exist inside a network.',
    (c) => c.httpHosts,
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
  shutdown_timeout: setting(
    atLeast1ms,
    30 * second,
    'reload',
    'How long SIGTERM waits for statements and transactions in flight; then the rest is cut off.',
    (c) => c.shutdownTimeoutMs,
  ),
  max_client_logins: setting(
    integer(0, 1_000_000),
    0,
    'reload',
    'Connections at the same time that have not proven yet who they are; 0 = as many as max_client_conn. Beyond it the oldest of the address with most of them is refused.',
    (c) => c.maxClientLogins,
  ),
  client_login_timeout: setting(
    atLeast1ms,
    15 * second,
    'reload',
    'How long a client may take to log in.',
    (c) => c.clientLoginTimeoutMs,
  ),
  query_wait_timeout: setting(
    atLeast1ms,
    30 * second,
    'per database',
    'How long a client may wait for a server connection before it gets an error.',
    (c) => c.pool.queryWaitTimeoutMs,
  ),
  server_lifetime: setting(
    orZero('used once'),
    hour,
    'per database',
    'Server connections older than this are closed when they are next unused; 0: each serves one client and is closed.',
    (c) => c.pool.serverLifetimeMs,
  ),
  server_idle_timeout: setting(
    orZero('never'),
    10 * minute,
    'per database',
    'Server connections unused for longer than this are closed, down to min_pool_size.',
    (c) => c.pool.serverIdleTimeoutMs,
  ),
  server_round_robin: setting(
    boolean(),
    false,
    'per database',
    'Idle server connections take turns, instead of the one used last being used next.',
    (c) => c.pool.serverRoundRobin,
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
    orZero('never'),
    0,
    'per database',
    'Clients that send nothing for longer than this, outside a transaction, are disconnected.',
    (c) => c.pool.clientIdleTimeoutMs,
  ),
  idle_transaction_timeout: setting(
    orZero('never'),
    0,
    'per database',
    'Clients idle in a transaction for longer than this are disconnected.',
    (c) => c.pool.idleTransactionTimeoutMs,
  ),
  max_prepared_statements: setting(
    integer(0, 100_000),
    500,
    'per database',
    'Prepared statements kept on each server connection, the least recently used closed first; 0 = names are passed on as they are, and end with the transaction.',
    (c) => c.pool.maxPreparedStatements,
  ),
  'auth.type': setting(
    oneOf(['trust', 'md5', 'scram-sha-256', 'cert', 'hba']),
    'scram-sha-256',
    'reload',
    'How clients prove who they are; hba: as auth.hba_file says for each connection.',
    (c) => c.auth.type,
  ),
  'auth.file': setting(
    optional(string('a file name')),
    'users.txt',
    'reload',
    'File of "name" "secret" lines, as auth_file of PgBouncer; relative to the configuration file, and the default need not exist.',
    (c) => c.auth.file,
  ),
  'auth.hba_file': setting(
    optional(string('a file name')),
    undefined,
    'reload',
    'Who may come in from where and how, in the format of pg_hba.conf; for auth.type hba.',
    (c) => c.auth.hbaFile,
  ),
  'auth.ident_file': setting(
    optional(string('a file name')),
    undefined,
    'reload',
    'User name maps in the format of pg_ident.conf, for map= in auth.hba_file.',
    (c) => c.auth.identFile,
  ),
  'auth.query': setting(
    optional(string('a query with $1 that gives user name and secret, or "default"')),
    undefined,
    'reload',
    'Asks the primary of the client’s database, as auth.user, for the secret of a user ($1) who is not in auth.file; `default` reads pg_authid. search_path is empty: write schema.function($1).',
    (c) => c.auth.query,
  ),
  'auth.user': setting(
    optional(string('a user name')),
    undefined,
    'reload',
    'Who runs auth.query, and whom Weir logs in as to watch a server whose URL names no user (lag, catalog); its secret is in auth.file.',
    (c) => c.auth.user,
  ),
  'auth.dbname': setting(
    optional(string('a database name')),
    undefined,
    'reload',
    'Name of the one database whose primary answers auth.query for clients of all; null = the client’s own database.',
    (c) => c.auth.dbname,
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
    'reload',
    'TLS with clients; without a certificate, disable, allow and prefer simply do not offer it.',
    (c) => c.tls.client.mode,
  ),
  'tls.client.cert': setting(
    pemFile,
    undefined,
    'reload',
    'Certificate shown to clients; a reload reads the file again.',
    (c) => c.tls.client.cert,
  ),
  'tls.client.key': setting(pemFile, undefined, 'reload', 'Private key of that certificate.', (c) => c.tls.client.key),
  'tls.client.ca': setting(
    pemFile,
    undefined,
    'reload',
    'Authority that must have signed the certificates of clients; needed by verify-ca, verify-full and auth.type cert.',
    (c) => c.tls.client.ca,
  ),
  'tls.server.mode': setting(
    tlsModes,
    'prefer',
    'reload',
    'TLS with servers; the modes are those of sslmode in libpq.',
    (c) => c.tls.server.mode,
  ),
  'tls.server.ca': setting(
    pemFile,
    undefined,
    'reload',
    'Authority that must have signed the certificates of servers; needed by verify-ca and verify-full.',
    (c) => c.tls.server.ca,
  ),
  'tls.server.cert': setting(
    pemFile,
    undefined,
    'reload',
    'Client certificate that Weir shows to servers.',
    (c) => c.tls.server.cert,
  ),
  'tls.server.key': setting(pemFile, undefined, 'reload', 'Private key of that certificate.', (c) => c.tls.server.key),
  ...readSettings,
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
