/**
 * Log-ins of clients that a server of one database has accepted: where the configuration has none for the monitor, it
 * logs in with one of them, at the servers of that database and no others, as the client's own pools would. Made by
 * database.ts for each topology.
 */
import type { NodeConfig } from '../config/config.ts';
import { ServerLoginError } from '../backend/login.ts';
import type { ServerLink } from '../backend/login.ts';
import { ProbeError, asProbeFailure, createLinkConnect } from '../topology/probe.ts';
import { BORROWED } from '../topology/server-connector.ts';
import type { MonitorLogin } from '../topology/server-connector.ts';

/** Enough that the loss of one does not matter. */
const mostUsers = 8;
/** What a server has refused it is not asked for again so soon; its replay may not have got to the role yet. */
const refusedMs = 30_000;

export interface BorrowedParts {
  /** The name that clients use. */
  readonly databaseName: string;
  /** Rejects with ServerLoginError. */
  link(node: NodeConfig, user: string, parameters: Readonly<Record<string, string>>): Promise<ServerLink>;
  /** What Weir would log in with now; another one than before has to prove itself. */
  secretOf(user: string): string | undefined;
  nowMs(): number;
  isPrimary(node: NodeConfig): boolean;
  /** There is another log-in to try, or one less. */
  onChange(): void;
}

interface Borrowed {
  readonly user: string;
  readonly secret: string | undefined;
  /** By node: until when it is not offered there. */
  readonly refusedUntilMs: Map<string, number>;
  /** Connections of the monitor as this user. */
  open: number;
}

/** A role must not be able to stop the monitor by what it has set for itself before the first statement. */
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

  /** A pool, or a replication connection, has got in with the client's own log-in. */
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

  /** The server does not let that user in. What the primary says holds everywhere; a replica may only be behind. */
  refused(node: NodeConfig, user: string): void {
    const known = this.byUser.get(user);
    if (known === undefined || node.user !== undefined) return;
    if (this.parts.isPrimary(node)) {
      this.byUser.delete(user);
      return this.parts.onChange();
    }
    const isNews = !this.isRefused(known, node);
    known.refusedUntilMs.set(node.name, this.parts.nowMs() + refusedMs);
    if (isNews) this.parts.onChange();
  }

  /** At a node of this database. */
  of(node: NodeConfig, queryTimeoutMs: number): readonly MonitorLogin[] {
    // Clients' pools log in there as somebody else, too.
    if (node.user !== undefined) return [];
    return [...this.byUser.values()]
      .filter((each) => each.secret === this.parts.secretOf(each.user) && !this.isRefused(each, node))
      .map((each) => ({
        key: JSON.stringify(['client', this.parts.databaseName, each.user]),
        rank: BORROWED,
        connect: createLinkConnect(() => this.logIn(node, each), queryTimeoutMs),
      }));
  }

  private isRefused({ refusedUntilMs }: Borrowed, node: NodeConfig): boolean {
    return this.parts.nowMs() < (refusedUntilMs.get(node.name) ?? 0);
  }

  /** In the place of one that is of no use anywhere. */
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
    // Whether it is this role or the server that is full cannot be told.
    const isRefused = error.isFinal || error.isServerFull;
    return new ProbeError(
      `cannot connect as ${user}: ${error.message}`,
      isStopped || error.isStartingUp,
      isRefused && !error.isTransport,
    );
  }
}
