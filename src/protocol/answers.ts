/**
 * The answers that a server connection still owes, in order, and the receiver of each. Pipelining, COPY FROM STDIN and
 * the skipping of messages until Sync after an error are all represented here. Callers pass what they send and what
 * they receive; the queue tells which request a message answers. Source: PostgreSQL manual, "Message Flow".
 */
import { Ring } from '../util/ring.ts';
import { Backend } from './codes.ts';
import { descriptionFrames, resultTypeOf, type Description } from './description.ts';

/** What was sent to the server. */
export const Owed = {
  Query: 0,
  Parse: 1,
  Bind: 2,
  Describe: 3,
  Execute: 4,
  Close: 5,
  Sync: 6,
  FunctionCall: 7,
  /** Nothing was sent: a message from Weir to the client that has to come at this place, or a callback. */
  Fake: 8,
} as const;
export type OwedKind = (typeof Owed)[keyof typeof Owed];

/** One owed answer. `R` is the type of the receiver. */
export class Answer<R> {
  readonly kind: OwedKind;
  receiver: R;
  /** Sent by Weir itself: its answer is not relayed, except for an error in a client's batch. */
  readonly isSkipped: boolean;
  /** Fake: the message to the client. Otherwise: an ErrorResponse to send instead of the server's. */
  readonly bytes: Buffer | undefined;
  /** Called if the request was not done: the server skipped it (isSkipped), or it failed. */
  undo: ((isSkipped: boolean) => void) | undefined;
  /** For the receiver's own use. */
  readonly context: unknown;
  /** A name that may occur in an error of this answer, and the client's own name for it. */
  readonly renamed: readonly [from: string, to: string] | undefined;
  /** Describe of a statement: called with the description, before later messages are relayed. */
  described: ((description: Description) => void) | undefined;
  /** Fake: called when everything before it has been answered. */
  reached: (() => void) | undefined;
  /** Query, Execute: the answer may be CopyInResponse. Nothing more is sent before that is known. */
  mayCopyIn = false;
  private parameters: Buffer | undefined;

  constructor(
    kind: OwedKind,
    receiver: R,
    isSkipped = false,
    bytes?: Buffer,
    undo?: (isSkipped: boolean) => void,
    context?: unknown,
    renamed?: readonly [from: string, to: string],
  ) {
    this.kind = kind;
    this.receiver = receiver;
    this.isSkipped = isSkipped;
    this.bytes = bytes;
    this.undo = undo;
    this.context = context;
    this.renamed = renamed;
  }

  /** Takes a ParameterDescription, then a RowDescription or NoData; the whole frame is buffer[start, end). */
  noteDescription(type: number, buffer: Buffer, start: number, end: number): void {
    const { described, parameters } = this;
    if (described === undefined) return;
    if (type === Backend.ParameterDescription) this.parameters = Buffer.from(buffer.subarray(start + 5, end));
    else if (parameters !== undefined) {
      const resultType = resultTypeOf(type, buffer, start, end);
      described({ parameters, resultType, frames: descriptionFrames(parameters, buffer.subarray(start, end)) });
    }
  }
}

/**
 * State of a COPY FROM STDIN of the head of the queue. data: the server takes CopyData, and ignores Sync and Flush.
 * ended: CopyDone or CopyFail was sent. counting: it has failed, and it is not known after which of the Syncs among
 * its data.
 */
type CopyState = 'none' | 'data' | 'ended' | 'counting';

/** The server answers it with ReadyForQuery. */
export function endsBatch(kind: OwedKind): boolean {
  return kind === Owed.Sync || kind === Owed.Query || kind === Owed.FunctionCall;
}

export class AnswerQueue<R> {
  private readonly queue = new Ring<Answer<R>>();
  /** After an error, the server skips all messages until a Sync that was not sent yet. */
  private skipsToSync = false;
  private copy: CopyState = 'none';
  /** Syncs that were sent among the data of the COPY. */
  private straySyncs = 0;
  /**
   * A batch of the extended protocol was begun and its Sync not sent yet: if the batch fails, the server skips a Query
   * as well.
   */
  private isBatchOpen = false;

  get length(): number {
    return this.queue.length;
  }

  /** No answer is owed and no batch or COPY is open: outside of a transaction, the server may be released. */
  get isQuiet(): boolean {
    return this.queue.length === 0 && !this.skipsToSync && this.copy === 'none';
  }

  /** A batch of the extended protocol has failed, and its Sync was not sent yet. */
  get isSkippingToSync(): boolean {
    return this.skipsToSync;
  }

  get isInCopy(): boolean {
    return this.copy === 'data';
  }

