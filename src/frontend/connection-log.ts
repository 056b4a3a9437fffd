/**
 * The log of connections for `log.format: pgbouncer`: a line for each log-in, each end of a connection and each error, in
 * PgBouncer's wording, on which fail2ban and scripts rely. Made by the app; login.ts and sessions tell it what happens.
 */
import type { Socket } from 'node:net';
import { WrongScramPassword } from '../auth/outcome.ts';
import type { WeirError } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import { addressOf } from './logins.ts';

/** Who a client says it is, as far as it has said so. */
export interface Named {
  readonly user?: string | undefined;
  readonly database?: string | undefined;
  readonly hasTls: boolean;
  readonly isLocal: boolean;
}

export interface ConnectionLog {
  /** The client has said who it is; nothing is proven yet. */
  attempt(socket: Socket, who: Named): void;
  /** Its log-in was refused. */
  refused(socket: Socket, error: WeirError, who: Named): void;
  /** Weir is about to end the session of the client with this address. */
  ending(host: string, port: number, error: WeirError): void;
}

interface Open {
  readonly name: string;
  readonly sinceMs: number;
  /** Why is in the log. */
  isEnded: boolean;
}

/** The event of these lines, which the formatter prints as they are. */
export const connectionEvent = 'connection';

export class PgbouncerConnectionLog implements ConnectionLog {
  private readonly log: Log;
  private readonly nowMs: () => number;
  /** By address and port: each is one connection at a time. */
  private readonly open = new Map<string, Open>();
  private readonly known = new WeakMap<Socket, Open>();
  private lastId = 0;

  constructor(log: Log, nowMs: () => number) {
    this.log = log;
    this.nowMs = nowMs;
  }

  attempt(socket: Socket, who: Named): void {
    const { user = '', database = '', hasTls, isLocal } = who;
    const key = isLocal ? undefined : keyOf(addressOf(socket), socket.remotePort ?? 0);
    const entry = this.entry(socket, who);
    this.known.set(socket, entry);
    if (key !== undefined) this.open.set(key, entry);
    this.say(
      'info',
      `${entry.name} login attempt: db=${plain(database)} user=${plain(user)} tls=${hasTls ? 'yes' : 'no'}`,
    );
    socket.once('close', () => {
      if (key !== undefined && this.open.get(key) === entry) this.open.delete(key);
      if (this.known.delete(socket) && !entry.isEnded) this.closing(entry, 'client close request');
    });
  }

  refused(socket: Socket, error: WeirError, who: Named): void {
    const entry = this.known.get(socket) ?? this.entry(socket, who);
    this.known.delete(socket);
    this.failed(entry, error);
  }

  ending(host: string, port: number, error: WeirError): void {
    const entry = this.open.get(keyOf(host, port));
    if (entry === undefined || entry.isEnded) return;
    entry.isEnded = true;
    // Not when the socket closes, which is up to the client: it may look into the log before.
    this.failed(entry, error);
  }

  private entry(socket: Socket, { user, database, isLocal }: Named): Open {
    const id = (++this.lastId).toString(16).padStart(12, '0');
    const who = user === undefined ? '(nodb)/(nouser)' : `${plain(database ?? '')}/${plain(user)}`;
    const host = addressOf(socket);
    const where = isLocal ? 'unix' : host.includes(':') ? `[${host}]` : host;
    const name = `C-0x${id}: ${who}@${where}:${socket.remotePort ?? 0}`;
    return { name, sinceMs: this.nowMs(), isEnded: false };
  }

  private failed(entry: Open, error: WeirError): void {
    const words = pgbouncerWords(error);
    this.closing(entry, words);
    this.say('warn', `${entry.name} pooler error: ${words}`);
  }

  private closing({ name, sinceMs }: Open, why: string): void {
    this.say('info', `${name} closing because: ${why} (age=${Math.floor((this.nowMs() - sinceMs) / 1000)}s)`);
  }

  private say(level: 'info' | 'warn', line: string): void {
    this.log(level, connectionEvent, line);
  }
}

const keyOf = (host: string, port: number): string => `${host} ${port}`;

/** Names come from the client: a line stays one line, and what follows the name cannot be forged. */
const plain = (name: string): string => name.replaceAll(/[\s\u0000-\u001f\u007f]/g, '?').slice(0, 63);

/** The words that PgBouncer has for an error of Weir; for the others, Weir's own. */
export function pgbouncerWords(error: WeirError): string {
  const name = /"([^"]*)"/.exec(error.message)?.[1] ?? '';
  switch (error.errorName) {
    case 'authentication_failed':
      return error instanceof WrongScramPassword ? 'SASL authentication failed' : 'password authentication failed';
    case 'auth_query_failed':
      return 'bouncer config error';
    case 'hba_no_entry':
    case 'hba_rejects':
      return 'login rejected';
    case 'no_such_database':
      return `no such database: ${plain(name)}`;
    case 'database_disabled':
      return `database does not allow connections: ${plain(name)}`;
    case 'too_many_clients':
      return 'no more connections allowed (max_client_conn)';
    case 'not_console_user':
      return 'not allowed';
    case 'tls_required':
      return 'SSL required';
    case 'login_timeout':
      return 'client_login_timeout';
    case 'client_idle_timeout':
      return 'client_idle_timeout';
    case 'idle_transaction_timeout':
      return 'idle transaction timeout';
    case 'shutting_down':
      return 'server shutting down';
    case 'killed':
      return 'admin forced disconnect';
    default:
      if (error.message.startsWith('the server asks for a SCRAM password')) return 'wrong password type';
      return error.message.replaceAll(/\s+/g, ' ');
  }
}
