/**
 * The ways in which a log-in ends. Every method says failure in the same words, whatever the cause, so that a
 * client cannot tell an unknown user from a wrong password. Called by auth/methods.
 */
import { WeirError } from '../errors.ts';
import type { AuthOutcome } from './types.ts';

export const accepted: AuthOutcome = { isOk: true };

/** `why` goes to the log only. */
export function wrongPassword(user: string, why: string): AuthOutcome {
  return { isOk: false, error: new WeirError('authentication_failed', { user }), why };
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

/** auth.query could not be asked, or did not answer as it must: nobody is let in, and nobody's password was wrong. */
export class LookUpFailed extends Error {
  readonly error: WeirError;

  /** `error` is for the client, `why` for the log. */
  constructor(error: WeirError, why: string) {
    super(why);
    this.name = 'LookUpFailed';
    this.error = error;
  }
}
