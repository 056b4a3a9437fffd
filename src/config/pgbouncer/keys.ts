/**
 * The table of keys of [pgbouncer]: all of PgBouncer 1.25 and of the versions before it, with the setting of Weir that each is,
 * or the reason why it has no effect. Used by translate.ts and hints.ts.
 */
import { none, same, type IniKey } from './key.ts';

const modes = ['session', 'transaction', 'statement'];
const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
const kernel = 'keepalive is on for every socket, and the rest is left to the kernel (sysctl net.ipv4.tcp_*)';
const nodeTls = 'Node chooses the curves and parameters of the key exchange';
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
  unix_socket_group: none('text', 'the socket has the group of its directory (setgid)', ['']),
  so_reuseport: same('int', 'so_reuseport'),
  peer_id: same('int', 'peer_id'),
} as const satisfies Readonly<Record<string, IniKey>>;

const pools = {
  pool_mode: same(modes, 'pool_mode', { absent: 'session' }),
  max_client_conn: same('int', 'max_client_conn', { absent: 100 }),
  default_pool_size: same('int', 'default_pool_size', { also: ['max_pool_size'], absent: 20 }),
  min_pool_size: same('int', 'min_pool_size'),
  reserve_pool_size: same('int', 'reserve_pool_size'),
  reserve_pool_timeout: same('seconds', 'reserve_pool_timeout', { absent: '5s' }),
  max_db_connections: same('int', 'max_db_connections'),
  max_db_client_connections: same('int', 'max_db_client_connections'),
  max_user_connections: same('int', 'max_user_connections'),
  max_user_client_connections: same('int', 'max_user_client_connections'),
  server_round_robin: same('int', 'server_round_robin'),
  max_prepared_statements: same('int', 'max_prepared_statements', { absent: 200 }),
} as const satisfies Readonly<Record<string, IniKey>>;

const sessions = {
  server_reset_query: none('text', undone, ['DISCARD ALL']),
  server_reset_query_always: none('int', undone, ['0']),
  server_check_query: same('text', 'server_check_query', { absent: '<empty>' }),
  server_check_delay: same('seconds', 'server_check_delay'),
  server_fast_close: same('int', 'server_fast_close'),
  track_extra_parameters: none('list', 'every parameter that a session sets is kept for it', ['IntervalStyle', '']),
  ignore_startup_parameters: same('list', 'ignore_startup_parameters'),
  disable_pqexec: none('int', 'the simple query protocol cannot be switched off', ['0']),
  application_name_add_host: none('int', 'application_name is as the client says; SHOW CLIENTS has its address', ['0']),
  login_notify_message: same('text', 'login_notify_message', { inert: [''] }),
  query_wait_notify: same('int', 'query_wait_notify', { absent: '5s' }),
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
  scram_iterations: none('int', 'SCRAM secrets have the iterations they were made with', ['4096']),
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
  log_connections: none('int', 'log.level decides what is logged', ['1']),
  log_disconnections: none('int', 'log.level decides what is logged', ['1']),
  log_pooler_errors: none('int', 'log.level decides what is logged', ['1']),
  log_stats: none('int', 'SHOW STATS and /metrics have the figures', ['1']),
  // Levels of the log: see special.ts.
  verbose: same('int', 'log.level'),
  stats_period: none('int', 'the averages of SHOW STATS are those of the last minute', ['60']),
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
  transaction_timeout: same('seconds', 'transaction_timeout'),
  query_timeout: same('seconds', 'query_timeout'),
  query_wait_timeout: same('seconds', 'query_wait_timeout', { absent: '2m' }),
  cancel_wait_timeout: none('seconds', 'a cancel request does not wait for a server', ['10']),
  autodb_idle_timeout: none(
    'seconds',
    'a database of "*" that nobody uses keeps no connection, and is kept for its figures',
    ['3600'],
  ),
  pool_idle_timeout: same('seconds', 'pool_idle_timeout'),
  suspend_timeout: same('seconds', 'suspend_timeout'),
} as const satisfies Readonly<Record<string, IniKey>>;

const network = {
  dns_max_ttl: none('seconds', resolver, ['15']),
  dns_nxdomain_ttl: none('seconds', resolver, ['15']),
  dns_zone_check_period: none('seconds', resolver, ['0']),
  resolv_conf: none('text', resolver, ['']),
  pkt_buf: none('int', buffers, ['4096']),
  sbuf_loopcnt: none('int', buffers, ['5']),
  max_packet_size: none('int', buffers, ['2147483647']),
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
  client_tls_protocols: same('protocols', 'tls.client.protocols', { inert: ['secure'] }),
  client_tls_ciphers: same('text', 'tls.client.ciphers', { inert: ['default', 'secure', 'fast', 'normal'] }),
  client_tls13_ciphers: same('text', 'tls.client.tls13_ciphers', { inert: ['', '<empty>'] }),
  client_tls_ecdhcurve: none('text', nodeTls, ['auto']),
  client_tls_dheparams: none('text', nodeTls, ['auto']),
  server_tls_sslmode: same(sslModes, 'tls.server.mode'),
  server_tls_ca_file: same('file', 'tls.server.ca'),
  server_tls_key_file: same('file', 'tls.server.key'),
  server_tls_cert_file: same('file', 'tls.server.cert'),
  server_tls_protocols: same('protocols', 'tls.server.protocols', { inert: ['secure'] }),
  server_tls_ciphers: same('text', 'tls.server.ciphers', { inert: ['default', 'secure', 'fast', 'normal'] }),
  server_tls13_ciphers: same('text', 'tls.server.tls13_ciphers', { inert: ['', '<empty>'] }),
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
