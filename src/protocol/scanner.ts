/**
 * Splits a stream of bytes into protocol messages (frames). A frame that arrived whole is passed on as a span of its
 * chunk, without a copy. A large frame is passed on in pieces as they arrive (`begin`, `more`), so that its length
 * costs no memory. Used for clients and servers.
 */
import { maxFrameLength } from './codes.ts';
import { ProtocolError } from './read.ts';

export interface FrameSink {
  /** A whole frame with its header, in buffer[start, end). Returns false to stop the scanner after this frame. */
  frame(type: number, buffer: Buffer, start: number, end: number): boolean;
  /**
   * May a frame be passed on in pieces? If not, the scanner collects it.
   * @param size of the frame, in bytes
   * @param available bytes of it that have arrived
   */
  mayStream(type: number, size: number, available: number): boolean;
  /** The first piece of a frame of `size` bytes. Returns false to stop the scanner after this piece. */
  begin(type: number, size: number, buffer: Buffer, start: number, end: number): boolean;
  /** A further piece; `isLast` if it ends the frame. Returns false to stop the scanner after this piece. */
  more(buffer: Buffer, start: number, end: number, isLast: boolean): boolean;
}

const headerLength = 5;

export class FrameScanner {
  private readonly sink: FrameSink;
  /** Bytes of a streamed frame that have not arrived yet. */
  private streaming = 0;
  /** A frame that is being collected because it did not arrive whole. */
  private partial: Buffer | undefined;
  private partialLength = 0;
  /** The rest of the chunk in which the sink stopped the scanner, and chunks that came after it. */
  private rest: Buffer | undefined;
  private isStopped = false;

  constructor(sink: FrameSink) {
    this.sink = sink;
  }

  /** Everything that arrived has been passed on, and ends with the end of a frame. */
  get isBetweenFrames(): boolean {
    return this.streaming === 0 && this.partialLength === 0 && this.rest === undefined;
  }

  /** Bytes kept since the scanner was stopped. */
  get restBytes(): number {
    return this.rest?.length ?? 0;
  }

  /** Memory of what has arrived and was not passed on. */
  get heldBytes(): number {
    return (this.partial?.length ?? 0) + this.restBytes;
  }

  /** Every frame that has begun to be passed on was passed on whole. */
  get isBetweenMessages(): boolean {
    return this.streaming === 0;
  }

  /** Removes and returns what has arrived and was not passed on. Call between messages. */
  takeUnread(): Buffer {
    const collected = this.partial?.subarray(0, this.partialLength) ?? Buffer.alloc(0);
    const unread = Buffer.concat([collected, this.rest ?? Buffer.alloc(0)]);
    this.partial = this.rest = undefined;
    this.partialLength = 0;
    return unread;
  }

  /**
   * Takes the next bytes of the stream. A stopped scanner keeps them until resume(); since the caller pauses its
   * socket, that is one chunk at most.
   * @throws ProtocolError for a length below 4 or above 1 GB, before anything is allocated for it
   */
  push(chunk: Buffer): void {
    if (this.isStopped) {
      this.rest = this.rest === undefined ? chunk : Buffer.concat([this.rest, chunk]);
      return;
    }
    this.scan(chunk);
  }

  /** Stops the scanner until resume(), as the sink does by returning false. */
  halt(): void {
    this.isStopped = true;
  }

  /** Continues after the frame at which the scanner was stopped. */
  resume(): void {
    this.isStopped = false;
    const rest = this.rest;
    this.rest = undefined;
    if (rest !== undefined) this.scan(rest);
  }

