/**
 * What a server sends, message by message: whose it is, what it ends, what Weir itself has to know of it. Hands bytes on
 * in as few pieces as it can. Sends and closes nothing, but for the question how a failed COPY ended (recount.ts).
 * Made by server.ts.
 */
import { Backend, TxStatus, describeType } from '../protocol/codes.ts';
import { AnswerQueue, endsBatch, Owed, type Answer } from '../protocol/answers.ts';
import { FrameScanner, type FrameSink } from '../protocol/scanner.ts';
import { ProtocolError, readErrorFields, readPair } from '../protocol/read.ts';
import type { Holders } from './holders.ts';
import type { Farewell } from './last-words.ts';
import type { LoginResult } from './login-result.ts';
import type { AnswerReceiver } from './receiver.ts';
import { countingMark, Recount } from './recount.ts';
import { Run } from './run.ts';
import { mayStreamMessage, nameSender, readyStatus, sayError, wholeAnswerTo } from './server-options.ts';

/** The connection that the messages come in on. */
export interface MessageSource {
  readonly login: LoginResult;
  send(bytes: Buffer): void;
}

export class Incoming implements FrameSink {
  readonly answers = new AnswerQueue<AnswerReceiver>();
  /** As of the last ReadyForQuery. */
  txStatus: number = TxStatus.Idle;
  /** The beginning of a message to the server was sent, and the rest is still to come. */
  isMidMessage = false;
  private readonly server: MessageSource;
  private readonly holders: Holders;
  private readonly farewell: Farewell;
  private readonly scanner: FrameScanner;
  private readonly relaying = new Run();
  private recount: Recount | undefined;
  /** Receiver of the frame that is being streamed; undefined: nobody. */
  streamFor: AnswerReceiver | undefined;

  constructor(server: MessageSource, holders: Holders, farewell: Farewell) {
    this.server = server;
    this.holders = holders;
    this.farewell = farewell;
    this.scanner = new FrameScanner(this);
  }

  push(chunk: Buffer): void {
    try {
      this.scanner.push(chunk);
      this.relaying.flush();
    } catch (error) {
      this.relaying.drop();
      this.farewell.brokenBy(error);
      throw error;
    }
  }

  /** True: what was undone by `from` happens all the same. */
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
    if (this.recount !== undefined && !this.isMidMessage) this.server.send(countingMark);
    this.sayFakes();
  }

  /** The last piece of a message was sent: now the server can be asked what it has made of those before. */
  messageEnded(): void {
    this.isMidMessage = false;
    if (this.recount !== undefined) this.server.send(countingMark);
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
    if (isNotification) nameSender(buffer, start, this.server.login.processId, receiver?.processId);
    if (type === Backend.ParameterStatus) {
      const [name, value] = readPair(buffer, start + 5, end);
      this.server.login.parameters.set(name, value);
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

  /** Those whose turn it is. */
  sayFakes(): void {
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
