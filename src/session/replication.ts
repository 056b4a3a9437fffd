/**
 * A client with the startup parameter `replication`, and the server connection that it has to itself: no pool, no
 * routing, no cache. Relays bytes both ways at once (CopyBoth); looks only at message boundaries and at whether a
 * command is running. Made by app/replication.ts.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ReplicationKind } from '../auth/types.ts';
import type { ServerLink } from '../backend/login.ts';
import type { NodeConfig } from '../config/config.ts';
import { WeirError } from '../errors/errors.ts';
import type { TurnWriter } from '../net/turn.ts';
import { Backend, Frontend } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import { errorResponse, terminate } from '../protocol/write.ts';
import type { ShownServerState } from '../pool/types.ts';
import type { ClientIdentity } from './client-record.ts';
import { probeClient } from './probe-unread.ts';
import { RelaySide } from './relay-side.ts';
import { StuckServer } from './stuck-server.ts';
import type { ClientStats } from './types.ts';

/** The server connection of a replication client. */
export interface ReplicationServer {
  readonly id: number;
  readonly node: NodeConfig;
  /** The role with which Weir logged in. */
  readonly user: string;
  readonly link: ServerLink;
}

export interface ReplicationOptions {
  readonly identity: ClientIdentity;
  readonly kind: ReplicationKind;
  readonly database: string;
  readonly applicationName: string;
  readonly server: ReplicationServer;
  readonly turn: TurnWriter;
  nowMs(): number;
  /** Sends a CancelRequest to the server; resolves when it has arrived. */
  cancel(): Promise<void>;
  /**
   * Why the server is gone, for a server whose end would go unnoticed; undefined: it is there, or that is not known.
   * Never rejects.
   */
  whyGone(): Promise<string | undefined>;
  /** Both sides are closed or being closed. */
  onClosed(session: ReplicationSession, why: string): void;
}

/** How long to wait for the end of a half-sent message before the client is closed without an error. */
const lastWordsMs = 5_000;
const commands: ReadonlySet<number> = new Set([Frontend.Query, Frontend.Sync, Frontend.FunctionCall]);

export class ReplicationSession {
  readonly identity: ClientIdentity;
  readonly kind: ReplicationKind;
  readonly database: string;
  readonly server: ReplicationServer;
  readonly connectedAtMs: number;
  requestAtMs: number;
  private readonly options: ReplicationOptions;
  private readonly clientSide: RelaySide;
  private readonly serverSide: RelaySide;
  /** Commands without their ReadyForQuery. */
  private outstanding = 0;
  private isStreaming = false;
  /** The error to send to the client once the message being relayed to it has ended. */
  private lastWords: Buffer | undefined;
  private isClosed = false;
  /** How long the client's socket has not been read. */
  private clientUnreadSeconds = 0;
  private readonly stuckServer: StuckServer;

  constructor(socket: Socket | TLSSocket, options: ReplicationOptions) {
    const { identity, kind, database, server, turn } = options;
    this.options = options;
    this.identity = identity;
    this.kind = kind;
    this.database = database;
    this.server = server;
    this.connectedAtMs = this.requestAtMs = options.nowMs();
    this.clientSide = new RelaySide('client', socket, turn, {
      seen: (type) => this.clientSaid(type),
      failed: (error) => this.failed(error, 'protocol_violation'),
      closed: () => this.clientLeft(),
    });
    this.serverSide = new RelaySide('server', server.link.socket, turn, {
      seen: (type) => this.serverSaid(type),
      failed: (error) => this.failed(error, 'server_protocol_violation'),
      closed: (error) => this.serverLeft(error?.message ?? 'the server closed the connection'),
    });
    this.stuckServer = new StuckServer(
      () => options.whyGone(),
      (why) => {
        this.serverLeft(why);
        this.serverSide.wire.destroy();
      },
    );
    this.clientSide.relayTo(this.serverSide);
    this.serverSide.relayTo(this.clientSide);
  }

  /**
   * @param greeting sent to the client first
   * @param leftover bytes that the client sent after its log-in
   */
  start(greeting: Buffer, leftover: Buffer): void {
    this.clientSide.wire.send(greeting);
    this.serverSide.wire.start(this.server.link.leftover);
    this.clientSide.wire.start(leftover);
  }

  private clientSaid(type: number): void {
    if (!commands.has(type)) return;
    this.outstanding++;
    this.requestAtMs = this.options.nowMs();
  }

