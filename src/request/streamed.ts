/** Which messages of a client are passed on in pieces, because they are too large to be kept whole. Called by intake.ts. */
import { Frontend, describeType } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import { WeirError } from '../errors.ts';

/** Larger frames are passed on in pieces; what comes before their text or values must be within the first piece. */
const wholeBelowBytes = 1024 * 1024;
const firstPieceBytes = 8 * 1024;
/** A Parse has to be known as a whole, to be prepared again elsewhere. */
const maxParseBytes = 16 * 1024 * 1024;

const streamable: ReadonlySet<number> = new Set([Frontend.Query, Frontend.Bind, Frontend.FunctionCall]);

/**
 * May the message be passed on as it comes? Sizes in bytes; `available`: how many of it are here.
 * @throws WeirError, ProtocolError if it may not, and is too large to be kept
 */
export function mayStreamMessage(type: number, size: number, available: number): boolean {
  if (type === Frontend.CopyData) return true;
  if (size <= wholeBelowBytes) return false;
  if (type === Frontend.Parse) {
    if (size <= maxParseBytes) return false;
    throw new WeirError('statement_too_large', { bytes: size, limit: maxParseBytes });
  }
  if (!streamable.has(type)) throw new ProtocolError(`a message ${describeType(type)} of ${size} bytes`);
  return available >= firstPieceBytes;
}