  /** The data of a COPY FROM STDIN have all been sent. */
  get hasCopied(): boolean {
    return this.copy === 'ended';
  }

  /** A COPY has failed, and the caller has to count ReadyForQuery messages: see failed(). */
  get isCounting(): boolean {
    return this.copy === 'counting';
  }

  /** Whether the server will take or skip the next message is known only after its next answer. */
  get isUnsure(): boolean {
    if (this.copy === 'counting' || (this.copy === 'ended' && this.straySyncs > 0)) return true;
    return this.copy !== 'data' && this.queue.last()?.mayCopyIn === true;
  }

  get isInBatch(): boolean {
    return this.isBatchOpen;
  }

  head(): Answer<R> | undefined {
    return this.queue.peek();
  }

  /** Must be called for everything that is sent to the server, in order. */
  push(answer: Answer<R>): void {
    if (this.skipsToSync) {
      if (answer.kind !== Owed.Sync) {
        answer.undo?.(true);
        return;
      }
      this.skipsToSync = false;
    }
    this.isBatchOpen = !endsBatch(answer.kind);
    this.queue.push(answer);
  }

  /** Removes the head, whose answer is complete. */
  shift(): void {
    this.queue.shift();
    this.noCopy();
  }

  private noCopy(): void {
    this.copy = 'none';
    this.straySyncs = 0;
  }

  /**
   * Notes a CopyInResponse. A Query may cause several, an Execute one.
   * @returns false if the head of the queue cannot have caused it, which is a protocol violation
   */
  copyInStarted(): boolean {
    const head = this.queue.peek();
    if (head?.mayCopyIn !== true) return false;
    this.noCopy();
    this.copy = 'data';
    if (head.kind === Owed.Execute) head.mayCopyIn = false;
    return true;
  }

  /** Notes a Sync sent among the data of a COPY: the server ignores it, unless the COPY has failed before. */
  syncInCopy(): void {
    this.straySyncs++;
  }

  /** Notes that CopyDone or CopyFail was sent. */
  copyEnded(): void {
    this.copy = 'ended';
  }

  /**
   * Notes an ErrorResponse. In a batch, the server answers nothing more up to the Sync: these answers are removed and
   * undone, the last first. A Query or FunctionCall that fails still owes ReadyForQuery, so nothing changes.
   * @returns whether the caller has to count ReadyForQuery messages: a COPY has failed, and the server answers each
   * Sync among its data that it has read since
   */
  failed(): boolean {
    const isUnsure = this.straySyncs > 0;
    this.noCopy();
    this.dropBatch();
    if (isUnsure) this.copy = 'counting';
    return isUnsure;
  }

  /** The ReadyForQuery messages were counted: no answer is owed any more. */
  counted(): void {
    this.noCopy();
    this.queue.clear();
    this.skipsToSync = this.isBatchOpen = false;
  }

  private dropBatch(): void {
    const failing = this.queue.peek();
    if (failing !== undefined && endsBatch(failing.kind)) return;
    const dropped: Answer<R>[] = [];
    for (let head = this.queue.peek(); head?.kind !== Owed.Sync; head = this.queue.peek()) {
      if (head === undefined) {
        this.skipsToSync = true;
        break;
      }
      dropped.push(head);
      this.queue.shift();
    }
    for (let last = dropped.pop(); last !== undefined; last = dropped.pop()) last.undo?.(dropped.length > 0);
  }

  /** All receivers in the queue but the receiver of the head. */
  behindHead(): R[] {
    const receivers = new Set<R>();
    for (let i = 1; i < this.queue.length; i++) receivers.add((this.queue.at(i) as Answer<R>).receiver);
    const head = this.head();
    if (head !== undefined) receivers.delete(head.receiver);
    return [...receivers];
  }

  /**
   * Makes `to` the receiver of everything owed to `from`, and calls undo for each, although the server will still do
   * it.
   * @returns whether there was anything to undo
   */
  handOver(from: R, to: R): boolean {
    let isUndone = false;
    for (let i = 0; i < this.queue.length; i++) {
      const answer = this.queue.at(i) as Answer<R>;
      if (answer.receiver !== from) continue;
      answer.receiver = to;
      isUndone ||= answer.undo !== undefined;
      answer.undo?.(true);
      answer.undo = answer.described = undefined;
    }
    return isUndone;
  }

  /** Empties the queue after the connection was lost, and undoes everything. @returns each receiver once, in order */
  drain(): R[] {
    const receivers = new Set<R>();
    for (let answer = this.queue.shift(); answer !== undefined; answer = this.queue.shift()) {
      answer.undo?.(true);
      receivers.add(answer.receiver);
    }
    return [...receivers];
  }
}
