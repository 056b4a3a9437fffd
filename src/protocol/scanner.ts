/**
 * Cuts a stream of chunks into frames without copying what can stay where it arrived. Pure: no socket, no clock.
 * Whole frames are handed on as spans of their chunk; a frame that is too large to wait for is handed on in
 * pieces as they come (`begin`, `more`), so that no length in the protocol costs memory. Used at both doors.
 */
import { maxFrameLength } from './codes.ts';
import { ProtocolError } from './read.ts';

export interface FrameSink {
  /** A whole frame, header included, in buffer[start, end). Return false to stop the scanner behind this frame. */
  frame(type: number, buffer: Buffer, start: number, end: number): boolean;
  /** May a frame of this type and total size, of which `available` bytes are here, be handed on in pieces? Otherwise it is collected. */
  mayStream(type: number, size: number, available: number): boolean;
  /** First piece of a streamed frame of `size` bytes. Return false to stop the scanner behind this piece. */
  begin(type: number, size: number, buffer: Buffer, start: number, end: number): boolean;
  /** A further piece; `isLast` with the last byte. */
  more(buffer: Buffer, start: number, end: number, isLast: boolean): boolean;
}

const headerLength = 5;

export class FrameScanner {
  private readonly sink: FrameSink;
  /** Bytes of a streamed frame still to come. */
  private streaming = 0;
  /** A frame being collected because it did not arrive whole. */
  private partial: Buffer | undefined;
  private partialLength = 0;
  /** What is left of the chunk in which the sink said stop. */
  private rest: Buffer | undefined;
  private isStopped = false;

  constructor(sink: FrameSink) {
    this.sink = sink;
  }

  /** Nothing of a frame has been seen that is not handed on. */
  get isBetweenFrames(): boolean {
    return this.streaming === 0 && this.partialLength === 0 && this.rest === undefined;
  }

  /** Bytes kept back since the sink said stop. */
  get restBytes(): number {
    return this.rest?.length ?? 0;
  }

  /**
   * The next bytes of the stream. After the sink has said stop, bytes are kept until `resume()`; the caller pauses
   * its socket meanwhile, so that is one chunk at most.
   * @throws ProtocolError a length below 4 or above 1 GB; nothing is allocated for it
   */
  push(chunk: Buffer): void {
    if (this.isStopped) {
      this.rest = this.rest === undefined ? chunk : Buffer.concat([this.rest, chunk]);
      return;
    }
    this.scan(chunk);
  }

  /** Nothing is handed on before `resume()`, as if the sink had said so. */
  halt(): void {
    this.isStopped = true;
  }

  /** Goes on behind the frame at which the sink said stop. */
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

  /** Starts to collect a frame (or at first only its header) that begins at `at`. */
  private collect(chunk: Buffer, at: number, size: number): void {
    // A frame may announce 1 GB and never come: room grows with what has really arrived.
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

  /** Fills up the collected frame; returns the position behind it in `chunk`, or -1 if that is used up or the sink said stop. */
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

  /** What was collected of a frame that is to be streamed after all, and this chunk, are its first piece. */
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
