/**
 * The types of PgBouncer's columns, for the console on database `pgbouncer`: most of its numbers are int4, statistics are numeric.
 * Drivers make other values of them (node-postgres a number of int4 and a string of int8), so programs that watch a PgBouncer
 * need the same. Columns that only Weir has stay as they are. Called by console.ts.
 */
import type { ConsoleColumn } from './types.ts';

const ofSocket = ['port', 'local_port', 'wait', 'wait_us', 'close_needed', 'remote_pid', 'prepared_statements'];
const ofBuffers = ['recv_pos', 'pkt_pos', 'pkt_remain', 'send_pos', 'send_remain', 'pkt_avail', 'send_avail'];
const ofPeerPool = ['cl_active_cancel_req', 'cl_waiting_cancel_req', 'sv_active_cancel', 'sv_login'];

const int4: ReadonlyMap<string, readonly string[]> = new Map([
  [
    'SHOW POOLS',
    [
      ...ofPeerPool,
      ...['cl_active', 'cl_waiting', 'sv_active', 'sv_being_canceled', 'sv_idle', 'sv_used', 'sv_tested'],
      ...['maxwait', 'maxwait_us'],
    ],
  ],
  [
    'SHOW DATABASES',
    [
      ...['port', 'pool_size', 'min_pool_size', 'reserve_pool_size', 'server_lifetime', 'max_connections'],
      ...['current_connections', 'max_client_connections', 'current_client_connections', 'paused', 'disabled'],
    ],
  ],
  ['SHOW CLIENTS', ofSocket],
  ['SHOW SERVERS', ofSocket],
  ['SHOW SOCKETS', [...ofSocket, ...ofBuffers]],
  ['SHOW ACTIVE_SOCKETS', [...ofSocket, ...ofBuffers]],
  ['SHOW LISTS', ['items']],
  ['SHOW DNS_ZONES', ['count']],
  ['SHOW PEERS', ['peer_id', 'port', 'pool_size']],
  ['SHOW PEER_POOLS', ['peer_id', ...ofPeerPool]],
]);

const numeric: ReadonlyMap<string, RegExp> = new Map([
  ['SHOW STATS', /^(?:total|avg)_/],
  ['SHOW STATS_TOTALS', /^/],
  ['SHOW STATS_AVERAGES', /^/],
  ['SHOW TOTALS', /^/],
]);

export function asPgbouncerHas(command: string, columns: readonly ConsoleColumn[]): readonly ConsoleColumn[] {
  const [names, words] = [int4.get(command), numeric.get(command)];
  if (names === undefined && words === undefined) return columns;
  return columns.map((column) => {
    if (column.type !== 'int8') return column;
    if (names?.includes(column.name) === true) return { ...column, type: 'int4' };
    return words?.test(column.name) === true ? { ...column, type: 'numeric' } : column;
  });
}
