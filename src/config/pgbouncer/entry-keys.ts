/**
 * The tables of keys in the entries of [databases], [users] and [peers], as keys.ts is for [pgbouncer]. What a database is
 * connected to (host, port, dbname, user, password) is read by nodes.ts. Used by translate.ts and hints.ts.
 */
import { none, perhaps, same, type IniKey } from './key.ts';

const modes = ['session', 'transaction', 'statement'];
const atLogin = 'ALTER ROLE ... IN DATABASE ... SET ... on the server does the same';
const forAll = 'it is one for all databases here: set it in [pgbouncer]';

/** Read by nodes.ts. */
export const nodeKeys: readonly string[] = ['host', 'port', 'dbname', 'user', 'password'];

const databaseRows: Readonly<Record<string, IniKey>> = {
  pool_size: same('int', 'default_pool_size', { also: ['max_pool_size'] }),
  min_pool_size: same('int', 'min_pool_size'),
  reserve_pool: same('int', 'reserve_pool_size'),
  reserve_pool_size: same('int', 'reserve_pool_size'),
  pool_mode: same(modes, 'pool_mode'),
  max_db_connections: same('int', 'max_db_connections'),
  max_db_client_connections: perhaps('int', ['max_db_client_connections'], 'only max_client_conn limits clients'),
  server_lifetime: same('seconds', 'server_lifetime'),
  query_wait_timeout: same('seconds', 'query_wait_timeout'),
  auth_user: perhaps('text', ['auth_user', 'auth.user'], forAll),
  auth_query: perhaps('text', ['auth_query', 'auth.query'], forAll),
  auth_dbname: perhaps('text', ['auth_dbname', 'auth.dbname'], forAll),
  connect_query: perhaps('text', ['connect_query'], atLogin),
  client_encoding: perhaps('text', ['client_encoding'], atLogin),
  datestyle: perhaps('text', ['datestyle'], atLogin),
  timezone: perhaps('text', ['timezone'], atLogin),
  application_name: perhaps('text', ['application_name'], 'application_name is as the client says'),
  load_balance_hosts: perhaps(
    ['disable', 'round-robin'],
    ['load_balance_hosts', 'routing.load_balance_hosts'],
    'Weir sends writes to the primary and spreads reads as routing.load_balance_hosts says',
    { inert: ['round-robin'] },
  ),
  target_session_attrs: perhaps(
    ['any', 'read-write', 'read-only', 'primary', 'standby'],
    ['target_session_attrs'],
    'Weir asks each server whether it is the primary, and routes by that',
    { inert: ['any'] },
  ),
};

const unlessByUser = 'Weir has no settings for one user';

const userRows: Readonly<Record<string, IniKey>> = {
  pool_size: perhaps('int', ['pool_size', 'default_pool_size'], unlessByUser, { also: ['max_pool_size'] }),
  reserve_pool_size: perhaps('int', ['reserve_pool_size'], unlessByUser),
  pool_mode: perhaps(modes, ['pool_mode'], unlessByUser),
  max_user_connections: perhaps('int', ['max_user_connections'], unlessByUser),
  max_user_client_connections: perhaps('int', ['max_user_client_connections'], unlessByUser),
  query_timeout: perhaps('seconds', ['query_timeout'], unlessByUser),
  query_wait_timeout: perhaps('seconds', ['query_wait_timeout'], unlessByUser),
  idle_transaction_timeout: perhaps('seconds', ['idle_transaction_timeout'], unlessByUser),
  transaction_timeout: perhaps('seconds', ['transaction_timeout'], unlessByUser),
  client_idle_timeout: perhaps('seconds', ['client_idle_timeout'], unlessByUser),
};

const noPeers = 'workers of one Weir find the statement of a cancel by themselves (workers: N)';

const peerRows: Readonly<Record<string, IniKey>> = {
  host: none('text', noPeers),
  port: none('int', noPeers),
  pool_size: none('int', noPeers),
};

export const databaseKeys: ReadonlyMap<string, IniKey> = new Map(Object.entries(databaseRows));
export const userKeys: ReadonlyMap<string, IniKey> = new Map(Object.entries(userRows));
export const peerKeys: ReadonlyMap<string, IniKey> = new Map(Object.entries(peerRows));
