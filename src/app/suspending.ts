/**
 * SUSPEND in this process: clients are not read any more; what they have sent goes on its way; then servers are not read either,
 * and what they have sent goes to the clients. suspend_timeout closes those for whom that takes too long. Made by
 * console-actions.ts; lifecycle.ts ends it before a shutdown.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { Config } from '../config/config.ts';
import { WeirError } from '../errors/errors.ts';
import type { Suspension } from '../net/suspension.ts';
import type { Log } from '../observability/types.ts';
import type { ClientSession } from '../request/client.ts';
import type { ReplicationSession } from '../session/replication.ts';

export interface SuspendingParts {
  config(): Pick<Config, 'suspendTimeoutMs'>;
  readonly clients: {
    sessions(): Iterable<ClientSession>;
    replications(): Iterable<ReplicationSession>;
  };
  readonly directory: { all(): Iterable<{ pools(): Iterable<{ servers(): Iterable<ServerConnection> }> }> };
  readonly services: {
    readonly turn: { readonly suspension: Suspension };
    readonly nowMs: () => number;
    readonly log: Log;
  };
}

/** What is left to do on one connection, and how it is closed if that takes too long. */
interface Unfinished {
  readonly who: 'client' | 'server';
  close(): void;
}

/** Polls for a condition that has no event; console-actions.ts has it. */
type Until = (isDone: () => boolean, signal: AbortSignal) => Promise<void>;

/** States in which Weir itself waits for an answer of the server. */
const ownStates: ReadonlySet<string> = new Set(['being cancelled', 'resetting', 'being checked']);

export class Suspending {
  private readonly parts: SuspendingParts;
  private readonly until: Until;
  private sinceMs = 0;
  private suspends = 0;

  constructor(parts: SuspendingParts, until: Until) {
    this.parts = parts;
    this.until = until;
  }

  private get suspension(): Suspension {
    return this.parts.services.turn.suspension;
  }

  /** Resolves when nothing is left to send. Rejects if RESUME, or the signal, ends it before that. */
  async begin(signal: AbortSignal): Promise<void> {
    const { services } = this.parts;
    if (!this.suspension.isOn) {
      this.sinceMs = services.nowMs();
      this.suspends++;
      this.suspension.begin();
    }
    const mine = this.suspends;
    const isOver = (): boolean => !this.suspension.isOn || this.suspends !== mine;
    this.stopReading('client');
    await this.until(() => isOver() || this.isDone(this.unprocessed()), signal);
    if (!isOver()) this.stopReading('server');
    await this.until(() => isOver() || this.isDone(this.unflushed()), signal);
    if (isOver()) throw new WeirError('console_refused', { what: 'RESUME has ended the SUSPEND' });
  }

  /** Everybody is read again. Does nothing if there is no SUSPEND. */
  end(): void {
    if (!this.suspension.isOn) return;
    this.suspension.end();
    this.regulate();
  }

  private stopReading(side: 'client' | 'server'): void {
    this.suspension.stopReading(side);
    this.regulate();
  }

  private regulate(): void {
    const { clients } = this.parts;
    for (const session of clients.sessions()) session.wire.regulate();
    for (const session of clients.replications()) session.regulate();
    for (const server of this.servers()) server.wire.regulate();
  }

  private *servers(): Iterable<ServerConnection> {
    // Closing one changes the pool.
    for (const database of this.parts.directory.all()) for (const pool of database.pools()) yield* [...pool.servers()];
  }

  private isDone(unfinished: Iterable<Unfinished>): boolean {
    const { suspendTimeoutMs } = this.parts.config();
    const isLate = suspendTimeoutMs > 0 && this.parts.services.nowMs() - this.sinceMs >= suspendTimeoutMs;
    const left = { client: 0, server: 0 };
    for (const each of unfinished) {
      left[each.who]++;
      if (!isLate) return false;
      each.close();
    }
    if (left.client + left.server > 0)
      this.parts.services.log(
        'warn',
        'suspend_timeout',
        'suspend_timeout: connections that were not flushed are closed',
        {
          clients: left.client,
          servers: left.server,
        },
      );
    return true;
  }

  /** Whole messages of clients that wait for a server, or for an answer; and what Weir itself asks servers. */
  private *unprocessed(): Iterable<Unfinished> {
    for (const session of [...this.parts.clients.sessions()]) if (!isProcessed(session)) yield closing(session);
    for (const server of this.servers()) if (ownStates.has(server.state)) yield closingServer(server);
  }

  /** Bytes that have not been sent yet. */
  private *unflushed(): Iterable<Unfinished> {
    for (const session of [...this.parts.clients.sessions()]) if (!session.wire.isDrained) yield closing(session);
    for (const session of [...this.parts.clients.replications()]) if (!session.isFlushed) yield closing(session);
    for (const server of this.servers()) if (!server.wire.isDrained) yield closingServer(server);
  }
}

/** No whole message waits. Of half a message, the rest comes after RESUME. */
const isProcessed = (session: ClientSession): boolean =>
  session.isReady && (session.scanner.restBytes === 0 || session.readsOn);

const closing = (client: { terminate(error: WeirError): void }): Unfinished => ({
  who: 'client',
  close: () => client.terminate(new WeirError('suspend_timeout')),
});

const closingServer = (server: ServerConnection): Unfinished => ({
  who: 'server',
  close: () => server.destroy('suspend_timeout'),
});
