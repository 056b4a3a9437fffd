/**
 * The table of keys of [pgbouncer]: all of PgBouncer 1.25 and of the versions before it, with the setting of Weir that each is,
 * or the reason why it has no effect. Used by translate.ts and hints.ts.
 */
import { none, perhaps, same, type IniKey } from './key.ts';

const modes = ['session', 'transaction', 'statement'];
const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
const kernel = 'keepalive is on for every socket, and the rest is left to the kernel (sysctl net.ipv4.tcp_*)';
const nodeTls = "Node's TLS 1.2 and 1.3 with its own choice of ciphers are used";
const buffers = 'memory for messages is managed by memory_limit';
const resolver = 'host names are looked up by the system at each new server connection';
const undone = 'the session state of the last client is undone before the next one gets the server';
const noSyslog =
  'Node has no datagram sockets to reach syslog: use logfile, or let the service manager store the output';

const listening = {
  // Where Weir listens is made of all of them: see special.ts.
  listen_addr: same('list', 'listen'),
  listen_port: same('int', 'listen'),
  listen_backlog: none('int', 'it is fixed at 4096 (the kernel uses less if net.core.somaxconn is less)', ['128']),
  unix_socket_dir: same('file', 'unix_socket_dir', { absent: '/tmp' }),
  unix_socket_mode: same('int', 'unix_socket_mode'),
  unix_socket_group: perhaps('text', ['unix_socket_group'], 'the socket has the group of its directory (setgid)', {
    inert: [''],
  }),
  so_reuseport: same('int', 'so_reuseport'),
  peer_id: perhaps(
    'int',
    ['peer_id'],
    'workers of one Weir find the statement of a cancel by themselves (workers: N)',
    {
      inert: ['0'],
    },
  ),
} as const satisfies Readonly<Record<string, IniKey>>;

const pools = {
  pool_mode: same(modes, 'pool_mode', { absent: 'session' }),
  max_client_conn: same('int', 'max_client_conn', { absent: 100 }),
  default_pool_size: same('int', 'default_pool_size', { also: ['max_pool_size'], absent: 20 }),
  min_pool_size: same('int', 'min_pool_size'),
  reserve_pool_size: same('int', 'reserve_pool_size'),
  reserve_pool_timeout: same('seconds', 'reserve_pool_timeout', { absent: '5s' }),
  max_db_connections: same('int', 'max_db_connections'),
  max_db_client_connections: perhaps('int', ['max_db_client_connections'], 'only max_client_conn limits clients', {
    inert: ['0'],
  }),
  max_user_connections: perhaps(
    'int',
    ['max_user_connections'],
    'max_db_connections and the sizes of the pools limit the servers of a user',
    { inert: ['0'] },
  ),
  max_user_client_connections: perhaps('int', ['max_user_client_connections'], 'only max_client_conn limits clients', {
    inert: ['0'],
  }),
  server_round_robin: same('int', 'server_round_robin'),
  max_prepared_statements: same('int', 'max_prepared_statements', { absent: 200 }),
} as const satisfies Readonly<Record<string, IniKey>>;

const sessions = {
  server_reset_query: perhaps('text', ['server_reset_query'], undone, { inert: ['DISCARD ALL'] }),
  server_reset_query_always: perhaps('int', ['server_reset_query_always'], undone, { inert: ['0'] }),
  server_check_query: perhaps(
    'text',
    ['server_check_query'],
    'a server that has gone is noticed when its socket closes',
    {
      inert: ['<empty>'],
    },
  ),
  server_check_delay: perhaps(
    'seconds',
    ['server_check_delay'],
    'a server that has gone is noticed when its socket closes',
    {
      inert: ['30'],
    },
  ),
  server_fast_close: perhaps(
    'int',
    ['server_fast_close'],
    'a server of a session is kept until the session ends, or goes on with another server where it can',
    { inert: ['0'] },
  ),
  track_extra_parameters: perhaps(
    'list',
    ['track_extra_parameters'],
    'every parameter that a session sets is kept for it',
    {
      inert: ['IntervalStyle', ''],
    },
  ),
  ignore_startup_parameters: perhaps(
    'list',
    ['ignore_startup_parameters'],
    'startup parameters are not refused: they are kept for the session, as with SET',
    { inert: [''] },
  ),
  disable_pqexec: perhaps('int', ['disable_pqexec'], 'the simple query protocol cannot be switched off', {
    inert: ['0'],
  }),
  application_name_add_host: perhaps(
    'int',
    ['application_name_add_host'],
    'application_name is as the client says; SHOW CLIENTS has its address',
    { inert: ['0'] },
  ),
  login_notify_message: perhaps('text', ['login_notify_message'], 'nothing is said to a client that has logged in', {
    inert: [''],
  }),
  query_wait_notify: perhaps('int', ['query_wait_notify'], 'clients are not told that they wait', {
    inert: ['5', '0'],
    absent: '5s',
  }),
} as const satisfies Readonly<Record<string, IniKey>>;

