/**
 * A connection to PostgreSQL after its log-in: sends messages, notes which answers they bring, and moves through the states of
 * server-state.ts. incoming.ts reads the answers. Does not know clients, pools or routing: a client is an AnswerReceiver, and
 * the pool is told of the end through ServerOwner. Made by app/server-logins.ts.
 */
import { Owed, type Answer, type AnswerQueue } from '../protocol/answers.ts';
import { TxStatus } from '../protocol/codes.ts';
import { terminate } from '../protocol/write.ts';
import { mayReadFor } from '../net/flow.ts';
import { Wire, type WireHandler } from '../net/wire.ts';
import type { NodeConfig } from '../config/config.ts';
import type { ServerOptions, ServerOwner } from './server-options.ts';
import { nextServerState, type ServerEvent, type ServerState } from './server-state.ts';
import { Incoming, type MessageSource } from './incoming.ts';
import { runInternal } from './internal-query.ts';
import type { AnswerReceiver } from './receiver.ts';
import { LoginResult } from './login-result.ts';
import type { PreparedSet } from './prepared-set.ts';
import { ServerSessionState } from './server-session-state.ts';
import { Holders } from './holders.ts';
import { ConnectionEnd } from './connection-end.ts';

export type { AnswerReceiver } from './receiver.ts';

export class ServerConnection implements WireHandler, MessageSource {
  readonly id: number;
  readonly node: NodeConfig;
  readonly login: LoginResult;
  readonly sessionState: ServerSessionState;
  readonly wire: Wire;
  /** The clients that have it; messages that nobody asked for go to the last of them. */
  readonly holders = new Holders();
  /** When it was last handed out, its CancelRequest arrived, or it became idle. A reset does not change it. */
  requestAtMs = 0;
  /** When its last ReadyForQuery came, or its lane was opened: how long its oldest answer has taken (pool/lanes.ts). */
  lastReadyAtMs = 0;
  /** It must be closed instead of going to another client: server_lifetime, RECONNECT, LOAD, other settings after a reload. */
  isCloseNeeded = false;
  /** While a CancelRequest to it is under way. No other client gets it before that has arrived. */
  cancelling: Promise<void> | undefined;
  private readonly owner: ServerOwner<ServerConnection>;
  private readonly connectionEnd = new ConnectionEnd();
  private readonly incoming: Incoming;
  private current: ServerState = 'login';
  private lastReset: Promise<void> | undefined;

  constructor(options: ServerOptions<ServerConnection>) {
    this.id = options.id;
    this.node = options.node;
    this.login = new LoginResult(options.link, options.nowMs);
    this.sessionState = new ServerSessionState(options.maxPreparedStatements);
    this.owner = options.owner;
    this.incoming = new Incoming(this, this.holders, this.connectionEnd);
    this.wire = new Wire(options.link.socket, this, options.turn);
    this.wire.start(options.link.leftover);
  }

  get processId(): number {
    return this.login.processId;
  }

  get secretKey(): Buffer {
    return this.login.secretKey;
  }

  get connectedAtMs(): number {
    return this.login.connectedAtMs;
  }

  get prepared(): PreparedSet {
    return this.sessionState.prepared;
  }

  /* ---- state ---- */

  get state(): ServerState {
    return this.current;
  }

  /**
   * Moves the connection to its next state. False: the table has no such move, so there is a bug; it was counted, and this
   * one connection is closed.
   */
  move(event: ServerEvent): boolean {
    const next = nextServerState(this.current, event);
    if (next === undefined) {
      const why = `a server connection in the state "${this.current}" had the event "${event}"`;
      this.owner.unexpected(new Error(why));
      this.destroy(why);
      return false;
    }
    this.current = next;
    return true;
  }

  get isAlive(): boolean {
    return this.current !== 'closed';
  }

  /** Otherwise the server, or the network, has ended it. */
  get isClosedByWeir(): boolean {
    return this.connectionEnd.isByWeir;
  }

  /** While it is being reset: resolves when that is over, one way or the other. */
  get reset(): Promise<void> | undefined {
    return this.current === 'resetting' ? this.lastReset : undefined;
  }

  set reset(over: Promise<void> | undefined) {
    this.lastReset = over;
  }

  /** A CancelRequest was sent to it: no other client gets it until that has arrived. */
  cancelSent(arrived: Promise<void>): void {
    const all = Promise.all([this.cancelling, arrived]).then(() => {
      if (this.cancelling === all) this.cancelling = undefined;
    });
    this.cancelling = all;
  }

