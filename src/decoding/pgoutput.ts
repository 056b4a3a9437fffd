/**
 * Reads the messages of the output plugin pgoutput, protocol version 1 (PostgreSQL manual, "Logical Replication Message
 * Formats"), as far as they say which tables a transaction has written. Rows are not read. Used by wal-stream.ts.
 */
import { ProtocolError } from '../protocol/read.ts';

export type Decoded =
  /** What follows until 'commit' is of this transaction. `xid` has 32 bits. */
  | { readonly kind: 'begin'; readonly xid: number }
  | { readonly kind: 'written'; readonly relations: readonly number[] }
  /** Which tables, does not fit into what was kept of the message. */
  | { readonly kind: 'too long' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'other' };

const letter = {
  begin: 0x42,
  commit: 0x43,
  insert: 0x49,
  update: 0x55,
  delete: 0x44,
  truncate: 0x54,
  relation: 0x52,
  type: 0x59,
  origin: 0x4f,
  message: 0x4d,
} as const;

const other: Decoded = { kind: 'other' };
const commit: Decoded = { kind: 'commit' };

/**
 * @param message its beginning: at least 21 bytes, or all of it
 * @param isWhole false: more bytes follow
 * Throws ProtocolError for what PostgreSQL 13 to 18 do not send.
 */
export function decode(message: Buffer, isWhole: boolean): Decoded {
  switch (message[0]) {
    case letter.begin:
      return { kind: 'begin', xid: uint32(message, 17) };
    case letter.commit:
      return commit;
    case letter.insert:
    case letter.update:
    case letter.delete:
      return { kind: 'written', relations: [uint32(message, 1)] };
    case letter.truncate:
      return isWhole ? { kind: 'written', relations: truncated(message) } : { kind: 'too long' };
    case letter.relation:
    case letter.type:
    case letter.origin:
    case letter.message:
      return other;
    default:
      throw new ProtocolError(`pgoutput sent a message of type ${message[0] ?? 'none'}`);
  }
}

function truncated(message: Buffer): number[] {
  const count = uint32(message, 1);
  // Options are in one byte.
  if (6 + 4 * count > message.length) throw new ProtocolError('pgoutput sent a TRUNCATE that ends early');
  return Array.from({ length: count }, (_, i) => message.readUInt32BE(6 + 4 * i));
}

function uint32(message: Buffer, at: number): number {
  if (message.length < at + 4) throw new ProtocolError('pgoutput sent a message that ends early');
  return message.readUInt32BE(at);
}
