/**
 * One connection of the monitor to one PostgreSQL, through the `pg` package: log-in, identity, probes, queries. Every
 * failure becomes a ProbeError in words; no 'error' event is ever without a listener. Judges nothing. Used by monitor.ts.
 */
import type { Socket } from 'node:net';
import { Client } from 'pg';
import type { NodeConfig, TlsSide } from '../config/config.ts';
import { endOfLastRecord } from '../util/lsn.ts';
import { LoggedInStream } from './logged-in-stream.ts';
import { IDENTITY_SQL, PLAIN_SESSION_SQL, probeSql, SYSTEM_ID_SQL } from './probe-sql.ts';
import { transportAttempts } from './probe-tls.ts';
import type { TransportAttempt } from './probe-tls.ts';
import type { ConnectProbe, NodeIdentity, ProbeConnection, ProbeFailure, ProbeRow } from './samples.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string | undefined;
}

/** A connection that is logged in, and what the server has sent behind that. */
export interface Link {
  readonly socket: Socket;
  readonly leftover: Buffer;
}

export interface ProbeOptions {
  /** The database on the server. */
  readonly databaseName: string;
  readonly tls: TlsSide;
  readonly connectTimeoutMs: number;
  /** An answer later than this counts as a failure of the connection. */
  readonly queryTimeoutMs: number;
}

const FAREWELL_MS = 500;

export class ProbeError extends Error implements ProbeFailure {
  readonly isStopped: boolean;
  readonly isRefused: boolean;

  constructor(problem: string, isStopped: boolean, isRefused = false) {
    super(problem);
    this.name = 'ProbeError';
    this.isStopped = isStopped;
    this.isRefused = isRefused;
  }

  get problem(): string {
    return this.message;
  }
}

/** cannot_connect_now: starting up, shutting down or in recovery; admin_shutdown is no proof (it may be one backend only). */
const STOPPED = new Set(['ECONNREFUSED', '57P03']);

/** Who are you, no such database, no CONNECT privilege; or the `pg` package has no password to answer with. */
const isRefusal = (code: string, text: string): boolean =>
  code.startsWith('28') || code === '3D000' || code === '42501' || (code === '' && text.startsWith('SASL'));

/** The SQLSTATE, or the system's name for it; empty: neither. */
const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

export function asProbeFailure(cause: unknown, what: string): ProbeError {
  if (cause instanceof ProbeError) return cause;
  const error = cause instanceof AggregateError && cause.errors.length > 0 ? (cause.errors[0] as unknown) : cause;
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : String(error);
  return new ProbeError(`${what}: ${text}`, STOPPED.has(code), isRefusal(code, text));
}

/** Connections that log in like this. */
export function createPgConnect(options: ProbeOptions, login: Credentials): ConnectProbe {
  return (node, onLost, signal) => connectPg(node, login, options, onLost, signal);
}

async function connectPg(
  node: NodeConfig,
  login: Credentials,
  options: ProbeOptions,
  onLost: (failure: ProbeFailure) => void,
  signal: AbortSignal,
): Promise<ProbeConnection> {
  let transports: readonly TransportAttempt[];
  try {
    transports = await transportAttempts(options.tls, node.host);
  } catch (error) {
    throw asProbeFailure(error, 'cannot read the files of tls.server');
  }
  let failure: ProbeError | undefined;
  for (const ssl of transports) {
    try {
      return await openPg(node, login, options, ssl, onLost, signal);
    } catch (error) {
      failure = asProbeFailure(error, 'cannot connect');
      if (failure.isStopped || signal.aborted) break;
    }
  }
  throw failure ?? new ProbeError('cannot connect', false);
}

