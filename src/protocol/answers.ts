/**
 * The queue of owed answers: what a server connection still has to say, in order, and to whom it goes.
 * Pipelines, COPY and skip-until-Sync are contents of this queue, not states of anybody. Pure: fed with the types
 * of messages, it says what each belongs to. Source: PostgreSQL manual, "Message Flow".
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
  /** Nothing was sent: Weir's own words to the client, in their place, or a mark in the queue. */
  Fake: 8,
} as const;
export type OwedKind = (typeof Owed)[keyof typeof Owed];

/** One owed answer. `R` is whoever receives it. */
export class Answer<R> {
  readonly kind: OwedKind;
  receiver: R;
  /** Asked for by Weir: its messages go to nobody (but an error in a client's batch is the client's). */
  readonly isSkipped: boolean;
  /** Fake: what to say. Otherwise: the ErrorResponse to say in place of the server's, which has the statement no more. */
  readonly bytes: Buffer | undefined;
  /** What to call when it turns out that it did not happen: the server skipped it, or it failed itself. */
  undo: ((isSkipped: boolean) => void) | undefined;
  /** The receiver's own note on what this belongs to. */
  readonly context: unknown;
  /** A name that an error of this answer may speak of, and what the client calls it. */
  readonly renamed: readonly [from: string, to: string] | undefined;
  /** Describe of a statement: what to call with what the server says of it, before whatever follows is relayed. */
  described: ((description: Description) => void) | undefined;
  /** Fake: what to call when everything before it was answered. */
  reached: (() => void) | undefined;
  /** Query, Execute: CopyInResponse may come. Nothing is sent behind it before that is known. */
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

  /** ParameterDescription, then RowDescription or NoData: the frame in buffer[start, end). */
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
 * COPY FROM STDIN, of the head of the queue. data: the server takes CopyData, and ignores Sync and Flush. ended: CopyDone or CopyFail
 * was sent. counting: it has failed, and nobody knows before or behind which of the Syncs among its data.
 */
type CopyState = 'none' | 'data' | 'ended' | 'counting';

export function endsBatch(kind: OwedKind): boolean {
  return kind === Owed.Sync || kind === Owed.Query || kind === Owed.FunctionCall;
}

export class AnswerQueue<R> {
  private readonly queue = new Ring<Answer<R>>();
  /** The server skips everything until a Sync that has not been sent yet. */
  private skipsToSync = false;
  private copy: CopyState = 'none';
  /** Syncs among the data of the COPY. */
  private straySyncs = 0;
  /** Something of a batch was sent, and its Sync was not: also a Query is skipped there if the batch fails. */
  private isBatchOpen = false;

  get length(): number {
    return this.queue.length;
  }

  /** Nothing is owed and nothing half done: the server may go to somebody else (if it is out of a transaction). */
  get isQuiet(): boolean {
    return this.queue.length === 0 && !this.skipsToSync && this.copy === 'none';
  }

  /** A batch of the extended protocol failed and its Sync has not come yet. */
  get isSkippingToSync(): boolean {
    return this.skipsToSync;
  }

  get isInCopy(): boolean {
    return this.copy === 'data';
  }

  /** Its data are complete. */
  get hasCopied(): boolean {
    return this.copy === 'ended';
  }

  get isCounting(): boolean {
    return this.copy === 'counting';
  }

  /** What the server makes of the next message is known only when it has said more. */
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

  /** To be called for everything that is sent to the server, in order. */
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

  /** The head's answer is complete (or a Fake was dealt with). */
  shift(): void {
    this.queue.shift();
    this.noCopy();
  }

  private noCopy(): void {
    this.copy = 'none';
    this.straySyncs = 0;
  }

  /**
   * CopyInResponse. A Query may bring several, an Execute one.
   * @returns false: nothing that was sent can have brought it
   */
  copyInStarted(): boolean {
    const head = this.queue.peek();
    if (head?.mayCopyIn !== true) return false;
    this.noCopy();
    this.copy = 'data';
    if (head.kind === Owed.Execute) head.mayCopyIn = false;
    return true;
  }

  /** A Sync was sent among the data: ignored by the server, unless the COPY has failed by then. */
  syncInCopy(): void {
    this.straySyncs++;
  }

  /** CopyDone or CopyFail was sent. */
  copyEnded(): void {
    this.copy = 'ended';
  }

  /**
   * ErrorResponse: in a batch, everything up to its Sync will not be answered; it is undone, the last first. For a Query or
   * FunctionCall that fails itself ReadyForQuery is still owed, so nothing changes.
   * @returns whether the ReadyForQuery of a COPY that has failed have to be counted
   */
  failed(): boolean {
    const isUnsure = this.straySyncs > 0;
    this.noCopy();
    this.dropBatch();
    if (isUnsure) this.copy = 'counting';
    return isUnsure;
  }

  /** They were counted: none is owed any more. */
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

  /** Everybody who is owed something, but not the one whose answer is coming or comes next. */
  behindHead(): R[] {
    const receivers = new Set<R>();
    for (let i = 1; i < this.queue.length; i++) receivers.add((this.queue.at(i) as Answer<R>).receiver);
    const head = this.head();
    if (head !== undefined) receivers.delete(head.receiver);
    return [...receivers];
  }

  /**
   * `from` waits no longer: what it is owed goes to `to`, and counts as not done.
   * @returns whether anything had to be undone: it will have happened all the same
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

  /** The server is gone: everybody who is still owed something, each once, in order. */
  drain(): R[] {
    const receivers = new Set<R>();
    for (let answer = this.queue.shift(); answer !== undefined; answer = this.queue.shift()) {
      answer.undo?.(true);
      receivers.add(answer.receiver);
    }
    return [...receivers];
  }
}
