/**
 * Log-ins of clients that a server of one database has accepted. If the configuration names no user for the monitor, the
 * monitor logs in with one of them, on the servers of that database only, as the client's own pools would. Made for each
 * topology.
 */
import type { NodeConfig } from '../config/config.ts';
import { ServerLoginError } from '../backend/login.ts';
import type { ServerLink } from '../backend/login.ts';
import { ProbeError, asProbeFailure, createLinkConnect } from '../topology/probe.ts';
import { BORROWED } from '../topology/server-connector.ts';
import type { MonitorLogin } from '../topology/server-connector.ts';

/** Users kept, so that the monitor still has a log-in when one of them stops working. */
const mostUsers = 8;
/** How long a log-in is not retried on a server that refused it: a replica may not have replayed CREATE ROLE yet. */
const refusedMs = 30_000;

export interface BorrowedParts {
  /** The name that clients use. */
  readonly databaseName: string;
  /** Rejects with ServerLoginError. */
  link(node: NodeConfig, user: string, parameters: Readonly<Record<string, string>>): Promise<ServerLink>;
  /** The secret that Weir would log in with now. If it has changed, a server must accept it before it is borrowed. */
  secretOf(user: string): string | undefined;
  nowMs(): number;
  isPrimary(node: NodeConfig): boolean;
  /** Called when a log-in was added or removed. */
  onChange(): void;
  /** Called when a server has refused a client's user, borrowed here or not. */
  onRefused(node: NodeConfig, user: string): void;
}

interface Borrowed {
  readonly user: string;
  readonly secret: string | undefined;
  /** By node: until when the log-in is not offered there. */
  readonly refusedUntilMs: Map<string, number>;
  /** Connections of the monitor as this user. */
  open: number;
}

/** Override what ALTER ROLE ... SET could set to make the monitor's statements fail. */
const parameters = {
  application_name: 'weir monitor',
  client_encoding: 'UTF8',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // A hot standby refuses every statement of a serializable transaction.
  default_transaction_isolation: 'read committed',
};

export class BorrowedLogins {
  private readonly parts: BorrowedParts;
  private readonly byUser = new Map<string, Borrowed>();

  constructor(parts: BorrowedParts) {
    this.parts = parts;
  }

  /** Called when a server has accepted a client's own log-in, for a pool or a replication connection. */
  accepted(node: NodeConfig, user: string): void {
    if (node.user !== undefined) return;
    const secret = this.parts.secretOf(user);
    const known = this.byUser.get(user);
    if (known?.secret === secret && known !== undefined) {
      if (known.refusedUntilMs.delete(node.name)) this.parts.onChange();
      return;
    }
    if (known === undefined && this.byUser.size >= mostUsers && !this.makeRoom()) return;
    this.byUser.set(user, { user, secret, refusedUntilMs: new Map(), open: 0 });
    this.parts.onChange();
  }

  /** Called when a server refuses the user. A refusal by the primary holds for all nodes; a replica may only lag behind. */
  refused(node: NodeConfig, user: string): void {
    if (node.user !== undefined) return;
    this.parts.onRefused(node, user);
    const known = this.byUser.get(user);
    if (known === undefined) return;
    if (this.parts.isPrimary(node)) {
      this.byUser.delete(user);
      return this.parts.onChange();
    }
    const isNews = !this.isRefused(known, node);
    known.refusedUntilMs.set(node.name, this.parts.nowMs() + refusedMs);
    if (isNews) this.parts.onChange();
  }

  /** The log-ins that the monitor may try on a node of this database. */
  of(node: NodeConfig, queryTimeoutMs: number): readonly MonitorLogin[] {
    // With a user in the configuration of the node, pools do not log in there as the client.
    if (node.user !== undefined) return [];
    return this.offered(node).map((each) => ({
      key: JSON.stringify(['client', this.parts.databaseName, each.user]),
      rank: BORROWED,
      connect: createLinkConnect(() => this.logIn(node, each), queryTimeoutMs),
    }));
  }

  /** The users of these log-ins. */
  usersAt(node: NodeConfig): readonly string[] {
    return node.user === undefined ? this.offered(node).map(({ user }) => user) : [];
  }

  private offered(node: NodeConfig): Borrowed[] {
    return [...this.byUser.values()].filter(
      (each) => each.secret === this.parts.secretOf(each.user) && !this.isRefused(each, node),
    );
  }

  private isRefused({ refusedUntilMs }: Borrowed, node: NodeConfig): boolean {
    return this.parts.nowMs() < (refusedUntilMs.get(node.name) ?? 0);
  }

  /** Removes a log-in that is of no use on any node. */
  private makeRoom(): boolean {
    for (const { user, open, secret, refusedUntilMs } of this.byUser.values()) {
      const isOld = secret !== this.parts.secretOf(user);
      if (open === 0 && (isOld || refusedUntilMs.size > 0)) return this.byUser.delete(user);
    }
    return false;
  }

  private async logIn(node: NodeConfig, as: Borrowed): Promise<ServerLink> {
    try {
      const link = await this.parts.link(node, as.user, parameters);
      as.open++;
      link.socket.once('close', () => as.open--);
      return link;
    } catch (error) {
      throw this.failureOf(error, node, as);
    }
  }

  private failureOf(error: unknown, node: NodeConfig, { user }: Borrowed): unknown {
    if (!(error instanceof ServerLoginError)) return error;
    if (error.isFinal) this.refused(node, user);
    const { isStopped } = asProbeFailure(error.cause ?? error, '');
    // The error does not tell whether the connection limit of the role or of the server was reached.
    const isRefused = error.isFinal || error.isServerFull;
    return new ProbeError(
      `cannot connect as ${user}: ${error.message}`,
      isStopped || error.isStartingUp,
      isRefused && !error.isTransport,
    );
  }
}