  private scan(chunk: Buffer): void {
    let at = 0;
    const length = chunk.length;
    if (this.streaming > 0) {
      const end = Math.min(this.streaming, length);
      this.streaming -= end;
      at = end;
      if (!this.sink.more(chunk, 0, end, this.streaming === 0)) return this.stop(chunk, at);
    } else if (this.partial !== undefined) {
      at = this.complete(chunk);
      if (at < 0) return;
    }
    while (length - at >= headerLength) {
      const size = frameSize(chunk, at);
      const end = at + size;
      const type = chunk[at] as number;
      if (end <= length) {
        const goOn = this.sink.frame(type, chunk, at, end);
        at = end;
        if (!goOn) return this.stop(chunk, at);
      } else if (this.sink.mayStream(type, size, length - at)) {
        this.streaming = end - length;
        if (!this.sink.begin(type, size, chunk, at, length)) this.stop(chunk, length);
        return;
      } else {
        this.collect(chunk, at, size);
        return;
      }
    }
    if (at < length) this.collect(chunk, at, headerLength);
  }

  /** Begins to collect the frame at `at`, or as yet its header. */
  private collect(chunk: Buffer, at: number, size: number): void {
    // Not `size` bytes: the peer may announce 1 GB and send nothing. The buffer grows with what arrives.
    this.partial = Buffer.allocUnsafe(Math.min(size, Math.max(2 * (chunk.length - at), 64)));
    this.partialLength = chunk.copy(this.partial, 0, at);
  }

  private append(chunk: Buffer, from: number, to: number, wanted: number): void {
    let partial = this.partial as Buffer;
    const needed = this.partialLength + to - from;
    if (needed > partial.length) {
      const grown = Buffer.allocUnsafe(Math.min(Math.max(2 * partial.length, needed), wanted));
      partial.copy(grown, 0, 0, this.partialLength);
      this.partial = partial = grown;
    }
    chunk.copy(partial, this.partialLength, from, to);
    this.partialLength = needed;
  }

  /**
   * Adds to the collected frame, and passes it on when it is whole.
   * @returns the position after it in `chunk`; -1 if the chunk is used up or the scanner stopped
   */
  private complete(chunk: Buffer): number {
    let at = 0;
    if (this.partialLength < headerLength) {
      at = Math.min(headerLength - this.partialLength, chunk.length);
      this.append(chunk, 0, at, headerLength);
      if (this.partialLength < headerLength) return -1;
    }
    const header = this.partial as Buffer;
    const type = header[0] as number;
    const size = frameSize(header, 0);
    const missing = size - this.partialLength;
    if (chunk.length - at < missing) {
      if (this.sink.mayStream(type, size, this.partialLength + chunk.length - at)) {
        return this.beginCollected(type, size, chunk, at);
      }
      this.append(chunk, at, chunk.length, size);
      return -1;
    }
    this.append(chunk, at, at + missing, size);
    at += missing;
    const whole = this.partial as Buffer;
    this.partial = undefined;
    this.partialLength = 0;
    if (this.sink.frame(type, whole, 0, size)) return at;
    this.stop(chunk, at);
    return -1;
  }

  /** Starts to stream the collected frame: the collected bytes and the rest of this chunk are its first piece. */
  private beginCollected(type: number, size: number, chunk: Buffer, at: number): number {
    this.append(chunk, at, chunk.length, this.partialLength + chunk.length - at);
    const piece = (this.partial as Buffer).subarray(0, this.partialLength);
    this.streaming = size - this.partialLength;
    this.partial = undefined;
    this.partialLength = 0;
    if (!this.sink.begin(type, size, piece, 0, piece.length)) this.stop(chunk, chunk.length);
    return -1;
  }

  private stop(chunk: Buffer, at: number): void {
    this.isStopped = true;
    if (at < chunk.length) this.rest = chunk.subarray(at);
  }
}

function frameSize(buffer: Buffer, at: number): number {
  const length =
    ((buffer[at + 1] as number) << 24) |
    ((buffer[at + 2] as number) << 16) |
    ((buffer[at + 3] as number) << 8) |
    (buffer[at + 4] as number);
  if (length < 4 || length > maxFrameLength) throw new ProtocolError(`invalid message length ${length}`);
  return length + 1;
}
