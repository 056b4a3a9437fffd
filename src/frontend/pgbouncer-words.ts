/**
 * What a client that is not let in is told with auth.as: pgbouncer. Used by login.ts and, after the log-in, by app/reception.ts.
 */
import type { WeirError } from '../errors/errors.ts';
import type { ErrorFields } from '../protocol/write.ts';
import { pgbouncerWords } from './connection-log.ts';

export type ClientWords = Omit<ErrorFields, 'severity'>;

/** Scripts compare the message. The SQLSTATE is Weir's, and what Weir says is the DETAIL. */
export function inPgbouncerWords(error: WeirError): ClientWords {
  const { sqlstate, message, detail, hint } = error;
  const words = pgbouncerWords(error);
  if (words === message) return { sqlstate, message, detail, hint };
  return { sqlstate, message: words, detail: detail === undefined ? message : `${message}. ${detail}`, hint };
}
