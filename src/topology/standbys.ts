/**
 * The standbys in pg_stat_replication of a primary, as nodes. The view has the address of a standby, but not the port that it
 * listens on: see docs/discovery.md. Pure. Used by app/discovery.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { ProbeRow } from './samples.ts';
import { serverKey } from '../util/server-key.ts';

/**
 * Without subscribers, whose walsenders decode: they have a logical slot. A standby that has no name of its own has that of the
 * cluster, which all of them share.
 */
export const STANDBYS_SQL = `
SELECT host(r.client_addr) AS host, r.state,
  nullif(r.application_name, pg_catalog.current_setting('cluster_name')) AS application_name
FROM pg_catalog.pg_stat_replication AS r
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')`;

/** Two servers are hardly ever started in the same microsecond: tells one server under two addresses. */
export const SERVER_ID_SQL = `SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS id`;

export interface Standbys {
  readonly nodes: readonly NodeConfig[];
  /** Rows that the monitor's user may not see. */
  readonly hidden: number;
}

/** As many as there can be nodes: more rows are not looked at. */
const mostRows = 100;

/** @param port of a standby whose application_name does not end with one */
export function standbysIn(rows: readonly ProbeRow[], primary: NodeConfig, port: number): Standbys {
  const nodes = new Map<string, NodeConfig>();
  let hidden = 0;
  for (const { host, application_name: said, state } of rows.slice(0, mostRows)) {
    if (state === null) hidden++;
    // A walsender without an address is on a Unix socket; one in state backup copies the data directory.
    if (typeof host !== 'string' || (state !== 'streaming' && state !== 'catchup')) continue;
    const node = { ...named(typeof said === 'string' ? said : '', host, port), host, source: 'replication' } as const;
    const { user, password, database } = primary;
    const key = serverKey(node);
    const other = nodes.get(key)?.name;
    const name = other !== undefined && other < node.name ? other : node.name;
    nodes.set(key, { ...node, name, user, password, database, weight: 1 });
  }
  return { nodes: withOwnNames([...nodes.values()]), hidden };
}

/** Not by who came first: other workers, which may see them in another order, must call them the same. */
function withOwnNames(nodes: readonly NodeConfig[]): readonly NodeConfig[] {
  const isShared = ({ name }: NodeConfig): boolean => nodes.filter((other) => other.name === name).length > 1;
  return nodes.map((node) => (isShared(node) ? { ...node, name: serverKey(node) } : node));
}

/** `db2:5433` says its port. `walreceiver` is what every standby is called whose primary_conninfo says nothing. */
function named(application: string, host: string, port: number): { readonly name: string; readonly port: number } {
  const [, text = '', digits] = /^(.*?)(?::(\d{1,5}))?$/s.exec(application) ?? [];
  const own = digits === undefined ? port : Number(digits);
  const isName = /^[^\s"';:]{1,63}$/.test(text) && text !== 'walreceiver';
  return { name: isName ? text : host, port: own >= 1 && own <= 65535 ? own : port };
}
