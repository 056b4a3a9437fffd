/**
 * One monitor connection to one server, through the `pg` package: log-in, identity, probes, queries. Turns every
 * failure into a ProbeError with a message. Judges nothing. Used by monitor-logins.ts and app/borrowed-logins.ts.
 */
import type { Socket } from 'node:net';
import { Client } from 'pg';
import type { NodeConfig, TlsSide } from '../config/config.ts';
import { endOfLastRecord } from '../util/lsn.ts';
import { codeOf, identify, type Found } from './identify.ts';
import { LoggedInStream } from './logged-in-stream.ts';
import { PLAIN_SESSION_SQL } from './probe-sql.ts';
import { transportAttempts } from './probe-tls.ts';
import type { TransportAttempt } from './probe-tls.ts';
import type { ConnectProbe, ProbeConnection, ProbeFailure, ProbeRow } from './samples.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string | undefined;
}

/** A connection that is logged in, and the bytes that the server sent after the log-in. */
export interface Link {
  readonly socket: Socket;
  readonly leftover: Buffer;
}

export interface ProbeOptions {
  /** The database name on the server. */
  readonly databaseName: string;
  readonly tls: TlsSide;
  readonly connectTimeoutMs: number;
  /** A query without an answer in this time counts as a failure of the connection. */
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

/**
 * The host reports that no server accepts connections: refused, or cannot_connect_now (starting up, shutting down, in
 * recovery). Not admin_shutdown: that may concern one backend only.
 */
const STOPPED = new Set(['ECONNREFUSED', '57P03']);

/**
 * Authentication failed (class 28), no such database, no CONNECT privilege; or the `pg` package has no password to
 * send.
 */
const isRefusal = (code: string, text: string): boolean =>
  code.startsWith('28') || code === '3D000' || code === '42501' || (code === '' && text.startsWith('SASL'));

export function asProbeFailure(cause: unknown, what: string): ProbeError {
  if (cause instanceof ProbeError) return cause;
  const error = cause instanceof AggregateError && cause.errors.length > 0 ? (cause.errors[0] as unknown) : cause;
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : String(error);
  return new ProbeError(`${what}: ${text}`, STOPPED.has(code), isRefusal(code, text));
}

/** @returns a function that connects with this log-in */
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
    transports = await transportAttempts(options.tls, node.host, node.tlsName);
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
    // A function, so that `pg` does not look up an absent password in PGPASSWORD or ~/.pgpass.
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
 * Connects through `logIn`, with the role of a client. That role is not trusted: its own settings (ALTER ROLE ... SET
 * search_path) must not change the meaning of the monitor's queries.
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

/** The role may not run the query; another role may. */
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
  // Removed again on 'end', because the caller may open many connections with one signal.
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
    if (found === undefined) throw new ProbeError('answered nothing when asked who it is', false);
    state = 'open';
    return {
      identity: found.identity,
      address: streamOf(client)?.remoteAddress,
      probe: prober(query, found),
      query: (sql, values = []) => query(sql, values),
      close,
    };
  } catch (error) {
    // Not awaited: a server that does not answer would delay this error by FAREWELL_MS.
    void close();
    throw error;
  }
}

type Query = (text: string, values: readonly unknown[], name?: string) => Promise<ProbeRow[]>;

/** @returns a function that sends one probe */
function prober(query: Query, found: Found): ProbeConnection['probe'] {
  return async () => {
    const [row] = await query(found.probeText, [], 'weir_probe');
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
  streamOf(client)?.destroy();
}

function streamOf(client: Client): Pick<Socket, 'destroy' | 'remoteAddress'> | undefined {
  return (client as unknown as { connection?: { stream?: Socket } }).connection?.stream;
}

/** Sends Terminate, and closes the socket if the server does not within FAREWELL_MS. Never rejects. */
async function endClient(client: Client): Promise<void> {
  const timer = setTimeout(() => hangUp(client), FAREWELL_MS);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

/** @param text decimal from a replica, the hexadecimal start of a WAL file name from a primary */
function timelineNumber(text: unknown, isInRecovery: boolean): number | undefined {
  if (typeof text !== 'string') return undefined;
  return parseInt(text, isInRecovery ? 10 : 16) || undefined;
}
