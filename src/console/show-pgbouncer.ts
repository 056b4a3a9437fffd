/**
 * SHOW commands that are there for PgBouncer's users: MEM, FDS, DNS_HOSTS, DNS_ZONES, PEERS and PEER_POOLS, with its
 * columns. Weir keeps no DNS cache, and no pools of connections to peers: each cancel request has its own.
 */
import { peerMap, type PeerAddress } from '../config/peers.ts';
import { columnsOf, show } from './types.ts';
import type { CommandContext, ConsoleCommand } from './types.ts';

/** PgBouncer shows its allocators; Weir what it has of each kind, and the memory of the process. */
interface MemoryRow {
  readonly name: string;
  readonly size: number;
  readonly used: number;
  readonly free: number;
}

const m = columnsOf<MemoryRow>();

function* memoryRows({ sources }: CommandContext): Generator<MemoryRow> {
  const { heapUsedBytes, heapLimitBytes, residentBytes } = sources.memory();
  const { bytes, maxBytes } = sources.cacheStats();
  const bytesOf = (name: string, used: number, all: number): MemoryRow => ({
    ...{ name, size: 1, used },
    free: Math.max(0, all - used),
  });
  yield bytesOf('heap', heapUsedBytes, heapLimitBytes);
  yield bytesOf('resident', residentBytes, residentBytes);
  yield bytesOf('result_cache', bytes, maxBytes);
}

const memory = show<MemoryRow>(
  'MEM',
  "the memory of Weir in PgBouncer's columns (SHOW MEMORY says more)",
  [
    m.text('name', (row) => row.name),
    m.int('size', (row) => row.size),
    m.int('used', (row) => row.used),
    m.int('free', (row) => row.free),
    m.int('memtotal', (row) => row.size * (row.used + row.free)),
  ],
  memoryRows,
);

interface Descriptor {
  readonly task: 'client' | 'server';
  readonly user: string;
  readonly database: string;
  readonly host: string;
  readonly port: number;
}

const f = columnsOf<Descriptor>();
const nothing = (): null => null;

function* descriptors({ sources }: CommandContext): Generator<Descriptor> {
  for (const client of sources.clients()) yield { ...client, task: 'client' };
  for (const server of sources.servers()) yield { ...server, task: 'server' };
}

/** PgBouncer passes its sockets to its successor with this. Weir has another way (SIGUSR2), and shows no number and no secret. */
const fds: ConsoleCommand = {
  ...show<Descriptor>(
    'FDS',
    'the connections of clients and servers; without their numbers and secrets',
    [
      f.int('fd', nothing),
      f.text('task', (row) => row.task),
      f.text('user', (row) => row.user),
      f.text('database', (row) => row.database),
      f.text('addr', (row) => row.host),
      f.int('port', (row) => row.port),
      f.int('cancel', nothing),
      f.int('link', nothing),
      ...['client_encoding', 'std_strings', 'datestyle', 'timezone', 'password'].map((name) => f.text(name, nothing)),
      ...['scram_client_key', 'scram_server_key'].map((name) => f.text(name, nothing)),
    ],
    descriptors,
    'rows',
  ),
  role: 'admin',
};

/** A table that is always empty. @param columns "name" of a text, "name int" of a number */
function empty(name: string, help: string, columns: readonly string[]): ConsoleCommand {
  const column = columnsOf<never>();
  const made = columns.map((each) => {
    const [title = '', type] = each.split(' ');
    return type === 'int' ? column.int(title, nothing) : column.text(title, nothing);
  });
  return show<never>(name, help, made, () => []);
}

const noCache = 'empty: Weir keeps no DNS cache (SHOW NODES has the replicas found in DNS)';
const peerType = peerMap();

/** The setting `peers`. */
export function peersOf({ sources }: CommandContext): readonly PeerAddress[] {
  for (const { key, value } of sources.settings()) {
    const parsed = key === 'peers' ? peerType.parseText(value) : undefined;
    if (parsed !== undefined && 'value' in parsed) return parsed.value;
  }
  return [];
}

const p = columnsOf<PeerAddress>();

const peers = show<PeerAddress>(
  'PEERS',
  'to whom cancel requests are passed on (setting peers)',
  [
    p.int('peer_id', ({ id }) => id),
    p.text('host', ({ host }) => host),
    p.int('port', ({ port }) => port),
    p.int('pool_size', nothing),
  ],
  peersOf,
);

const peerPools = show<PeerAddress>(
  'PEER_POOLS',
  'the same; there are no pools of connections to them: weir_peer_cancels_total counts the cancel requests',
  [
    p.int('peer_id', ({ id }) => id),
    ...['cl_active_cancel_req', 'cl_waiting_cancel_req', 'sv_active_cancel', 'sv_login'].map((name) =>
      p.int(name, nothing),
    ),
  ],
  peersOf,
);

export const showOfPgbouncer: readonly ConsoleCommand[] = [
  memory,
  fds,
  empty('DNS_HOSTS', noCache, ['hostname', 'ttl int', 'addrs']),
  empty('DNS_ZONES', noCache, ['zonename', 'serial int', 'count int']),
  peers,
  peerPools,
];