const auth = {
  auth_type: same(['any', 'trust', 'plain', 'md5', 'cert', 'hba', 'ldap', 'pam', 'scram-sha-256'], 'auth.type', {
    absent: 'md5',
  }),
  auth_file: same('file', 'auth.file', { absent: null }),
  auth_hba_file: same('file', 'auth.hba_file'),
  auth_ident_file: same('file', 'auth.ident_file'),
  auth_user: same('text', 'auth.user'),
  // Without auth_user it is not asked: see special.ts.
  auth_query: same('text', 'auth.query'),
  auth_dbname: same('text', 'auth.dbname'),
  auth_ldap_options: none('text', 'there is no LDAP', ['']),
  auth_ldap_parameter: none('text', 'there is no LDAP', ['']),
  auth_pam_confdir: none('text', 'there is no PAM', ['']),
  auth_krb_server_keyfile: none('text', 'there is no GSSAPI', ['']),
  scram_iterations: perhaps('int', ['auth.scram_iterations'], 'SCRAM secrets have the iterations they were made with', {
    inert: ['4096'],
  }),
  admin_users: same('list', 'auth.admin_users', { absent: [] }),
  stats_users: same('list', 'auth.stats_users'),
} as const satisfies Readonly<Record<string, IniKey>>;

const logging = {
  logfile: same('file', 'log.file'),
  pidfile: same('file', 'pidfile'),
  user: same('text', 'user'),
  syslog: none('int', noSyslog, ['0']),
  syslog_ident: none('text', noSyslog, ['pgbouncer']),
  syslog_facility: none('text', noSyslog, ['daemon']),
  log_connections: perhaps('int', ['log.connections'], 'log.level decides what is logged', { inert: ['1'] }),
  log_disconnections: perhaps('int', ['log.disconnections'], 'log.level decides what is logged', { inert: ['1'] }),
  log_pooler_errors: perhaps('int', ['log.pooler_errors'], 'log.level decides what is logged', { inert: ['1'] }),
  log_stats: perhaps('int', ['log.stats'], 'SHOW STATS and /metrics have the figures', { inert: ['1'] }),
  // Levels of the log: see special.ts.
  verbose: same('int', 'log.level'),
  stats_period: perhaps('int', ['stats_period'], 'the averages of SHOW STATS are those of the last minute', {
    inert: ['60'],
  }),
  conffile: none('text', 'RELOAD reads the file that Weir was started with', ['']),
  job_name: none('text', 'it names a Windows service', ['pgbouncer']),
  service_name: none('text', 'it names a Windows service', ['pgbouncer']),
} as const satisfies Readonly<Record<string, IniKey>>;

