/**
 * One logged-in connection to one PostgreSQL: sends what it is given, and hands every byte that comes back to
 * whoever is owed it (protocol/answers.ts). Decodes only what it must. Does not know clients, pools or routing:
 * a session is an AnswerReceiver, the pool is told through `onClosed`.
 */
import { Backend, TxStatus, describeType } from '../protocol/codes.ts';
import { AnswerQueue, endsBatch, Owed, type Answer } from '../protocol/answers.ts';
import { FrameScanner, type FrameSink } from '../protocol/scanner.ts';
import { ProtocolError, readErrorFields, readPair } from '../protocol/read.ts';
import { terminate } from '../protocol/write.ts';
import { mayReadFor } from '../net/flow.ts';
import { Wire, type WireHandler } from '../net/wire.ts';
import type { NodeConfig } from '../config/config.ts';
import type { ServerState } from '../pool/types.ts';
import { mayStreamMessage, nameSender, readyStatus, sayError, wholeAnswerTo } from './server-options.ts';
import type { ServerOptions } from './server-options.ts';
import { countingMark, Recount } from './recount.ts';
import { runInternal } from './internal-query.ts';
import type { AnswerReceiver } from './receiver.ts';
import { PreparedSet } from './prepared-set.ts';
import { Holders } from './holders.ts';
import { Farewell } from './last-words.ts';
import { Run } from './run.ts';

export type { AnswerReceiver } from './receiver.ts';