  private serverSaid(type: number): void {
    if (type === Backend.CopyBothResponse) this.isStreaming = true;
    if (type === Backend.ReadyForQuery) {
      this.isStreaming = false;
      if (this.outstanding > 0) this.outstanding--;
    }
    if (this.lastWords !== undefined) this.sayLastWords();
  }

  /** The client is gone: ends an idle or streaming walsender with Terminate, and cancels any other command. */
  private clientLeft(): void {
    if (this.isClosed) return;
    this.leave(this.lastWords === undefined ? 'the client left' : 'Weir has ended it');
    const { wire } = this.serverSide;
    if (this.isIdle && this.clientSide.isBetweenMessages) return wire.end(terminate);
    if (!this.isIdle) void this.options.cancel();
    wire.destroy();
  }

  private serverLeft(why: string): void {
    if (this.isClosed) return;
    this.leave(why);
    const isTold = this.serverSide.hasSaid(Backend.ErrorResponse) || this.clientSide.hasSaid(Frontend.Terminate);
    const words = isTold ? undefined : errorResponse(new WeirError('replication_lost', { why }));
    // After half a message, an error would be taken for the rest of it.
    this.clientSide.wire.end(this.serverSide.isBetweenMessages ? (this.lastWords ?? words) : undefined);
  }

  private failed(error: Error, violation: 'protocol_violation' | 'server_protocol_violation'): void {
    const name = error instanceof ProtocolError ? violation : 'internal_error';
    this.terminate(new WeirError(name, { what: error.message }));
  }

  private leave(why: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.options.onClosed(this, why);
  }

  /** Called about once a second. A side that is not read, or does not read, may be gone unnoticed. */
  sweep(): void {
    if (this.isClosed) return;
    const client = this.clientSide.wire;
    const server = this.serverSide.wire;
    this.clientUnreadSeconds = client.isReading ? 0 : this.clientUnreadSeconds + 1;
    probeClient(client, this.clientUnreadSeconds, this.serverSide.isBetweenMessages);
    this.stuckServer.sweep(!server.isReading || server.isFull);
  }

  /** Closes both sides. The client gets the error, between two messages. */
  terminate(error: WeirError): void {
    if (this.isClosed || this.lastWords !== undefined) return;
    const { sqlstate, message, detail, hint } = error;
    this.lastWords = errorResponse({ severity: 'FATAL', sqlstate, message, detail, hint });
    if (this.serverSide.isBetweenMessages) return this.sayLastWords();
    const deadline = setTimeout(() => {
      this.clientSide.wire.destroy();
      this.serverSide.wire.destroy();
    }, lastWordsMs);
    deadline.unref();
  }

  /** Closes the client's side; its `closed` closes the server's. */
  private sayLastWords(): void {
    this.serverSide.stop();
    this.clientSide.wire.end(this.lastWords);
  }

  /** Handles a CancelRequest. `done` is called when it was processed. */
  cancel(done: () => void): void {
    if (this.outstanding === 0) return done();
    void this.options.cancel().then(done, done);
  }

  /** Asks whether either side may be read. Call it when SUSPEND has begun, goes on to servers, or ends. */
  regulate(): void {
    this.clientSide.wire.regulate();
    this.serverSide.wire.regulate();
  }

  /** Everything that was read is sent. */
  get isFlushed(): boolean {
    return this.clientSide.wire.isDrained && this.serverSide.wire.isDrained;
  }

  /** The session can end without loss: no command is running, or only one that streams until it is stopped. */
  get isIdle(): boolean {
    return this.outstanding === 0 || this.isStreaming;
  }

  get receivedBytes(): number {
    return this.clientSide.wire.receivedBytes;
  }

  get sentBytes(): number {
    return this.clientSide.wire.sentBytes;
  }

  get serverState(): ShownServerState {
    return this.outstanding > 0 ? 'active' : 'idle';
  }

  stats(): ClientStats {
    const { identity, server, options } = this;
    const epoch = Date.now() - options.nowMs();
    return {
      id: identity.id,
      database: this.database,
      user: identity.user,
      replication: this.kind,
      state: this.outstanding > 0 ? 'active' : 'idle',
      host: identity.remoteAddress,
      port: identity.remotePort,
      hasTls: identity.hasTls,
      applicationName: options.applicationName,
      connectedAtMs: epoch + identity.connectedAtMs,
      requestAtMs: epoch + this.requestAtMs,
      waitMs: 0,
      serverId: server.id,
      node: server.node.name,
      pins: [],
      preparedStatements: 0,
      lastRoute: `${server.node.name}; replication connection; not cached`,
    };
  }
}
