/**
 * The tables of keys in the entries of [databases], [users] and [peers], as keys.ts is for [pgbouncer]. What a database is
 * connected to (host, port, dbname, user, password) is read by nodes.ts. Used by translate.ts and hints.ts.
 */
import { forAllDatabases, none, same, type IniKey } from './key.ts';

const modes = ['session', 'transaction', 'statement'];
const atLogin = 'ALTER ROLE ... IN DATABASE ... SET ... on the server does the same';

/** Read by nodes.ts. */
export const nodeKeys: readonly string[] = ['host', 'port', 'dbname', 'user', 'password'];

const databaseRows: Readonly<Record<string, IniKey>> = {
  pool_size: same('int', 'default_pool_size', { also: ['max_pool_size'] }),
  min_pool_size: same('int', 'min_pool_size'),
  reserve_pool: same('int', 'reserve_pool_size'),
  reserve_pool_size: same('int', 'reserve_pool_size'),
  pool_mode: same(modes, 'pool_mode'),
  max_db_connections: same('int', 'max_db_connections'),
  max_db_client_connections: same('int', 'max_db_client_connections'),
  server_lifetime: same('seconds', 'server_lifetime'),
  query_wait_timeout: same('seconds', 'query_wait_timeout'),
  auth_user: same('text', 'auth.user'),
  auth_query: same('text', 'auth.query'),
  auth_dbname: same('text', 'auth.dbname'),
  connect_query: same('text', 'connect_query'),
  client_encoding: none('text', atLogin),
  datestyle: none('text', atLogin),
  timezone: none('text', atLogin),
  application_name: none('text', 'application_name is as the client says'),
  load_balance_hosts: forAllDatabases(
    ['disable', 'round-robin'],
    'routing.load_balance_hosts',
    'Weir sends writes to the primary and spreads reads as routing.load_balance_hosts says',
    ['round-robin'],
  ),
  target_session_attrs: none(
    ['any', 'read-write', 'read-only', 'primary', 'standby'],
    'Weir asks each server whether it is the primary, and routes by that',
    ['any'],
  ),
};

const userRows: Readonly<Record<string, IniKey>> = {
  pool_size: same('int', 'default_pool_size', { also: ['max_pool_size'] }),
  reserve_pool_size: same('int', 'reserve_pool_size'),
  pool_mode: same(modes, 'pool_mode'),
  max_user_connections: same('int', 'max_user_connections'),
  max_user_client_connections: same('int', 'max_user_client_connections'),
  query_timeout: same('seconds', 'query_timeout'),
  query_wait_timeout: same('seconds', 'query_wait_timeout'),
  idle_transaction_timeout: same('seconds', 'idle_transaction_timeout'),
  transaction_timeout: same('seconds', 'transaction_timeout'),
  client_idle_timeout: same('seconds', 'client_idle_timeout'),
};

/** Those that make the address are read by peer() in translate.ts. */
const peerRows: Readonly<Record<string, IniKey>> = {
  pool_size: none(
    'int',
    'up to 200 cancel requests are on their way to peers at once, each on a connection of its own',
  ),
};

export const peerAddressKeys: readonly string[] = ['host', 'port'];

export const databaseKeys: ReadonlyMap<string, IniKey> = new Map(Object.entries(databaseRows));
export const userKeys: ReadonlyMap<string, IniKey> = new Map(Object.entries(userRows));
export const peerKeys: ReadonlyMap<string, IniKey> = new Map(Object.entries(peerRows));
