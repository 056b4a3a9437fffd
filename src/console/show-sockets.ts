/**
 * SHOW CLIENTS, SERVERS, SOCKETS and ACTIVE_SOCKETS. PgBouncer's columns come first, with its names and meanings, then
 * Weir's own. On database `pgbouncer`, clients of the console are among the clients, as there.
 */
import type { ReplicationKind } from '../auth/types.ts';
import type { ServerStats } from '../pool/types.ts';
import type { ClientStats } from '../session/types.ts';
import { columnsOf, show, splitWait, timestamp } from './types.ts';
import type { CommandContext, ConsoleCommand, ShowColumn } from './types.ts';

/** The columns that SHOW CLIENTS and SHOW SERVERS have in common. */
interface SocketRow {
  readonly type: 'C' | 'S';
  readonly user: string;
  readonly database: string;
  readonly replication?: ReplicationKind;
  readonly state: string;
  readonly host: string;
  readonly port: number;
  readonly connectedAtMs: number;
  readonly requestAtMs: number;
  readonly waitMs: number;
  readonly isCloseNeeded: boolean;
  /** id of the server of a client, or of the client of a server; 0 = none. */
  readonly linkId: number;
  readonly processId: number;
  readonly hasTls: boolean;
  readonly applicationName: string;
  readonly preparedStatements: number;
  readonly id: number;
}

function socketColumns<T extends SocketRow>(): ShowColumn<T>[] {
  const s = columnsOf<T>();
  return [
    s.text('type', (row) => row.type),
    s.text('user', (row) => row.user),
    s.text('database', (row) => row.database),
    s.text('replication', (row) => row.replication ?? 'none'),
    s.text('state', (row) => row.state),
    s.text('addr', (row) => row.host),
    s.int('port', (row) => row.port),
    s.text('local_addr', () => ''),
    s.int('local_port', () => 0),
    s.text('connect_time', (row) => timestamp(row.connectedAtMs)),
    s.text('request_time', (row) => timestamp(row.requestAtMs)),
    s.int('wait', (row) => splitWait(row.waitMs).seconds),
    s.int('wait_us', (row) => splitWait(row.waitMs).microseconds),
    s.int('close_needed', (row) => (row.isCloseNeeded ? 1 : 0)),
    s.text('ptr', (row) => `${row.type}${row.id}`),
    s.text('link', (row) => (row.linkId === 0 ? '' : `${row.type === 'C' ? 'S' : 'C'}${row.linkId}`)),
    s.int('remote_pid', (row) => row.processId),
    s.text('tls', (row) => (row.hasTls ? 'TLS' : '')),
    s.text('application_name', (row) => row.applicationName),
    s.int('prepared_statements', (row) => row.preparedStatements),
    s.int('id', (row) => row.id),
  ];
}

interface ClientRow extends SocketRow {
  readonly client: ClientStats;
}

/** PgBouncer has no idle_in_transaction: a client with a server is active. Column session_state has the full state. */
const clientState = (client: ClientStats): string =>
  client.state === 'idle_in_transaction' || (client.state === 'idle' && client.serverId !== 0)
    ? 'active'
    : client.state;

function* clientRows({ sources, isPgbouncer }: CommandContext): Generator<ClientRow> {
  const ofConsole = isPgbouncer ? sources.console().clients : [];
  for (const client of [...sources.clients(), ...ofConsole]) {
    yield {
      ...client,
      type: 'C',
      state: clientState(client),
      isCloseNeeded: false,
      linkId: client.serverId,
      processId: 0,
      client,
    };
  }
}

const c = columnsOf<ClientRow>();

const clients = show<ClientRow>(
  'CLIENTS',
  'every client: what it does, the server it holds and what pins it there',
  [
    ...socketColumns<ClientRow>(),
    c.text('session_state', ({ client }) => client.state),
    c.text('node', ({ client }) => client.node),
    c.text('pins', ({ client }) => client.pins.join(', ')),
    c.text('last_route', ({ client }) => client.lastRoute),
  ],
  clientRows,
  'rows',
);

interface ServerRow extends SocketRow {
  readonly server: ServerStats;
}

/** In PgBouncer's words: `new` is in log-in, `tested` is being reset. */
const serverState = (server: ServerStats): string =>
  server.state === 'login' ? 'new' : server.state === 'resetting' ? 'tested' : server.state;

function* serverRows({ sources }: CommandContext): Generator<ServerRow> {
  const names = new Map<number, string>();
  for (const client of sources.clients()) if (client.serverId !== 0) names.set(client.id, client.applicationName);
  for (const server of sources.servers()) {
    yield {
      ...server,
      type: 'S',
      state: serverState(server),
      waitMs: 0,
      linkId: server.clientId,
      applicationName: names.get(server.clientId) ?? '',
      server,
    };
  }
}

const s = columnsOf<ServerRow>();

const servers = show<ServerRow>(
  'SERVERS',
  'every server connection: its node, its state and the client that holds it',
  [
    ...socketColumns<ServerRow>(),
    s.text('node', ({ server }) => server.node),
    s.text('server_version', ({ server }) => server.serverVersion),
  ],
  serverRows,
  'rows',
);

/** PgBouncer prints the positions in its buffers; Weir has no such buffers. */
const bufferColumns = ['recv_pos', 'pkt_pos', 'pkt_remain', 'send_pos', 'send_remain', 'pkt_avail', 'send_avail'];

/** In SHOW SOCKETS, the states have the names of the columns of SHOW POOLS. */
function* socketRows(context: CommandContext): Generator<SocketRow> {
  for (const row of clientRows(context)) {
    const state = row.state === 'login' ? 'cl_login' : row.state === 'waiting' ? 'cl_waiting' : 'cl_active';
    yield { ...row, state };
  }
  for (const row of serverRows(context)) yield { ...row, state: row.state === 'new' ? 'sv_login' : `sv_${row.state}` };
}

function* activeRows(context: CommandContext): Generator<SocketRow> {
  for (const { client, ...row } of clientRows(context))
    if (client.state === 'active' || client.state === 'waiting') yield { ...row, state: `cl_${client.state}` };
  for (const { server, ...row } of serverRows(context))
    if (server.state === 'active') yield { ...row, state: 'sv_active' };
}

const socket = columnsOf<SocketRow>();

const socketTable = (
  name: string,
  help: string,
  rows: (context: CommandContext) => Iterable<SocketRow>,
): ConsoleCommand =>
  show<SocketRow>(
    name,
    help,
    [...socketColumns<SocketRow>(), ...bufferColumns.map((column) => socket.int(column, () => 0))],
    rows,
    'rows',
  );

export const showSockets: readonly ConsoleCommand[] = [
  clients,
  servers,
  socketTable('SOCKETS', 'SHOW CLIENTS and SHOW SERVERS in one table', socketRows),
  socketTable('ACTIVE_SOCKETS', 'those of SHOW SOCKETS that have something to do', activeRows),
];
