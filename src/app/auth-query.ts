/**
 * auth.query: asks the primary of a client's database for the secret of a user who is not in auth.file. It uses its own
 * connections, as auth.user, with a fixed search_path; the number of concurrent queries is limited, and each has a deadline.
 * Secrets are not cached: a log-in sees everything committed before it began. Waiting log-ins of one user share a query.
 * An answer that is not exactly one row for the requested user never lets a client in.
 */
import type { KeyDeriver } from '../auth/keys.ts';
import { LookUpFailed } from '../auth/outcome.ts';
import { parseSecret } from '../auth/secrets.ts';
import { AuthQueryConnection, StatementError } from '../backend/auth-query-connection.ts';
import { createDeadline, type Deadline } from '../backend/deadline.ts';
import { connectServer, ServerLoginError } from '../backend/login.ts';
import type { Config, NodeConfig } from '../config/config.ts';
import { WeirError } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import { OwnConnections } from '../topology/own-connections.ts';

export interface AuthQueryParts {
  config(): Config;
  readonly users: ReadonlyMap<string, string>;
  readonly keys: KeyDeriver;
  /** Resolves to the primary of a database as soon as one is known; rejects with the reason of `signal`. */
  primaryOf(database: string, signal: AbortSignal): Promise<NodeConfig>;
  /** DISABLE on the admin console. */
  isDisabled(database: string): boolean;
  readonly log: Log;
}

/** Concurrent queries per configured database. */
const maxAtOnce = 4;
const maxWaiting = 1024;
/** How long an idle connection is kept. */
const keepIdleMs = 60_000;
/** PostgreSQL truncates longer names: the answer would be about another user. */
const longestNameBytes = 63;
const longestSecretBytes = 2048;

const defaultQuery =
  'SELECT rolname, CASE WHEN rolvaliduntil OPERATOR(pg_catalog.<) pg_catalog.now() THEN NULL ELSE rolpassword END ' +
  'FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) $1 AND rolcanlogin';

/** Fixed, so that neither settings of the role nor temporary objects can redirect the query. */
const sessionParameters = {
  search_path: 'pg_catalog, pg_temp',
  client_encoding: 'UTF8',
  application_name: 'weir auth.query',
};

/** The queries about users of one configured database ("*" counts as one). */
interface Desk {
  /** Questions that were not sent yet, by database and user. */
  readonly waiting: Map<string, Question>;
  /** By server and log-in, least recently used first. */
  readonly connections: Map<string, OwnConnections<AuthQueryConnection>>;
  running: number;
}

interface Question {
  readonly user: string;
  /** The database on whose primary the query runs. */
  readonly database: string;
  /** The one that the client has named. */
  readonly clientDatabase: string;
  readonly deadline: Deadline;
  readonly endsAtMs: number;
  readonly answer: Promise<string | undefined>;
  settle(answer: Promise<string | undefined>): void;
}

export class AuthQuery {
  private readonly parts: AuthQueryParts;
  private readonly desks = new Map<string, Desk>();
  /** Connections of all desks, and those that left a desk and are not closed yet. */
  private readonly open = new Set<OwnConnections<AuthQueryConnection>>();
  private isStopped = false;

  constructor(parts: AuthQueryParts) {
    this.parts = parts;
  }

  /**
   * Resolves to the user's secret; '': the user has none and may not log in with a password now; undefined: there is no such user.
   * Rejects with LookUpFailed.
   */
  lookUp(user: string, clientDatabase: string): Promise<string | undefined> {
    const { databases } = this.parts.config();
    const client = databases.get(clientDatabase) ?? databases.get('*');
    const auth = this.authOf(clientDatabase);
    const database = auth.dbname ?? clientDatabase;
    const entry = databases.get(database) ?? databases.get('*');
    if (auth.query !== undefined && auth.dbname !== undefined && client !== undefined) {
      const refusal = this.refusalOf(user, database, entry !== undefined);
      if (refusal !== undefined) return Promise.reject(refusal);
    }
    if (auth.query === undefined || entry === undefined || Buffer.byteLength(user) > longestNameBytes)
      return Promise.resolve(undefined);
    const desk = this.deskOf(entry.name);
    // Databases that ask another database may do so with other queries.
    const key = `${client?.name ?? ''}\0${database}\0${user}`;
    let question = desk.waiting.get(key);
    if (question === undefined) {
      if (desk.waiting.size >= maxWaiting) {
        const error = new WeirError('too_many_logins');
        return Promise.reject(new LookUpFailed(error, `${maxWaiting} users wait for auth.query`));
      }
      question = newQuestion({ user, database, clientDatabase }, entry.pool.serverConnectTimeoutMs);
      desk.waiting.set(key, question);
      this.watch(desk, key, question);
      this.next(desk);
    }
    return question.answer;
  }

