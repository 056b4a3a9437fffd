/**
 * Decides which messages of a client are passed on in pieces because they are too large to be kept. Called by
 * intake.ts.
 */
import { Frontend, describeType } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import { WeirError } from '../errors/errors.ts';

/** Larger messages are passed on in pieces; everything before their text or values must be within the first piece. */
const wholeBelowBytes = 1024 * 1024;
const firstPieceBytes = 8 * 1024;
/** A Parse must be kept whole, because another server may have to prepare it. */
const maxParseBytes = 16 * 1024 * 1024;

const streamable: ReadonlySet<number> = new Set([Frontend.Query, Frontend.Bind, Frontend.FunctionCall]);

/**
 * @param size of the message in bytes
 * @param available bytes of it that have arrived
 * @returns true if the message may be passed on in pieces
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
