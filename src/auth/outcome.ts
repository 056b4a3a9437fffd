/**
 * The outcomes of a log-in. All methods fail with the same errors, so that a client cannot tell an unknown user from a
 * wrong password. Called by auth/methods and auth/authenticator.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { AuthOutcome } from './types.ts';

export const accepted: AuthOutcome = { isOk: true };

/** `why` goes to the log only. */
export function wrongPassword(user: string, why: string): AuthOutcome {
  return { isOk: false, error: new WeirError('authentication_failed', { user }), why };
}

/** A wrong password of a log-in by SCRAM. For Weir's own words the same error; PgBouncer has other words (connection-log.ts). */
export class WrongScramPassword extends WeirError {
  constructor(user: string) {
    super('authentication_failed', { user });
  }
}

/** `why` goes to the log only. */
export function wrongScramPassword(user: string, why: string): AuthOutcome {
  return { isOk: false, error: new WrongScramPassword(user), why };
}

export function noCertificate(user: string, why: string): AuthOutcome {
  return { isOk: false, error: new WeirError('certificate_failed', { user }), why };
}

export function noValidCertificate(): AuthOutcome {
  return { isOk: false, error: new WeirError('certificate_required'), why: 'clientcert without a valid certificate' };
}

export function tooMany(why: string): AuthOutcome {
  return { isOk: false, error: new WeirError('too_many_logins'), why };
}

/** auth.query could not be run, or its result is not usable. The log-in is refused, but not for a wrong password. */
export class LookUpFailed extends Error {
  readonly error: WeirError;

  /**
   * @param error for the client
   * @param why for the log
   */
  constructor(error: WeirError, why: string) {
    super(why);
    this.name = 'LookUpFailed';
    this.error = error;
  }
}
