/**
 * Why a log-in to a server failed, sorted into what callers act on. Thrown by backend/login.ts and cancel.ts.
 */
import type { NodeConfig } from '../config/config.ts';

/** The fields of the server's ErrorResponse; or why the server could not be reached, in the same form. */
export interface LoginProblem {
  readonly sqlstate: string;
  readonly severity: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

export class ServerLoginError extends Error {
  readonly node: NodeConfig;
  readonly sqlstate: string;
  readonly severity: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** The server has sent no ErrorResponse: refused, unreachable, timed out, TLS failed, not PostgreSQL. */
  readonly isTransport: boolean;

  constructor(node: NodeConfig, problem: LoginProblem, options: { isTransport?: boolean; cause?: unknown } = {}) {
    super(problem.message, { cause: options.cause });
    this.name = 'ServerLoginError';
    this.node = node;
    this.sqlstate = problem.sqlstate;
    this.severity = problem.severity;
    this.detail = problem.detail;
    this.hint = problem.hint;
    this.isTransport = options.isTransport ?? false;
  }

  /** too_many_connections: another try is useless before connections are closed. */
  get isServerFull(): boolean {
    return this.sqlstate === '53300';
  }

  /** Wrong or missing password, pg_hba.conf. Another try will not help. */
  get isAuth(): boolean {
    return this.sqlstate.startsWith('28');
  }

  get isUnknownDatabase(): boolean {
    return this.sqlstate === '3D000';
  }

  /** Another try of the same log-in would fail the same way: authentication, no such database, no CONNECT privilege. */
  get isFinal(): boolean {
    return this.isAuth || this.isUnknownDatabase || this.sqlstate === '42501';
  }

  /** cannot_connect_now: starting up, shutting down or in recovery. */
  get isStartingUp(): boolean {
    return this.sqlstate === '57P03';
  }
}

/** For what the server has not reported itself: sqlclient_unable_to_establish_sqlconnection. */
export function transportError(node: NodeConfig, message: string, cause?: unknown): ServerLoginError {
  return new ServerLoginError(node, { sqlstate: '08001', severity: 'FATAL', message }, { isTransport: true, cause });
}

/** Weir cannot authenticate in the way that the server asks for. */
export function authError(node: NodeConfig, message: string): ServerLoginError {
  return new ServerLoginError(node, { sqlstate: '28000', severity: 'FATAL', message });
}
