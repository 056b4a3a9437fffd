/**
 * Errors that travel from one process of a Weir to another: a WeirError arrives as a WeirError with the same name, texts
 * and SQLSTATE, anything else as an Error with the same message. Used by channel.ts.
 */
import { WeirError, type ErrorName } from '../errors/errors.ts';

export interface PackedError {
  readonly message: string;
  /** Undefined: not a WeirError. */
  readonly known:
    | {
        readonly name: ErrorName;
        readonly sqlstate: string;
        readonly hint: string | undefined;
        readonly detail: string | undefined;
      }
    | undefined;
}

export function packError(error: unknown): PackedError {
  if (!(error instanceof WeirError))
    return { message: error instanceof Error ? error.message : String(error), known: undefined };
  const { errorName: name, sqlstate, hint, detail, message } = error;
  return { message, known: { name, sqlstate, hint, detail } };
}

export function unpackError({ message, known }: PackedError): Error {
  if (known === undefined) return new Error(message);
  const error = new WeirError(known.name, {}, known.detail, { sqlstate: known.sqlstate, hint: known.hint });
  // The texts of the table were filled in by the sender.
  error.message = message;
  return error;
}
