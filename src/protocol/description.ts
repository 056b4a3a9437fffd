/**
 * What a server says of a prepared statement: its parameters and the rows that it brings, in a form to be kept and
 * compared as PostgreSQL does before it says "cached plan must not change result type". Pure.
 */
import { createHash } from 'node:crypto';
import { Backend } from './codes.ts';
import { endOfString } from './read.ts';
import { frame } from './write.ts';

export interface Description {
  /** Int16 count and the OIDs, as in Parse; undefined: only what it brings is known. */
  readonly parameters: Buffer | undefined;
  /** A few bytes, however many columns there are. */
  readonly resultType: string;
  /** What the server said: ParameterDescription, then RowDescription or NoData; undefined if that is too long to be kept. */
  readonly frames?: Buffer | undefined;
}

/** Wider descriptions are asked for again, bytes. */
const maxKeptDescription = 4 * 1024;

/** `result`: the frame of RowDescription or NoData. */
export function descriptionFrames(parameters: Buffer, result: Buffer): Buffer | undefined {
  if (parameters.length + result.length > maxKeptDescription) return undefined;
  return Buffer.concat([frame(Backend.ParameterDescription, parameters), result]);
}

/** The result type of what brings no rows. */
export const noRows = 'none';

export function isSameDescription(one: Description, other: Description): boolean {
  if (one.resultType !== other.resultType) return false;
  return one.parameters === undefined || other.parameters === undefined || one.parameters.equals(other.parameters);
}

/**
 * The result type in a RowDescription or NoData, the whole frame in buffer[start, end): names, types and modifiers of the
 * columns. Which table one comes from does not count, nor does the format; the length belongs to the type.
 */
export function resultTypeOf(type: number, buffer: Buffer, start: number, end: number): string {
  if (type === Backend.NoData) return noRows;
  const hash = createHash('sha256');
  let at = start + 7;
  for (let left = buffer.readInt16BE(start + 5); left > 0; left--) {
    const nameEnd = endOfString(buffer, at, end);
    hash.update(buffer.subarray(at, nameEnd + 1));
    hash.update(buffer.subarray(nameEnd + 7, nameEnd + 11));
    hash.update(buffer.subarray(nameEnd + 13, nameEnd + 17));
    at = nameEnd + 19;
  }
  return hash.digest('base64');
}

/** The result type in an answer that begins with a description, in parts; undefined: it does not say. */
export function resultTypeIn(parts: readonly Buffer[]): string | undefined {
  const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
    const type = bytes[at] as number;
    const end = at + 1 + bytes.readInt32BE(at + 1);
    if (type === Backend.RowDescription || type === Backend.NoData) return resultTypeOf(type, bytes, at, end);
    if (type === Backend.DataRow || type === Backend.CommandComplete) return undefined;
  }
  return undefined;
}
