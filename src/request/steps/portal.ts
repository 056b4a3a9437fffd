/**
 * What Bind gives a statement that Weir answers itself: the values of its parameters, and the format of its answer. Used by
 * answer-locally.ts and invalidate.ts.
 */
import { endOfString, ProtocolError } from '../../protocol/read.ts';
import type { Message } from '../../session/request.ts';
import { readValues, type BoundValue } from '../prepared/bound-settings.ts';

export interface Portal {
  readonly values: readonly BoundValue[];
  /** As in Parse; undefined: a simple query. */
  readonly types: Buffer | undefined;
  /** The answer's one column is in binary format. */
  readonly isBinary: boolean;
}

export const withoutParameters: Portal = { values: [], types: undefined, isBinary: false };

/** @throws ProtocolError if the message is malformed */
export function readPortal(bind: Message, types: Buffer | undefined): Portal {
  const values = readValues(bind);
  if (values === undefined) throw new ProtocolError('a malformed Bind');
  return { values, types, isBinary: firstFormat(bind) === 1 };
}

/** @returns the format of the first column of the result. readValues() has checked what is before it. */
function firstFormat({ buffer, start, end }: Message): number {
  let at = endOfString(buffer, endOfString(buffer, start + 5, end) + 1, end) + 1;
  at += 2 + 2 * buffer.readUInt16BE(at);
  const count = buffer.readUInt16BE(at);
  at += 2;
  for (let i = 0; i < count; i++) at += 4 + Math.max(0, buffer.readInt32BE(at));
  return at + 4 <= end && buffer.readUInt16BE(at) > 0 ? buffer.readInt16BE(at + 2) : 0;
}

/** A bigint in binary format. */
export function bytesOfCount(count: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(count));
  return bytes;
}
