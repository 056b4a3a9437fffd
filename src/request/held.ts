/**
 * How much memory a client holds, by what for. Only looked at while memory is critical: called by app/memory-holders.ts.
 */
import { TxStatus } from '../protocol/codes.ts';
import type { ClientSession } from './client.ts';

/** In bytes. */
export interface Held {
  /** Answers that the client has not read any of for a second or more. */
  readonly unread: number;
  /** Texts and values of requests under way, and of messages that have not arrived whole. */
  readonly statement: number;
  /** Texts of prepared statements, while the client has nothing running. What clients share counts for each in part. */
  readonly prepared: number;
}

/** A text is kept as it came and as the key by which clients share it; then there is what Weir knows of it. */
const copies = 2;
const perStatementBytes = 1_000;

export function heldBytes(session: ClientSession): Held {
  const { wire, scanner, intake, keptBytes, untakenSeconds } = session;
  return {
    unread: untakenSeconds > 0 ? wire.unsentBytes : 0,
    statement: scanner.heldBytes + unsentBytes(intake) + keptBytes,
    prepared: session.inFlight.length === 0 ? preparedBytes(session) : 0,
  };
}

function unsentBytes({ batch, pending }: ClientSession['intake']): number {
  const ofBatch = batch?.messages === undefined || pending.includes(batch) ? 0 : batch.form.bytes;
  return pending.reduce((sum, request) => sum + request.form.bytes, ofBatch);
}

function preparedBytes({ prepared, services }: ClientSession): number {
  const { unnamed } = prepared;
  let bytes = unnamed.statement?.sql.length ?? 0;
  for (const statement of prepared.all.values()) {
    const users = Math.max(1, services.book.usersOf(statement));
    bytes += (copies * statement.sql.length + perStatementBytes) / users;
  }
  return Math.round(bytes);
}

/** Work would be lost if the client were ended: a transaction is open. */
export function isInTransaction({ status, intake }: ClientSession): boolean {
  return status !== TxStatus.Idle || intake.isInBatch;
}