async function openPg(
  node: NodeConfig,
  login: Credentials,
  options: ProbeOptions,
  ssl: TransportAttempt,
  onLost: (failure: ProbeFailure) => void,
  signal: AbortSignal,
): Promise<ProbeConnection> {
  const client = new Client({
    host: node.host,
    port: node.port,
    database: options.databaseName,
    user: login.user,
    // A function: an absent password must not be looked up in PGPASSWORD or ~/.pgpass.
    password: () => login.password ?? '',
    ssl,
    application_name: 'weir monitor',
    connectionTimeoutMillis: options.connectTimeoutMs,
    query_timeout: options.queryTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  return openClient(client, onLost, signal);
}

/**
 * Connections that somebody else logs in, as a role that may not be trusted: what the role has set for itself
 * (ALTER ROLE ... SET search_path) must not decide what the monitor's questions mean.
 */
export function createLinkConnect(logIn: (node: NodeConfig) => Promise<Link>, queryTimeoutMs: number): ConnectProbe {
  return async (node, onLost, signal) => {
    const { socket, leftover } = await logIn(node);
    const client = new Client({
      stream: () => new LoggedInStream(socket, leftover) as unknown as Socket,
      user: 'logged in already',
      password: () => '',
      ssl: false,
      query_timeout: queryTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    try {
      return await openClient(client, onLost, signal, PLAIN_SESSION_SQL);
    } catch (error) {
      const { problem, isStopped } = asProbeFailure(error, 'cannot be asked');
      throw new ProbeError(problem, isStopped, isSqlError(codeOf(error)));
    }
  };
}

/** The role may not ask: another one may. */
const isSqlError = (code: string): boolean => /^(?!57|08|53)(\d[\dA-Z]|XX|P0)[\dA-Z]{3}$/.test(code);

async function openClient(
  client: Client,
  onLost: (failure: ProbeFailure) => void,
  signal: AbortSignal,
  first: readonly string[] = [],
): Promise<ProbeConnection> {
  let state: 'opening' | 'open' | 'closed' = 'opening';
  let lastError: unknown;
  client.on('error', (error: Error) => {
    lastError ??= error;
  });
  client.on('end', () => {
    const wasOpen = state === 'open';
    state = 'closed';
    signal.removeEventListener('abort', onAbort);
    if (wasOpen) onLost(asProbeFailure(lastError ?? 'closed by the server', 'connection lost'));
  });
  // Whoever asks may open and close many connections under one signal.
  const onAbort = (): void => hangUp(client);
  signal.addEventListener('abort', onAbort);
  const close = async (): Promise<void> => {
    state = 'closed';
    await endClient(client);
  };

  async function query(text: string, values: readonly unknown[], name?: string): Promise<ProbeRow[]> {
    const config = { text, values: [...values], ...(name === undefined ? {} : { name }) };
    return (await client.query<Record<string, unknown>>(config)).rows;
  }

  try {
    if (signal.aborted) throw new ProbeError('stopped', false);
    await client.connect();
    for (const text of first) await query(text, []);
    const found = await identify((text) => query(text, []));
    state = 'open';
    return {
      identity: found.identity,
      probe: prober(query, found),
      query: (sql, values = []) => query(sql, values),
      close,
    };
  } catch (error) {
    // Not awaited: a server that never answered would keep us waiting for its farewell as well.
    void close();
    throw error;
  }
}

type Query = (text: string, values: readonly unknown[], name?: string) => Promise<ProbeRow[]>;

/** Asks the node where it is. */
function prober(query: Query, found: Found): ProbeConnection['probe'] {
  const text = probeSql(found.mayStats, found.mayControl);
  return async () => {
    const [row] = await query(text, [], 'weir_probe');
    const isInRecovery = row?.['in_recovery'] === true;
    const position = Number(row?.['lsn'] ?? 0);
    return {
      isInRecovery,
      lsn: isInRecovery ? position : endOfLastRecord(position, found.walBlockSize, found.walSegmentSize),
      timeline: timelineNumber(row?.['timeline'], isInRecovery),
    };
  };
}

function hangUp(client: Client): void {
  const { connection } = client as unknown as { connection?: { stream?: { destroy(): void } } };
  connection?.stream?.destroy();
}

/** Says goodbye, and hangs up on a server that does not hang up by itself. Never rejects. */
async function endClient(client: Client): Promise<void> {
  const timer = setTimeout(() => hangUp(client), FAREWELL_MS);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

/** A replica's comes as a decimal number, a primary's as the hexadecimal start of a WAL file name. */
function timelineNumber(text: unknown, isInRecovery: boolean): number | undefined {
  if (typeof text !== 'string') return undefined;
  return parseInt(text, isInRecovery ? 10 : 16) || undefined;
}

interface Found {
  readonly identity: NodeIdentity;
  readonly mayStats: boolean;
  readonly mayControl: boolean;
  readonly walBlockSize: number;
  readonly walSegmentSize: number;
}

async function identify(query: (text: string) => Promise<readonly ProbeRow[]>): Promise<Found> {
  const [row] = await query(IDENTITY_SQL);
  if (row === undefined) throw new ProbeError('answered nothing when asked who it is', false);
  const mayIdentify = row['may_identify'] === true;
  const mayStats = row['may_stats'] === true;
  const mayControl = row['may_control'] === true;
  const [control] = mayIdentify ? await query(SYSTEM_ID_SQL) : [];
  return {
    identity: {
      systemId: typeof control?.['system_id'] === 'string' ? control['system_id'] : undefined,
      serverVersion: String(row['server_version']),
      connectionLimit: Math.max(0, Number(row['connection_limit'])),
      seesWalReceiver: mayStats,
      limitation:
        mayStats || mayControl
          ? undefined
          : "the monitor's user may see neither pg_stat_wal_receiver nor pg_control_checkpoint(): grant it pg_monitor",
    },
    mayStats,
    mayControl,
    walBlockSize: Number(row['wal_block_size']),
    walSegmentSize: Number(row['wal_segment_size']),
  };
}
