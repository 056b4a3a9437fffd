/**
 * Which errors are not the statement's own: the server or Weir could not serve it. The budget `errors` counts them
 * (docs/budgets.md). Used where a request is noted as failed; not called for requests without an error.
 */
import type { ErrorName, WeirError } from '../errors/errors.ts';

/** A message that does not fit what was prepared: the client's mistake. */
const protocolViolation = '08P01';
/** Of a server: a limit that is set for statements, such as temp_file_limit. Of Weir: no server connection in time. */
const limitExceeded = '53400';
/** Data corrupted, index corrupted. Extensions use XX000 for mistakes of statements. */
const corruption = /^XX00[12]$/;
/** Connection lost; out of resources; shutting down, starting up; I/O errors. */
const ofServer = /^(?:08|53|57P|58)/;

/** A client over its rate limit; and what is refused because a budget burns, or it would burn for as long as anything is refused. */
const itsOwn: ReadonlySet<ErrorName> = new Set(['limit_reached', 'low_priority_shed']);

export function isUnservedByServer(sqlstate: string): boolean {
  if (sqlstate === protocolViolation || sqlstate === limitExceeded) return false;
  return ofServer.test(sqlstate) || corruption.test(sqlstate);
}

export function isUnservedByWeir({ errorName, sqlstate }: WeirError): boolean {
  if (itsOwn.has(errorName) || sqlstate === protocolViolation) return false;
  return ofServer.test(sqlstate) || sqlstate.startsWith('XX');
}
