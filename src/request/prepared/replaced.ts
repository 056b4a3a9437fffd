/**
 * A message of a client with some of its bytes replaced, for the server. Called by forward.ts and own-pid.ts.
 */
import type { Message } from '../../session/request.ts';

/** Up to so many bytes are copied one by one, which is faster than a call. */
const shortBytes = 64;

function copy(source: Buffer, start: number, end: number, target: Buffer, at: number): void {
  if (end - start > shortBytes) source.copy(target, at, start, end);
  else for (let i = start; i < end; i++) target[at++] = source[i] as number;
}

/**
 * @param by bytes, or characters of one byte each
 * @returns a copy of the message with `by` in place of [from, to) and its length field corrected; it begins at 0
 */
export function replaced(message: Message, from: number, to: number, by: Buffer | string): Message {
  const { type, buffer, start, end } = message;
  const out = Buffer.allocUnsafe(end - start - (to - from) + by.length);
  const place = from - start;
  copy(buffer, start, from, out, 0);
  if (typeof by !== 'string') copy(by, 0, by.length, out, place);
  else for (let i = 0; i < by.length; i++) out[place + i] = by.charCodeAt(i);
  copy(buffer, to, end, out, place + by.length);
  const announced = buffer.readInt32BE(start + 1);
  out.writeInt32BE(announced - (to - from) + by.length, 1);
  return { type, buffer: out, start: 0, end: out.length, statementName: undefined };
}