  /* ---- requests ---- */

  /** Sends a whole message, or a piece of one. */
  send(bytes: Buffer): void {
    this.wire.send(bytes);
  }

  /** Notes the answer that a message will bring. A Fake (a message of Weir's own with its place in the queue) is relayed once it comes first. */
  owe(answer: Answer<AnswerReceiver>): void {
    if (!this.isAlive) return this.sentTooLate(answer);
    this.answers.push(answer);
    if (answer.kind === Owed.Fake) this.incoming.relayFakes();
    if (!this.wire.isReading) this.wire.regulate();
  }

  /** The connection was closed before the message was sent: its receiver is told so. */
  private sentTooLate({ receiver, undo }: Answer<AnswerReceiver>): void {
    undo?.(true);
    this.holders.sentTooLate(receiver, (each) => each.lost(this.connectionEnd.end(), false, true));
  }

  /** How many clients have it. More than one only in a lane (pool/lanes.ts), or until they have left a lane that was closed. */
  get sharers(): number {
    return this.holders.count;
  }

  /** The answers that it owes. Only owe() adds to them; what is sent during a COPY is noted with the methods of the queue. */
  get answers(): AnswerQueue<AnswerReceiver> {
    return this.incoming.answers;
  }

  /** The transaction status in the last ReadyForQuery (TxStatus). */
  get txStatus(): number {
    return this.incoming.txStatus;
  }

  /** The beginning of a message was sent, and the rest is still to come: nothing else may be sent meanwhile. */
  get isMidMessage(): boolean {
    return this.incoming.isMidMessage;
  }

  set isMidMessage(isMidMessage: boolean) {
    this.incoming.isMidMessage = isMidMessage;
  }

  /** The receiver has got the beginning of a message, and the rest is still to come. */
  isStreamingTo(receiver: AnswerReceiver): boolean {
    return this.incoming.streamFor === receiver;
  }

  /** No answer is owed, and no message, batch or COPY has begun that has not ended. */
  get isQuiet(): boolean {
    return this.answers.isQuiet && !this.isMidMessage;
  }

  /** Its client keeps it and asks nothing: idle in transaction, or pinned. */
  get isKeptIdle(): boolean {
    return this.isQuiet && (this.incoming.txStatus !== TxStatus.Idle || this.holders.last?.isPinned === true);
  }

  /** The receiver of the next answer. */
  get head(): AnswerReceiver | undefined {
    return this.answers.head()?.receiver;
  }

  /** Receiver of the large message that is being relayed in pieces; undefined: there is none. */
  get streamFor(): AnswerReceiver | undefined {
    return this.incoming.streamFor;
  }

  /** The last piece of a message was sent (isMidMessage). */
  messageEnded(): void {
    this.incoming.messageEnded();
  }

  /** `to` takes the place of `from` among the holders, and gets the answers that are owed to it. */
  handOver(from: AnswerReceiver, to: AnswerReceiver): void {
    // The server still carries out what was undone here, so Weir no longer knows which prepared statements it has.
    if (this.incoming.handOver(from, to)) this.isCloseNeeded = true;
  }

  /**
   * Runs SQL of Weir's own. The connection must be quiet.
   * @returns the first value of the first row. Rejects with the server's message, or why the connection was lost
   */
  run(sql: string): Promise<string | undefined> {
    return runInternal(this, sql);
  }

  /** Sends Terminate and closes. */
  close(why: string): void {
    if (!this.isAlive) return;
    this.connectionEnd.closedByWeir(why);
    this.wire.end(terminate);
  }

  /** Closes at once, without Terminate: half a message was sent, or the connection is of no use any more. */
  destroy(why: string): void {
    this.connectionEnd.closedByWeir(why);
    this.wire.destroy();
  }

  /* ---- WireHandler ---- */

  get side(): 'server' {
    return 'server';
  }

  received(chunk: Buffer): void {
    this.incoming.push(chunk);
  }

  get mayRead(): boolean {
    return mayReadFor(this.head ?? this.holders.last);
  }

  drained(): void {
    this.holders.drained();
  }

  closed(error: Error | undefined): void {
    if (!this.isAlive) return;
    this.move('closed');
    const end = this.connectionEnd.end(error);
    const owed = this.answers.drain();
    const receivers = this.holders.toBeTold(owed);
    this.owner.closed(this, end.why);
    for (const receiver of receivers) receiver.lost(end, receiver === this.incoming.streamFor, owed.includes(receiver));
  }
}