const times = {
  server_lifetime: same('seconds', 'server_lifetime'),
  server_idle_timeout: same('seconds', 'server_idle_timeout'),
  server_connect_timeout: same('seconds', 'server_connect_timeout', { absent: '15s' }),
  server_login_retry: same('seconds', 'server_login_retry', { absent: '15s' }),
  client_login_timeout: same('seconds', 'client_login_timeout', { absent: '60s' }),
  client_idle_timeout: same('seconds', 'client_idle_timeout'),
  idle_transaction_timeout: same('seconds', 'idle_transaction_timeout'),
  transaction_timeout: perhaps(
    'seconds',
    ['transaction_timeout'],
    'PostgreSQL 17 has transaction_timeout, for a role: ALTER ROLE app SET transaction_timeout',
    { inert: ['0'] },
  ),
  query_timeout: perhaps(
    'seconds',
    ['query_timeout'],
    'PostgreSQL has statement_timeout, for a role: ALTER ROLE app SET statement_timeout',
    { inert: ['0'] },
  ),
  query_wait_timeout: same('seconds', 'query_wait_timeout', { absent: '2m' }),
  cancel_wait_timeout: perhaps('seconds', ['cancel_wait_timeout'], 'a cancel request does not wait for a server', {
    inert: ['10'],
  }),
  autodb_idle_timeout: perhaps(
    'seconds',
    ['autodb_idle_timeout'],
    'a database of "*" that nobody uses keeps no connection, and is kept for its figures',
    { inert: ['3600'] },
  ),
  pool_idle_timeout: perhaps('seconds', ['pool_idle_timeout'], 'a pool that nobody uses keeps no connection', {
    inert: ['0'],
  }),
  suspend_timeout: perhaps('seconds', ['suspend_timeout'], 'there is no SUSPEND', { inert: ['10'] }),
} as const satisfies Readonly<Record<string, IniKey>>;

const network = {
  dns_max_ttl: none('seconds', resolver, ['15']),
  dns_nxdomain_ttl: none('seconds', resolver, ['15']),
  dns_zone_check_period: none('seconds', resolver, ['0']),
  resolv_conf: none('text', resolver, ['']),
  pkt_buf: none('int', buffers, ['4096']),
  sbuf_loopcnt: none('int', buffers, ['5']),
  max_packet_size: perhaps('int', ['max_packet_size'], buffers, { inert: ['2147483647'] }),
  tcp_defer_accept: none('int', kernel, ['0', '1', '45']),
  tcp_socket_buffer: none('int', kernel, ['0']),
  tcp_keepalive: none('int', kernel, ['1']),
  tcp_keepcnt: none('int', kernel, ['0']),
  tcp_keepidle: none('int', kernel, ['0']),
  tcp_keepintvl: none('int', kernel, ['0']),
  tcp_user_timeout: none('int', kernel, ['0']),
} as const satisfies Readonly<Record<string, IniKey>>;

const tls = {
  client_tls_sslmode: same(sslModes, 'tls.client.mode', { absent: 'disable' }),
  client_tls_key_file: same('file', 'tls.client.key'),
  client_tls_cert_file: same('file', 'tls.client.cert'),
  client_tls_ca_file: same('file', 'tls.client.ca'),
  client_tls_protocols: perhaps('text', ['tls.client.protocols'], nodeTls, { inert: ['secure'] }),
  client_tls_ciphers: perhaps('text', ['tls.client.ciphers'], nodeTls, {
    inert: ['default', 'secure', 'fast', 'normal'],
  }),
  client_tls13_ciphers: perhaps('text', ['tls.client.tls13_ciphers'], nodeTls, { inert: ['', '<empty>'] }),
  client_tls_ecdhcurve: perhaps('text', ['tls.client.ecdhcurve'], nodeTls, { inert: ['auto'] }),
  client_tls_dheparams: perhaps('text', ['tls.client.dheparams'], nodeTls, { inert: ['auto'] }),
  server_tls_sslmode: same(sslModes, 'tls.server.mode'),
  server_tls_ca_file: same('file', 'tls.server.ca'),
  server_tls_key_file: same('file', 'tls.server.key'),
  server_tls_cert_file: same('file', 'tls.server.cert'),
  server_tls_protocols: perhaps('text', ['tls.server.protocols'], nodeTls, { inert: ['secure'] }),
  server_tls_ciphers: perhaps('text', ['tls.server.ciphers'], nodeTls, {
    inert: ['default', 'secure', 'fast', 'normal'],
  }),
  server_tls13_ciphers: perhaps('text', ['tls.server.tls13_ciphers'], nodeTls, { inert: ['', '<empty>'] }),
} as const satisfies Readonly<Record<string, IniKey>>;

const rows: Readonly<Record<string, IniKey>> = {
  ...listening,
  ...pools,
  ...sessions,
  ...auth,
  ...logging,
  ...times,
  ...network,
  ...tls,
};

export const globalKeys: ReadonlyMap<string, IniKey> = new Map(Object.entries(rows));
