/**
 * The description of a prepared statement (its parameters and result columns), in a form that can be kept. Result
 * columns are compared as PostgreSQL does before it answers "cached plan must not change result type".
 */
import { createHash } from 'node:crypto';
import { Backend } from './codes.ts';
import { endOfString } from './read.ts';
import { frame } from './write.ts';

export interface Description {
  /** Int16 count and the OIDs, as in Parse; undefined: only the result is known. */
  readonly parameters: Buffer | undefined;
  /** A hash of the result columns. */
  readonly resultType: string;
  /**
   * The messages of the server: ParameterDescription, then RowDescription or NoData; undefined if they are too long.
   */
  readonly frames?: Buffer | undefined;
}

/** Longer descriptions are not kept but requested again. In bytes. */
const maxKeptDescription = 4 * 1024;

/**
 * @param parameters the body of ParameterDescription
 * @param result the whole frame of RowDescription or NoData
 * @returns both messages; undefined if they are too long to be kept
 */
export function descriptionFrames(parameters: Buffer, result: Buffer): Buffer | undefined {
  if (parameters.length + result.length > maxKeptDescription) return undefined;
  return Buffer.concat([frame(Backend.ParameterDescription, parameters), result]);
}

/** The result type of a statement that returns no rows. */
export const noRows = 'none';

export function isSameDescription(one: Description, other: Description): boolean {
  if (one.resultType !== other.resultType) return false;
  return one.parameters === undefined || other.parameters === undefined || one.parameters.equals(other.parameters);
}

/**
 * A hash of the names, types and type modifiers of the result columns. Their table, format and length are left out: the
 * first two may differ, and the length follows from the type.
 * @param type RowDescription or NoData; the whole frame is buffer[start, end)
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

/**
 * @param parts the messages of an answer, in pieces
 * @returns the result type, if the answer has a RowDescription or NoData before its rows
 */
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
