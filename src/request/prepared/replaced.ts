/**
 * A message of a client with some of its bytes replaced, for the server. Called by forward.ts and own-pid.ts.
 */
import type { Message } from '../../session/request.ts';

/** @returns a copy of the message with `bytes` in place of [from, to) and its length field corrected; it begins at 0 */
export function replaced({ type, buffer, start, end }: Message, from: number, to: number, bytes: Buffer): Message {
  const out = Buffer.allocUnsafe(end - start - (to - from) + bytes.length);
  buffer.copy(out, 0, start, from);
  bytes.copy(out, from - start);
  buffer.copy(out, from - start + bytes.length, to, end);
  const announced = buffer.readInt32BE(start + 1);
  out.writeInt32BE(announced - (to - from) + bytes.length, 1);
  return { type, buffer: out, start: 0, end: out.length };
}
