/**
 * Reads what a server sends, message by message: passes each to its receiver, removes answers from the queue, and notes what
 * Weir itself must know, such as the transaction status. Relays bytes in as few pieces as possible. Closes nothing, and sends
 * nothing but the messages that count Syncs when a COPY has failed (sync-count.ts). Made by server.ts.
 */
import { Backend, TxStatus, describeType } from '../protocol/codes.ts';
import { AnswerQueue, endsBatch, Owed, type Answer } from '../protocol/answers.ts';
import { FrameScanner, type FrameSink } from '../protocol/scanner.ts';
import { ProtocolError, readErrorFields, readPair } from '../protocol/read.ts';
import type { Holders } from './holders.ts';
import type { ConnectionEnd } from './connection-end.ts';
import type { LoginResult } from './login-result.ts';
import type { AnswerReceiver } from './receiver.ts';
import { countingMessages, SyncCount } from './sync-count.ts';
import { RelaySpan } from './relay-span.ts';
import { mayStreamMessage, readyStatus, relayError, replaceSenderId, wholeAnswerTo } from './message-rules.ts';

/** The connection that the messages come in on. */
export interface MessageSource {
  readonly login: LoginResult;
  send(bytes: Buffer): void;
}

export class Incoming implements FrameSink {
  readonly answers = new AnswerQueue<AnswerReceiver>();
  /** The transaction status in the last ReadyForQuery (TxStatus). */
  txStatus: number = TxStatus.Idle;
  /** The beginning of a message to the server was sent, and the rest is still to come. */
  isMidMessage = false;
  private readonly server: MessageSource;
  private readonly holders: Holders;
  private readonly connectionEnd: ConnectionEnd;
  private readonly scanner: FrameScanner;
  private readonly relaying = new RelaySpan();
  private syncCount: SyncCount | undefined;
  /** Receiver of the large message that is being relayed in pieces; undefined: there is none. */
  streamFor: AnswerReceiver | undefined;

  constructor(server: MessageSource, holders: Holders, connectionEnd: ConnectionEnd) {
    this.server = server;
    this.holders = holders;
    this.connectionEnd = connectionEnd;
    this.scanner = new FrameScanner(this);
  }

  push(chunk: Buffer): void {
    try {
      this.scanner.push(chunk);
      this.relaying.flush();
    } catch (error) {
      this.relaying.drop();
      this.connectionEnd.messageFailed(error);
      throw error;
    }
  }

  /** The answers owed to `from` go to `to`. True: some were undone (Answer.undo), but the server carries them out. */
  handOver(from: AnswerReceiver, to: AnswerReceiver): boolean {
    if (this.relaying.isFor(from)) this.relaying.flush();
    if (this.streamFor === from) this.streamFor = to;
    this.holders.replace(from, to);
    return this.answers.handOver(from, to);
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

  /** All messages except DataRow and CopyData that have arrived whole. */
  private message(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case Backend.ErrorResponse:
        return this.error(buffer, start, end);
      case Backend.NoticeResponse:
      case Backend.NotificationResponse:
      case Backend.ParameterStatus:
        return this.asynchronous(type, buffer, start, end);
    }
    if (this.syncCount !== undefined) return this.countReady(this.syncCount, type, buffer, start, end);
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
        if (head.kind === Owed.Execute) this.headAnswered();
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
        return this.headAnswered();
      case Backend.ReadyForQuery:
        return this.readyForQuery(head, readyStatus(buffer, start, end, this.answers.isInCopy));
      default:
        this.unexpected(type);
    }
  }

  private description(type: number, head: Answer<AnswerReceiver>, buffer: Buffer, start: number, end: number): void {
    if (head.described !== undefined) this.relaying.flush();
    head.noteDescription(type, buffer, start, end);
    if (type !== Backend.ParameterDescription) this.headAnswered();
  }

  private readyForQuery(head: Answer<AnswerReceiver>, status: number): void {
    if (!endsBatch(head.kind)) this.unexpected(Backend.ReadyForQuery);
    this.txStatus = status;
    this.connectionEnd.answerCame();
    this.relaying.flush();
    this.headAnswered();
    if (!head.isSkipped) head.receiver.ready(status);
  }

  private error(buffer: Buffer, start: number, end: number): void {
    this.relaying.flush();
    const isCut = buffer.readInt32BE(start + 1) + 1 > end - start;
    const fields = readErrorFields(buffer, start + 5, end, isCut);
    if (this.connectionEnd.errorCame(fields, isCut, buffer, start, end)) return void (this.streamFor = undefined);
    const head = this.answers.head() ?? this.unexpected(Backend.ErrorResponse);
    relayError(head, fields, isCut, buffer, start, end);
    if (this.answers.failed()) this.syncCount = new SyncCount(head.receiver);
    if (this.syncCount !== undefined && !this.isMidMessage) this.server.send(countingMessages);
    this.relayFakes();
  }

  /** The last piece of a message to the server was sent. Before that, nothing else could be sent. */
  messageEnded(): void {
    this.isMidMessage = false;
    if (this.syncCount !== undefined) this.server.send(countingMessages);
  }

  private countReady(syncCount: SyncCount, type: number, buffer: Buffer, start: number, end: number): void {
    const readies = syncCount.received(type) ?? this.unexpected(type);
    if (readies === 'more') return;
    this.syncCount = undefined;
    this.answers.counted();
    this.txStatus = readyStatus(buffer, start, end, false);
    syncCount.receiver.recounted?.(readies, this.txStatus);
  }

  /** Messages that can come at any time. */
  private asynchronous(type: number, buffer: Buffer, start: number, end: number): void {
    const head = this.answers.head();
    const isNotification = type === Backend.NotificationResponse;
    const receiver = !isNotification && head?.isSkipped === false ? head.receiver : this.holders.last;
    if (isNotification) replaceSenderId(buffer, start, this.server.login.processId, receiver?.processId);
    if (type === Backend.ParameterStatus) {
      const [name, value] = readPair(buffer, start + 5, end);
      this.server.login.parameters.set(name, value);
      this.relaying.flush();
      return receiver?.parameterChanged(name, value, buffer.subarray(start, end));
    }
    // A notice is relayed by itself: a receiver that holds back an answer looks whether it is the server's final message.
    this.relaying.flush();
    if (type === Backend.NoticeResponse) this.connectionEnd.noticeCame(buffer, start, end, receiver);
    if (receiver !== undefined) this.relaying.add(receiver, buffer, start, end);
    if (type === Backend.NoticeResponse) receiver?.noticed();
  }

  /** The answer at the head of the queue is complete. */
  private headAnswered(): void {
    this.answers.shift();
    this.relayFakes();
  }

  /** Relays Weir's own messages at the head of the queue. */
  relayFakes(): void {
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
