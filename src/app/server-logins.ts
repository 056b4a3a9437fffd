/**
 * Logs in to the servers of one database as a client's user, and sends CancelRequests, for pools and for replication
 * connections. Made by database.ts.
 */
import { sendCancel } from '../backend/cancel.ts';
import { ServerLoginError, connectServer } from '../backend/login.ts';
import type { ServerLink } from '../backend/login.ts';
import { ServerConnection } from '../backend/server.ts';
import { WeirError } from '../errors/errors.ts';
import type { DatabaseConfig, NodeConfig } from '../config/config.ts';
import { readErrorFields } from '../protocol/read.ts';
import type { ConnectProblem } from '../pool/pool.ts';
import type { Topology } from '../topology/types.ts';
import { TxStatus } from '../protocol/codes.ts';
import type { Shared } from './shared.ts';

/** Accessors to the current state of the database. */
export interface LoginParts {
  readonly name: string;
  readonly shared: Shared;
  config(): DatabaseConfig;
  topology(): Topology;
}

function refusalOf({ message, sqlstate, detail, hint }: ServerLoginError): WeirError {
  return new WeirError('server_refused', { why: message }, detail, { sqlstate, hint });
}

/** The fields of a server that a CancelRequest needs. */
export type CancelTarget = Pick<ServerConnection, 'node' | 'processId' | 'secretKey'>;

/** Delay before a failed CancelRequest is sent again. */
const cancelAgainAfterMs = 500;

export class ServerLogins {
  private readonly parts: LoginParts;

  constructor(parts: LoginParts) {
    this.parts = parts;
  }

  /** Opens a server connection for a pool. Rejects with a ConnectProblem. */
  async connect(
    node: NodeConfig,
    user: string,
    onClosed: (server: ServerConnection) => void,
  ): Promise<ServerConnection> {
    const { name, shared } = this.parts;
    const { services, serverLog } = shared;
    const own = { id: shared.nextServerId(), database: name, user, node };
    const sinceMs = services.nowMs();
    try {
      const link = await this.link(node, user);
      serverLog?.opened(own, link);
      return new ServerConnection({
        id: own.id,
        node,
        link,
        turn: services.turn,
        maxPreparedStatements: this.parts.config().pool.maxPreparedStatements,
        nowMs: services.nowMs(),
        owner: {
          closed: (server, why) => {
            services.log('debug', 'server_closed', why, { database: name, node: node.name, server: server.id });
            serverLog?.closed(own, server, why);
            onClosed(server);
          },
          unexpected: services.unexpected,
        },
      });
    } catch (error) {
      if (error instanceof ServerLoginError) serverLog?.failed(own, error, sinceMs);
      throw this.problemOf(node, error);
    }
  }

  /** Runs connect_query, if there is one, on a connection that no client has. Its errors are logged, and otherwise ignored. */
  async connectQuery(server: ServerConnection): Promise<void> {
    const { connectQuery: sql, serverConnectTimeoutMs } = this.parts.config().pool;
    if (sql === undefined || !server.isAlive) return;
    const timer = setTimeout(() => server.destroy('connect_query took too long'), serverConnectTimeoutMs);
    try {
      await server.run(sql);
      if (server.txStatus !== TxStatus.Idle) await server.run('ROLLBACK');
    } catch (error) {
      const where = { database: this.parts.name, node: server.node.name };
      this.parts.shared.loginLog('warn', 'connect_query_failed', (error as Error).message, where);
    } finally {
      clearTimeout(timer);
    }
  }

  /** server_check_query has found out that the connection does not work. */
  checkFailed(server: ServerConnection, why: string): void {
    const where = { database: this.parts.name, node: server.node.name, server: server.id };
    this.parts.shared.loginLog('warn', 'server_check_failed', why, where);
  }

  /** Rejects with ServerLoginError; `noteFailure` says what it means to the others. */
  async link(node: NodeConfig, user: string, parameters: Readonly<Record<string, string>> = {}): Promise<ServerLink> {
    const { name, shared } = this.parts;
    const own = shared.credentials.of(name, user);
    const secret = node.user === undefined ? own.secret : node.password;
    const isVerifier = secret?.startsWith('SCRAM-SHA-256$') === true;
    const proven = node.user === undefined ? own.scramKeys : undefined;
    const link = await connectServer({
      node,
      database: node.database ?? name,
      user,
      password: isVerifier ? undefined : secret,
      tls: shared.config().tls.server,
      timeoutMs: this.parts.config().pool.serverConnectTimeoutMs,
      keys: shared.keys,
      parameters,
      ...(proven === undefined ? {} : { scramKeys: proven }),
    });
    this.parts.topology().reportSuccess(node.name);
    for (const notice of link.notices) {
      const { V: severity, M: message = '' } = Object.fromEntries(readErrorFields(notice, 5, notice.length));
      shared.services.log('debug', 'server_notice', message, { database: name, node: node.name, severity });
    }
    return link;
  }

  noteFailure(node: NodeConfig, error: ServerLoginError): void {
    const { name, shared } = this.parts;
    const where = { database: name, node: node.name, sqlstate: error.sqlstate };
    shared.loginLog('warn', 'server_login_failed', error.message, where);
    if (!error.isTransport) return;
    const isLate = error.message.startsWith('timed out');
    this.parts.topology().reportFailure(node.name, isLate ? 'timeout' : 'connect', error.message);
  }

  private problemOf(node: NodeConfig, error: unknown): ConnectProblem {
    if (!(error instanceof ServerLoginError)) {
      const bug = error instanceof Error ? error : new Error(String(error));
      this.parts.shared.services.unexpected(bug);
      return { message: bug.message, refusal: undefined, isServerFull: false, sqlstate: undefined };
    }
    this.noteFailure(node, error);
    return {
      message: error.message,
      refusal: error.isFinal ? refusalOf(error) : undefined,
      isServerFull: error.isServerFull,
      sqlstate: error.isTransport ? undefined : error.sqlstate,
    };
  }

  /**
   * Sends a CancelRequest to the target's node; resolves when it has arrived or has failed for good.
   * @param isWanted a failed attempt is repeated as long as this returns true: the statement still runs
   */
  async cancel({ node, processId, secretKey }: CancelTarget, isWanted: () => boolean = () => false): Promise<void> {
    const { shared } = this.parts;
    const timeoutMs = this.parts.config().pool.serverConnectTimeoutMs;
    do {
      try {
        await sendCancel({ node, tls: shared.config().tls.server, processId, secretKey, timeoutMs, isWanted });
        return;
      } catch (error) {
        shared.services.log('warn', 'cancel_failed', (error as Error).message, { node: node.name });
      }
      if (isWanted()) await new Promise((resolve) => setTimeout(resolve, cancelAgainAfterMs));
    } while (isWanted());
  }
}