  /** Whether users who want that database are asked about. */
  asks(clientDatabase: string): boolean {
    const { databases } = this.parts.config();
    const isThere = databases.has(clientDatabase) || databases.has('*');
    return isThere && this.authOf(clientDatabase).query !== undefined;
  }

  /** Why auth.dbname cannot be asked. */
  private refusalOf(user: string, database: string, isThere: boolean): LookUpFailed | undefined {
    if (!isThere) {
      const why = `authentication database "${database}" is not configured`;
      this.parts.log('error', 'auth_query_failed', why);
      return new LookUpFailed(new WeirError('auth_query_failed', { user }), why);
    }
    if (!this.parts.isDisabled(database)) return undefined;
    const error = new WeirError('auth_database_disabled', { database });
    return new LookUpFailed(error, error.message);
  }

  /** Whom and what to ask for clients of the database. */
  private authOf(clientDatabase: string): Pick<Config['auth'], 'user' | 'query' | 'dbname'> {
    const { auth, databases } = this.parts.config();
    return { ...auth, ...(databases.get(clientDatabase) ?? databases.get('*'))?.auth };
  }

  stop(): void {
    this.isStopped = true;
    for (const connections of this.open) connections.stop();
  }

  private deskOf(name: string): Desk {
    let desk = this.desks.get(name);
    if (desk === undefined) this.desks.set(name, (desk = { waiting: new Map(), connections: new Map(), running: 0 }));
    return desk;
  }

  /** Gives up a question that was not sent by its deadline. A sent one is not watched: its connection reports the cause. */
  private watch(desk: Desk, key: string, question: Question): void {
    const { signal } = question.deadline;
    const giveUp = (): void => {
      if (desk.waiting.get(key) !== question) return;
      desk.waiting.delete(key);
      const { message } = signal.reason as Error;
      question.settle(Promise.reject(new Error(`auth.query is busy with others: ${message}`)));
    };
    signal.addEventListener('abort', giveUp);
  }

  private next(desk: Desk): void {
    for (const [key, question] of desk.waiting) {
      if (desk.running >= maxAtOnce) return;
      // A log-in that begins from now on needs a query of its own, to see what is committed from now on.
      desk.waiting.delete(key);
      desk.running++;
      const asked = this.ask(question, desk).finally(() => {
        desk.running--;
        this.next(desk);
      });
      question.settle(asked);
    }
  }

  private async ask(question: Question, desk: Desk): Promise<string | undefined> {
    try {
      return secretIn(await this.rowsFor(question, desk), question.user);
    } catch (error) {
      // A client of "*" named a database that does not exist, so it has no users either.
      if (error instanceof ServerLoginError && error.isUnknownDatabase) return this.withoutDatabase(error);
      const { message } = error instanceof Error ? error : new Error(String(error));
      const why = `auth.query for database "${question.database}": ${message}`;
      this.parts.log('warn', 'auth_query_failed', why);
      throw toFailure(question.user, new Error(why, { cause: error }));
    }
  }

  /** PgBouncer passes on what the server says. */
  private withoutDatabase({ message, sqlstate, detail, hint }: ServerLoginError): undefined {
    if (this.parts.config().auth.as !== 'pgbouncer') return undefined;
    const said = new WeirError('server_refused', { why: message }, detail, { sqlstate, hint });
    throw new LookUpFailed(said, `auth.query: ${message}`);
  }