export class ServerConnection implements WireHandler, FrameSink {
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
  /** It is being made ready for the next client; resolves when that is over, one way or the other. */
  reset: Promise<void> | undefined;
  /** Custom settings that were ever set on it: not even DISCARD ALL takes them away. */
  customSettings: Set<string> | undefined;
  txStatus: number = TxStatus.Idle;
  state: ServerState = 'idle';
  requestAtMs = 0;
  /** May carry session state that nobody followed: cleaned before another client gets it. */
  isSuspect = false;
  /** To be closed instead of going back to the pool (lifetime, RECONNECT, a cancel that is still under way ...). */
  isCloseNeeded = false;
  /** Its client must keep it (pins of the session). */
  isPinned = false;
  /** When the oldest of the answers it owes began to be owed, ms; how long a lane has stood still. */
  lastReadyAtMs = 0;
  /** The beginning of a message was sent, the rest is still to come: nobody else may speak. */
  isMidMessage = false;
  /** A CancelRequest for it is under way: nobody else may have it until that has arrived. */
  cancelling: Promise<void> | undefined;
  /** Who has it; unsolicited messages go to the last one. */
  readonly holders = new Holders();
  /** Filled by `owe` alone; whoever sends in the middle of a COPY says so there. */
  readonly answers = new AnswerQueue<AnswerReceiver>();
  private readonly scanner: FrameScanner;
  private readonly onClosed: (server: ServerConnection, why: string) => void;
  private readonly relaying = new Run();
  private recount: Recount | undefined;
  /** Receiver of the frame that is being streamed; undefined: nobody. */
  streamFor: AnswerReceiver | undefined;
  /** What the server remarked during log-in, for the client that it was opened for; then empty. */
  notices: readonly Buffer[];
  private readonly farewell = new Farewell();
  private isDead = false;

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
    this.onClosed = options.onClosed;
    this.scanner = new FrameScanner(this);
    this.wire = new Wire(options.link.socket, this, options.turn);
    this.wire.start(options.link.leftover);
  }

  /* ---- requests ---- */

  /** Sends bytes that are a whole message (or a piece of one that was begun). */
  send(bytes: Buffer): void {
    this.wire.send(bytes);
  }

  /** Notes what a message just sent will bring; a Fake whose turn it is is said at once. */
  owe(answer: Answer<AnswerReceiver>): void {
    if (this.isDead) return this.tooLate(answer);
    this.answers.push(answer);
    if (answer.kind === Owed.Fake) this.sayFakes();
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

  get isAlive(): boolean {
    return !this.isDead;
  }

  /** Whose answer is coming, or comes next. */
  get head(): AnswerReceiver | undefined {
    return this.answers.head()?.receiver;
  }

  /** `from` leaves: what it is owed comes to `to`, which has its place. */
  handOver(from: AnswerReceiver, to: AnswerReceiver): void {
    if (this.relaying.isFor(from)) this.relaying.flush();
    if (this.streamFor === from) this.streamFor = to;
    this.holders.replace(from, to);
    // What was undone here happens all the same: nobody knows any more what the server has prepared.
    if (this.answers.handOver(from, to)) this.isCloseNeeded = true;
  }

  /** Runs SQL of Weir's own; rejects with the server's message. The connection must be quiet. */
  run(sql: string): Promise<string | undefined> {
    return runInternal(this, sql);
  }

  /** Says good-bye and closes. */
  close(why: string): void {
    if (this.isDead) return;
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
    try {
      this.scanner.push(chunk);
      this.relaying.flush();
    } catch (error) {
      this.relaying.drop();
      this.farewell.brokenBy(error);
      throw error;
    }
  }

  get mayRead(): boolean {
    return mayReadFor(this.head ?? this.holders.last);
  }

  drained(): void {
    this.holders.drained();
  }

  closed(error: Error | undefined): void {
    if (this.isDead) return;
    this.isDead = true;
    this.state = 'closing';
    const end = this.farewell.end(error);
    const owed = this.answers.drain();
    const receivers = this.holders.withThoseOwed(owed);
    this.onClosed(this, end.why);
    for (const receiver of receivers) receiver.lost(end, receiver === this.streamFor, owed.includes(receiver));
  }

  /* ---- FrameSink ---- */

  mayStream(type: number, size: number): boolean {
    return type === Backend.DataRow || type === Backend.CopyData || mayStreamMessage(type, size);
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (type === Backend.DataRow || type === Backend.CopyData) {
      const head = this.answers.head() ?? this.unexpected(type);
      if (!head.isSkipped) this.relaying.add(head.receiver, buffer, start, end);
    } else this.message(type, buffer, start, end);
    return true;
  }

  begin(type: number, _size: number, buffer: Buffer, start: number, end: number): boolean {
    const head = this.answers.head();
    this.streamFor = head === undefined || head.isSkipped ? this.holders.last : head.receiver;
    this.message(type, buffer, start, end);
    return true;
  }

  more(buffer: Buffer, start: number, end: number, isLast: boolean): boolean {
    if (this.streamFor !== undefined) this.relaying.add(this.streamFor, buffer, start, end);
    if (isLast) this.streamFor = undefined;
    return true;
  }

  /** Everything but rows that arrived whole. */
  private message(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case Backend.ErrorResponse:
        return this.error(buffer, start, end);
      case Backend.NoticeResponse:
      case Backend.NotificationResponse:
      case Backend.ParameterStatus:
        return this.asynchronous(type, buffer, start, end);
    }
    if (this.recount !== undefined) return this.countReady(this.recount, type, buffer, start, end);
    const head = this.answers.head() ?? this.unexpected(type);
    if (!head.isSkipped) this.relaying.add(head.receiver, buffer, start, end);
    switch (type) {
      case Backend.DataRow:
      case Backend.CopyData:
      case Backend.CopyDone:
      case Backend.FunctionCallResponse:
        return;
      case Backend.ParameterDescription:
      case Backend.RowDescription:
      case Backend.NoData:
        if (head.kind === Owed.Describe) this.description(type, head, buffer, start, end);
        return;
      case Backend.CommandComplete:
      case Backend.EmptyQueryResponse:
      case Backend.PortalSuspended:
        if (head.kind !== Owed.Query && head.kind !== Owed.Execute) this.unexpected(type);
        head.receiver.completed(type, head, buffer, start + 5, end);
        if (head.kind === Owed.Execute) this.next();
        return;
      case Backend.CopyInResponse:
      case Backend.CopyBothResponse:
      case Backend.CopyOutResponse:
        if (type !== Backend.CopyOutResponse && !this.answers.copyInStarted()) this.unexpected(type);
        head.receiver.completed(type, head, buffer, start + 5, end);
        return;
      case Backend.ParseComplete:
      case Backend.BindComplete:
      case Backend.CloseComplete:
        if (head.kind !== wholeAnswerTo.get(type)) this.unexpected(type);
        return this.next();
      case Backend.ReadyForQuery:
        return this.readyForQuery(head, readyStatus(buffer.subarray(start + 5, end), this.answers.isInCopy));
      default:
        this.unexpected(type);
    }
  }

  private description(type: number, head: Answer<AnswerReceiver>, buffer: Buffer, start: number, end: number): void {
    if (head.described !== undefined) this.relaying.flush();
    head.noteDescription(type, buffer, start, end);
    if (type !== Backend.ParameterDescription) this.next();
  }

  private readyForQuery(head: Answer<AnswerReceiver>, status: number): void {
    if (!endsBatch(head.kind)) this.unexpected(Backend.ReadyForQuery);
    this.txStatus = status;
    this.farewell.goesOn();
    this.relaying.flush();
    this.next();
    if (!head.isSkipped) head.receiver.ready(status);
  }

  private error(buffer: Buffer, start: number, end: number): void {
    this.relaying.flush();
    const isCut = buffer.readInt32BE(start + 1) + 1 > end - start;
    const fields = readErrorFields(buffer, start + 5, end, isCut);
    if (this.farewell.heardError(fields, isCut, buffer, start, end)) return void (this.streamFor = undefined);
    const head = this.answers.head() ?? this.unexpected(Backend.ErrorResponse);
    sayError(head, fields, isCut, buffer, start, end);
    if (this.answers.failed()) this.recount = new Recount(head.receiver);
    if (this.recount !== undefined && !this.isMidMessage) this.send(countingMark);
    this.sayFakes();
  }

  /** The last piece of a message was sent. */
  messageEnded(): void {
    this.isMidMessage = false;
    if (this.recount !== undefined) this.send(countingMark);
  }

  private countReady(recount: Recount, type: number, buffer: Buffer, start: number, end: number): void {
    const readies = recount.heard(type) ?? this.unexpected(type);
    if (readies === 'more') return;
    this.recount = undefined;
    this.answers.counted();
    this.txStatus = readyStatus(buffer.subarray(start + 5, end), false);
    recount.receiver.recounted?.(readies, this.txStatus);
  }

  /** Messages that can come at any time. */
  private asynchronous(type: number, buffer: Buffer, start: number, end: number): void {
    const head = this.answers.head();
    const isNotification = type === Backend.NotificationResponse;
    const receiver = !isNotification && head?.isSkipped === false ? head.receiver : this.holders.last;
    if (isNotification) nameSender(buffer, start, this.processId, receiver?.processId);
    if (type === Backend.ParameterStatus) {
      const [name, value] = readPair(buffer, start + 5, end);
      this.parameters.set(name, value);
      this.relaying.flush();
      return receiver?.parameterChanged(name, value, buffer.subarray(start, end));
    }
    // By itself: whoever keeps answers back looks at it.
    this.relaying.flush();
    if (type === Backend.NoticeResponse) this.farewell.heardNotice(buffer, start, end, receiver);
    if (receiver !== undefined) this.relaying.add(receiver, buffer, start, end);
    if (type === Backend.NoticeResponse) receiver?.noticed();
  }

  private next(): void {
    this.answers.shift();
    this.sayFakes();
  }

  private sayFakes(): void {
    for (let head = this.answers.head(); head !== undefined; head = this.answers.head()) {
      const { kind, bytes, receiver, reached } = head;
      if (kind !== Owed.Fake) return;
      this.relaying.flush();
      this.answers.shift();
      if (bytes !== undefined) receiver.relay(bytes, 0, bytes.length);
      reached?.();
    }
  }

  private unexpected(type: number): never {
    throw new ProtocolError(`a message ${describeType(type)} that nobody asked for`);
  }
}
