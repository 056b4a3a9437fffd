/**
 * A client with the startup parameter `replication`, and the server connection that is its own from beginning to end: no
 * pool, no routing, no cache. Bytes are passed on as they come, both ways at once (CopyBoth); of the messages only the
 * boundaries are looked at, and whether a command is going on. Made by app/replication.ts.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ReplicationKind } from '../auth/types.ts';
import type { ServerLink } from '../backend/login.ts';
import type { NodeConfig } from '../config/config.ts';
import { WeirError } from '../errors.ts';
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

/** Where the WAL comes from. */
export interface ReplicationServer {
  readonly id: number;
  readonly node: NodeConfig;
  /** Whom it is logged in as. */
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
  /** CancelRequest to the server; resolves when it has arrived. */
  cancel(): Promise<void>;
  /** For a server whose end would not be seen: why it is gone; undefined: it is there, or nobody knows. Never rejects. */
  whyGone(): Promise<string | undefined>;
  /** Both ends are gone or going. */
  onClosed(session: ReplicationSession, why: string): void;
}

/** Longest wait for the end of a message that has begun, before the client is cut off without a word. */
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
  /** What to say to the client as soon as the message that it is getting has ended. */
  private lastWords: Buffer | undefined;
  private isClosed = false;
  /** For so long has the client not been read. */
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
    this.clientSide = new RelaySide(socket, turn, {
      seen: (type) => this.clientSaid(type),
      failed: (error) => this.failed(error, 'protocol_violation'),
      closed: () => this.clientLeft(),
    });
    this.serverSide = new RelaySide(server.link.socket, turn, {
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

  /** `greeting` goes to the client first; then whatever either side has sent ahead. */
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

  /** The client is gone: a walsender that waits or streams is told so, one in the middle of a backup is cut off. */
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
    // After half a message more words would be taken for the rest of it.
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

  /** About once a second. An end that is not read, or does not read, may be gone without anybody noticing. */
  sweep(): void {
    if (this.isClosed) return;
    const client = this.clientSide.wire;
    const server = this.serverSide.wire;
    this.clientUnreadSeconds = client.isReading ? 0 : this.clientUnreadSeconds + 1;
    probeClient(client, this.clientUnreadSeconds, this.serverSide.isBetweenMessages);
    this.stuckServer.sweep(!server.isReading || server.isFull);
  }

  /** Ends both ends: the client is told why, between two messages. */
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

  /** The client's wire closes first, which takes the server's with it. */
  private sayLastWords(): void {
    this.serverSide.stop();
    this.clientSide.wire.end(this.lastWords);
  }

  /** CancelRequest. `done` is called when it has been dealt with. */
  cancel(done: () => void): void {
    if (this.outstanding === 0) return done();
    void this.options.cancel().then(done, done);
  }

  /** Nothing is lost if it ends now: no command is going on, or one that streams until somebody stops it. */
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