  private async rowsFor(question: Question, desk: Desk): Promise<(string | null)[][]> {
    const { user, database, clientDatabase, deadline, endsAtMs } = question;
    const { tls } = this.parts.config();
    const auth = this.authOf(clientDatabase);
    const node = await this.parts.primaryOf(database, deadline.signal);
    const login = {
      node,
      database: node.database ?? database,
      user: auth.user ?? '',
      password: this.parts.users.get(auth.user ?? ''),
      tls: tls.server,
    };
    const sql = auth.query === 'default' ? defaultQuery : (auth.query ?? '');
    const connections = this.connectionsOf(desk, JSON.stringify(login));
    const place = await connections.take(deadline.signal);
    if (place === undefined) throw deadline.signal.reason;
    try {
      const kept = place.connection;
      if (kept !== undefined) {
        try {
          return await kept.ask(sql, [user], 1, deadline.signal);
        } catch (error) {
          // The server may have closed this connection while it was idle; try another one.
          if (error instanceof StatementError || deadline.signal.aborted) throw error;
        }
      }
      const timeoutMs = Math.max(1, Math.round(endsAtMs - performance.now()));
      const link = await connectServer({ ...login, timeoutMs, keys: this.parts.keys, parameters: sessionParameters });
      place.connection = new AuthQueryConnection(link);
      return await place.connection.ask(sql, [user], 1, deadline.signal);
    } finally {
      if (this.isStopped) connections.stop();
      connections.giveBack(place);
    }
  }

  /** The connections of that log-in. If the desk has too many connections, the least recently used are closed first. */
  private connectionsOf(desk: Desk, key: string): OwnConnections<AuthQueryConnection> {
    const connections = desk.connections.get(key) ?? newConnections();
    this.open.add(connections);
    // Moves the entry to the end of the map: most recently used.
    desk.connections.delete(key);
    desk.connections.set(key, connections);
    const countOf = ({ size }: OwnConnections<AuthQueryConnection>): number => Math.max(1, size);
    let count = 0;
    for (const each of desk.connections.values()) count += countOf(each);
    for (const [otherKey, other] of desk.connections) {
      if (count <= maxAtOnce || other === connections) break;
      desk.connections.delete(otherKey);
      count -= countOf(other);
      void other.retire().then(() => this.open.delete(other));
    }
    return connections;
  }
}

const newConnections = (): OwnConnections<AuthQueryConnection> =>
  new OwnConnections({
    max: maxAtOnce,
    isOpen: (asker) => asker.isOpen,
    close: (asker) => asker.close(),
    keepIdleMs,
  });

function newQuestion(about: Pick<Question, 'user' | 'database' | 'clientDatabase'>, timeoutMs: number): Question {
  const deadline = createDeadline(timeoutMs, undefined, (message) => new Error(message));
  let settle: Question['settle'] = () => undefined;
  const answer = new Promise<string | undefined>((resolve, reject) => {
    settle = (asked) => {
      asked.then(resolve, (error: unknown) => reject(toFailure(about.user, error))).finally(() => deadline.clear());
    };
  });
  return { ...about, deadline, endsAtMs: performance.now() + timeoutMs, answer, settle };
}

/**
 * Reads the secret from the answer: one row of (user name, secret), or no row. '': the user has none.
 * @throws Error that says what is wrong with the answer
 */
export function secretIn(rows: readonly (readonly (string | null)[])[], user: string): string | undefined {
  const [row, more] = rows;
  if (row === undefined) return undefined;
  if (more !== undefined) throw new Error('it gave more than one row');
  if (row.length !== 2) throw new Error(`it gave ${row.length} columns, and not user name and secret`);
  const [name, secret] = row;
  // A function with OUT parameters returns a row of NULLs for an unknown user.
  if (name == null) return undefined;
  if (name !== user) throw new Error('it gave another user than the one it was asked for');
  if (secret == null || secret === '') return '';
  if (Buffer.byteLength(secret) > longestSecretBytes)
    throw new Error(`the secret is longer than ${longestSecretBytes} bytes`);
  if (/^\*+$/.test(secret)) {
    throw new Error('the secret is nothing but asterisks: it reads pg_user or pg_roles, which hide it; read pg_authid');
  }
  if (secret.startsWith('SCRAM-SHA-256$') && parseSecret(secret).kind === 'plain') {
    throw new Error('the secret starts like a SCRAM secret but is none');
  }
  return secret;
}

function toFailure(user: string, error: unknown): LookUpFailed {
  if (error instanceof LookUpFailed) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new LookUpFailed(new WeirError('auth_query_failed', { user }), why);
}
