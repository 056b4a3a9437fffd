/**
 * Splits the bytes of a connection into messages, and keeps only the beginning of long ones: a row of 100 MB takes no memory here.
 * Used by wal-stream.ts.
 */
import { ProtocolError } from '../protocol/read.ts';

/** @param body at most `keep` bytes of it; valid only during the call. @param length of the whole body, in bytes */
export type OnMessage = (type: number, body: Buffer, length: number) => void;

const header = 5;
const longest = 0x40000000;

export class MessageHeads {
  private readonly keep: number;
  private readonly onMessage: OnMessage;
  private rest: Buffer = Buffer.alloc(0);
  /** Bytes of a long message that are still to come. */
  private skipped = 0;

  /** @param keep bytes */
  constructor(keep: number, onMessage: OnMessage) {
    this.keep = keep;
    this.onMessage = onMessage;
  }

  /** Throws ProtocolError. */
  push(chunk: Buffer): void {
    if (this.skipped >= chunk.length) {
      this.skipped -= chunk.length;
      return;
    }
    let bytes = this.skipped > 0 ? chunk.subarray(this.skipped) : chunk;
    this.skipped = 0;
    if (this.rest.length > 0) bytes = Buffer.concat([this.rest, bytes]);
    let at = 0;
    while (at + header <= bytes.length) {
      const length = bytes.readInt32BE(at + 1) - 4;
      if (length < 0 || length > longest) throw new ProtocolError(`a message has an invalid length of ${length} bytes`);
      const from = at + header;
      const kept = Math.min(length, this.keep);
      if (from + kept > bytes.length) break;
      this.onMessage(bytes[at]!, bytes.subarray(from, from + kept), length);
      at = from + length;
    }
    this.skipped = Math.max(0, at - bytes.length);
    // A copy, so that a few bytes do not hold a whole chunk.
    this.rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : Buffer.alloc(0);
  }
}
