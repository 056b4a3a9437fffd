/**
 * Probes one server for `weir check`: logs in if it knows a user, else only connects. Never throws; a problem is returned
 * in words, without secrets. Called by check.ts.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import pg from 'pg';
import type { NodeConfig, TlsSide } from '../config/config.ts';
import { WITHOUT_WAL, withoutWal } from '../topology/probe-sql.ts';
import { NO_LOGIN } from '../topology/server-connector.ts';
import { connectTarget, isSocketDir } from '../util/where.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string | undefined;
}

export interface NodeReport {
  readonly role: 'primary' | 'replica' | undefined;
  readonly version: string | undefined;
  readonly maxConnections: number | undefined;
  /** Current WAL position of a primary, replayed one of a replica, in bytes; undefined without a log-in. */
  readonly lsn: bigint | undefined;
  readonly isStreaming: boolean | undefined;
  /** In words; undefined: there is none. */
  readonly problem: string | undefined;
  /** What the operator should know although there is no problem. */
  readonly note: string | undefined;
}

const emptyReport: NodeReport = {
  role: undefined,
  version: undefined,
  maxConnections: undefined,
  lsn: undefined,
  isStreaming: undefined,
  problem: undefined,
  note: undefined,
};

/** Resolves to the reason why no connection can be made; undefined if one can. */
export function unreachable(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(connectTarget(host, port));
    const finish = (why: string | undefined): void => {
      socket.destroy();
      resolve(why);
    };
    socket.setTimeout(timeoutMs, () => finish(`no answer within ${timeoutMs} ms`));
    socket.once('connect', () => finish(undefined));
    socket.once('error', (error) => finish(reasonOf(error)));
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errors, code } = error as { errors?: unknown; code?: unknown };
  const last: unknown = Array.isArray(errors) ? errors.at(-1) : undefined;
  if (last !== undefined) return reasonOf(last);
  const texts: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'nobody listens there (ECONNREFUSED)',
    ENOTFOUND: 'the host name is not known (ENOTFOUND)',
    EAI_AGAIN: 'the host name cannot be looked up (EAI_AGAIN)',
  };
  return (typeof code === 'string' ? texts[code] : undefined) ?? error.message;
}

type TlsOption =
  | false
  | { rejectUnauthorized: boolean; ca?: string; cert?: string; key?: string; checkServerIdentity?: () => undefined };

/** The TLS option of `pg` for tls.server, and whether a connection without TLS is allowed as well. */
function tlsFor(tls: TlsSide): [TlsOption, boolean] {
  if (tls.mode === 'disable' || tls.mode === 'allow') return [false, true];
  const read = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : readFileSync(file, 'utf8');
  const [ca, cert, key] = [read(tls.ca), read(tls.cert), read(tls.key)];
  const isVerifying = tls.mode === 'verify-ca' || tls.mode === 'verify-full';
  const option = {
    rejectUnauthorized: isVerifying,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(tls.mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
  return [option, tls.mode === 'prefer'];
}

const plainColumns = `pg_is_in_recovery() AS replica, current_setting('server_version') AS version,
  current_setting('max_connections')::int AS max_connections`;
const plainSql = `SELECT ${plainColumns}, NULL AS lsn, NULL AS streaming`;
const probeSql = `SELECT ${plainColumns},
  (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0')::text AS lsn,
  EXISTS (SELECT 1 FROM pg_stat_wal_receiver) AS streaming`;

interface Answer {
  readonly replica: boolean;
  readonly version: string;
  readonly max_connections: number;
  readonly lsn: string | null;
  readonly streaming: boolean | null;
}

/** @param login undefined: only connects, without logging in */
export async function probeNode(
  node: NodeConfig,
  login: Credentials | undefined,
  tls: TlsSide,
  timeoutMs: number,
): Promise<NodeReport> {
  if (login === undefined) {
    const why = await unreachable(node.host, node.port, timeoutMs);
    const note = `somebody listens; not logged in: ${NO_LOGIN}`;
    return { ...emptyReport, problem: why, note: why === undefined ? note : undefined };
  }
  try {
    const [ssl, isPlainFine] = isSocketDir(node.host) ? [false as const, true] : tlsFor(tls);
    return await ask(node, login, ssl, timeoutMs).catch((error: unknown) => {
      const hasNoTls = error instanceof Error && /does not support SSL/i.test(error.message);
      if (ssl !== false && isPlainFine && hasNoTls) return ask(node, login, false, timeoutMs);
      throw error;
    });
  } catch (error) {
    return { ...emptyReport, problem: reasonOf(error) };
  }
}

async function ask(node: NodeConfig, login: Credentials, ssl: TlsOption, timeoutMs: number): Promise<NodeReport> {
  const client = new pg.Client({
    host: node.host,
    port: node.port,
    user: login.user,
    ...(login.password === undefined ? {} : { password: login.password }),
    database: node.database ?? 'postgres',
    ssl,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'weir check',
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    let note: string | undefined;
    const { rows } = await client.query<Answer>(probeSql).catch((error: unknown) => {
      if (!(error instanceof pg.DatabaseError) || !WITHOUT_WAL.has(error.code ?? '')) throw error;
      note = withoutWal(error);
      return client.query<Answer>(plainSql);
    });
    const [answer] = rows;
    if (answer === undefined) return { ...emptyReport, problem: 'the server gave no answer' };
    return {
      role: answer.replica ? 'replica' : 'primary',
      version: answer.version.split(' ')[0],
      maxConnections: answer.max_connections,
      lsn: answer.lsn === null ? undefined : BigInt(answer.lsn),
      isStreaming: answer.streaming ?? undefined,
      problem: undefined,
      note,
    };
  } finally {
    await client.end().catch(() => undefined);
  }
}
