/**
 * The log of server connections for `log.format: pgbouncer`: a line for each that is opened, closed or cannot be opened, in
 * PgBouncer's wording, which scripts and dashboards look for. Made by services.ts; told by server-logins.ts and directory.ts.
 */
import type { ServerLink } from '../backend/login.ts';
import type { ServerLoginError } from '../backend/login-error.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { NodeConfig } from '../config/config.ts';
import { transportWords } from '../observability/pgbouncer-lines.ts';
import type { Log } from '../observability/types.ts';

/** Whose connection it is, or would be. */
export interface ServerOfPool {
  readonly id: number;
  readonly database: string;
  readonly user: string;
  readonly node: NodeConfig;
}

export interface ServerLog {
  opened(server: ServerOfPool, link: ServerLink): void;
  closed(server: ServerOfPool, connection: ServerConnection, why: string): void;
  /** @param sinceMs when the attempt began */
  failed(server: ServerOfPool, error: ServerLoginError, sinceMs: number): void;
  /** A client has opened a database that only the entry "*" allows. */
  autoDatabase(name: string): void;
}

const event = 'server_connection';

export class PgbouncerServerLog implements ServerLog {
  private readonly log: Log;
  private readonly nowMs: () => number;

  constructor(log: Log, nowMs: () => number) {
    this.log = log;
    this.nowMs = nowMs;
  }

  opened(server: ServerOfPool, { socket }: ServerLink): void {
    const { localAddress: host, localPort: port } = socket;
    const from = host === undefined || port === undefined ? 'unix' : `${inBrackets(host)}:${port}`;
    this.log('info', event, `${nameOf(server)} new connection to server (from ${from})`);
  }

  closed(server: ServerOfPool, { connectedAtMs, isClosedByWeir }: ServerConnection, why: string): void {
    const words = isClosedByWeir ? (wordsOf[why] ?? plain(why)) : `server conn crashed? (${plain(why)})`;
    this.closing(server, words, connectedAtMs);
  }

  failed(server: ServerOfPool, error: ServerLoginError, sinceMs: number): void {
    if (!error.isTransport) {
      this.log('warn', event, `${nameOf(server)} server login failed: ${error.severity} ${plain(error.message)}`);
      return this.closing(server, 'login failed', sinceMs);
    }
    this.closing(server, plain(transportWords(error.message)), sinceMs);
  }

  autoDatabase(name: string): void {
    this.log('info', event, `registered new auto-database: db=${plain(name)}`);
  }

  private closing(server: ServerOfPool, why: string, sinceMs: number): void {
    const age = Math.max(0, Math.floor((this.nowMs() - sinceMs) / 1000));
    this.log('info', event, `${nameOf(server)} closing because: ${why} (age=${age}s)`);
  }
}

/** PgBouncer's words for why Weir closes a server connection; the others are Weir's own. */
const wordsOf: Readonly<Record<string, string>> = {
  server_lifetime: 'server lifetime over',
  server_idle_timeout: 'server idle timeout',
  RECONNECT: 'database configuration changed',
  server_fast_close: 'database configuration changed',
  PAUSE: 'pause mode',
  KILL: 'admin forced disconnect',
  'shutting down': 'pooler is shut down',
};

function nameOf({ id, database, user, node: { host, port } }: ServerOfPool): string {
  const number = id.toString(16).padStart(12, '0');
  const where = host.startsWith('/') ? 'unix' : inBrackets(host);
  return `S-0x${number}: ${plain(database)}/${plain(user)}@${where}:${port}`;
}

const inBrackets = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** Names come from clients, and messages from servers: a line stays one line. */
const plain = (text: string): string => text.replaceAll(/[\s\u0000-\u001f\u007f]+/g, ' ').slice(0, 500);
