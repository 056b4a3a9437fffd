/**
 * One logged-in connection to one PostgreSQL: sends what it is given, and notes what is owed for it; what comes back is
 * incoming.ts's. Does not know clients, pools or routing: a session is an AnswerReceiver, the pool is told through
 * `onClosed`.
 */
import { TxStatus } from '../protocol/codes.ts';
import { Owed, type Answer, type AnswerQueue } from '../protocol/answers.ts';
import { terminate } from '../protocol/write.ts';
import { mayReadFor } from '../net/flow.ts';
import { Wire, type WireHandler } from '../net/wire.ts';
import type { NodeConfig } from '../config/config.ts';
import type { ServerOptions, ServerOwner } from './server-options.ts';
import { nextServerState, type ServerEvent, type ServerState } from './server-state.ts';
import { Incoming, type Speaker } from './incoming.ts';
import { runInternal } from './internal-query.ts';
import type { AnswerReceiver } from './receiver.ts';
import { PreparedSet } from './prepared-set.ts';
import { Holders } from './holders.ts';
import { Farewell } from './last-words.ts';

export type { AnswerReceiver } from './receiver.ts';

export class ServerConnection implements WireHandler, Speaker {
  readonly id: number;
  readonly node: NodeConfig;
  readonly processId: number;
  readonly secretKey: Buffer;
  readonly hasTls: boolean;
  readonly connectedAtMs: number;
  readonly prepared: PreparedSet;
  readonly wire: Wire;
  /** What the server reports (ParameterStatus). */
  readonly parameters: Map<string, string>;
  /** Identity of the settings that were replayed onto it; compared by session/settings.ts. */
  settings: unknown = undefined;
  /** Identity of the unnamed statement that it holds. */
  unnamed: unknown = undefined;
  /** Whose values of sequences it knows (session/concerns/sequences.ts). */
  sequencesOf: object | 'several' | undefined;
  /** Custom settings that were ever set on it: not even DISCARD ALL takes them away. */
  customSettings: Set<string> | undefined;
  txStatus: number = TxStatus.Idle;
  requestAtMs = 0;
  /** May carry session state that nobody followed: cleaned before another client gets it. */
  isSuspect = false;
  /** To be closed instead of going back to the pool (lifetime, RECONNECT, a cancel that is still under way ...). */
  isCloseNeeded = false;
  /** When the oldest of the answers it owes began to be owed, ms; how long a lane has stood still. */
  lastReadyAtMs = 0;
  /** The beginning of a message was sent, the rest is still to come: nobody else may speak. */
  isMidMessage = false;
  /** A CancelRequest for it is under way: nobody else may have it until that has arrived. */
  cancelling: Promise<void> | undefined;
  /** Who has it; unsolicited messages go to the last one. */
  readonly holders = new Holders();
  /** Filled by `owe` alone; whoever sends in the middle of a COPY says so there. */
  readonly answers: AnswerQueue<AnswerReceiver>;
  private readonly owner: ServerOwner<ServerConnection>;
  /** What the server remarked during log-in, for the client that it was opened for; then empty. */
  notices: readonly Buffer[];
  private readonly farewell = new Farewell();
  private readonly incoming: Incoming;
  private current: ServerState = 'login';
  private lastReset: Promise<void> | undefined;

  constructor(options: ServerOptions<ServerConnection>) {
    this.id = options.id;
    this.node = options.node;
    this.processId = options.link.processId;
    this.secretKey = options.link.secretKey;
    this.hasTls = options.link.hasTls;
    this.parameters = options.link.parameters;
    this.notices = options.link.notices;
    this.connectedAtMs = options.nowMs;
    this.prepared = new PreparedSet(options.maxPreparedStatements);
    this.owner = options.owner;
    this.incoming = new Incoming(this, this.holders, this.farewell);
    this.answers = this.incoming.answers;
    this.wire = new Wire(options.link.socket, this, options.turn);
    this.wire.start(options.link.leftover);
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

  /** Sends bytes that are a whole message (or a piece of one that was begun). */
  send(bytes: Buffer): void {
    this.wire.send(bytes);
  }

  /** Notes what a message just sent will bring; a Fake whose turn it is is said at once. */
  owe(answer: Answer<AnswerReceiver>): void {
    if (!this.isAlive) return this.tooLate(answer);
    this.answers.push(answer);
    if (answer.kind === Owed.Fake) this.incoming.sayFakes();
    if (!this.wire.isReading) this.wire.regulate();
  }

  /** What was sent went nowhere: whoever waits for its answer is told so. */
  private tooLate({ receiver, undo }: Answer<AnswerReceiver>): void {
    undo?.(true);
    this.holders.tooLate(receiver, (each) => each.lost(this.farewell.end(), false, true));
  }

  /** How many have it: more than one only in a lane (pool/lanes.ts). */
  get sharers(): number {
    return this.holders.count;
  }

  get isQuiet(): boolean {
    return this.answers.isQuiet && !this.isMidMessage;
  }

  /** Whose answer is coming, or comes next. */
  get head(): AnswerReceiver | undefined {
    return this.answers.head()?.receiver;
  }

  /** Receiver of the frame that is being streamed; undefined: nobody. */
  get streamFor(): AnswerReceiver | undefined {
    return this.incoming.streamFor;
  }

  /** The last piece of a message was sent. */
  messageEnded(): void {
    this.isMidMessage = false;
    this.incoming.messageEnded();
  }

  /** `from` leaves: what it is owed comes to `to`, which has its place. */
  handOver(from: AnswerReceiver, to: AnswerReceiver): void {
    // What was undone here happens all the same: nobody knows any more what the server has prepared.
    if (this.incoming.handOver(from, to)) this.isCloseNeeded = true;
  }

  /** Runs SQL of Weir's own; rejects with the server's message. The connection must be quiet. */
  run(sql: string): Promise<string | undefined> {
    return runInternal(this, sql);
  }

  /** Says good-bye and closes. */
  close(why: string): void {
    if (!this.isAlive) return;
    this.farewell.byUs(why);
    this.wire.end(terminate);
  }

  /** Closes without a word: half a request was sent, or the server is not to be trusted any more. */
  destroy(why: string): void {
    this.farewell.byUs(why);
    this.wire.destroy();
  }

  /* ---- WireHandler ---- */

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
    const end = this.farewell.end(error);
    const owed = this.answers.drain();
    const receivers = this.holders.withThoseOwed(owed);
    this.owner.closed(this, end.why);
    for (const receiver of receivers) receiver.lost(end, receiver === this.incoming.streamFor, owed.includes(receiver));
  }
}
